#include "loadgen/user/virtual_user.hpp"

#include "server/base/random.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace clamor::loadgen {
namespace {

using scenario::SendKind;

/// One step of one client: `on` takes each kind of input.
class Step {
 public:
  Step(VirtualUser& user, Instant now, const UserSettings& settings, OutboxPool& pool,
       std::vector<Action>& out)
      : user_{user}, now_{now}, settings_{settings}, pool_{pool}, out_{out} {}

  void on(const Start&) { come_online(); }
  void on(const ComeBack&) { come_online(); }

  void on(const Connected&) {
    if (user_.phase != Phase::connecting) return;
    user_.phase = Phase::logging_in;
    user_.last_sent_at = now_;
    out_.emplace_back(SendLogin{});
  }

  void on(const ConnectFailed&) {
    if (user_.phase == Phase::connecting) end_session({});
  }

  void on(const LoggedIn&) {
    if (user_.phase != Phase::logging_in) return;
    user_.phase = Phase::catching_up;
    set_timer(now_ + settings_.session_timeout);
  }

  void on(const CaughtUp&) {
    if (user_.phase != Phase::catching_up) return;
    user_.phase = Phase::online;
    user_.attempt = 0;
    user_.timer_at = Instant::max();
    out_.emplace_back(Synced{user_.connect_began, !user_.was_online, user_.repairing});
    user_.was_online = true;
    user_.repairing = false;
    if (user_.leave_in_sync) {
      user_.leave_in_sync = false;
      go_offline();
      return;
    }
    if (settings_.presence_partners > 0 && !user_.flushing) {
      user_.last_sent_at = now_;
      out_.emplace_back(SubscribePresence{settings_.presence_partners});
    }
    pump_all();
    leave_once_flushed();
  }

  void on(const Disconnected& end) {
    if (connected(user_.phase)) end_session(end);
  }

  void on(const Leave&) {
    if (user_.phase != Phase::stopped) go_offline();
  }

  void on(const SendDue& due) {
    const std::uint32_t index = pool_.take();
    OutboxEntry& entry = pool_[index];
    entry.due = due.due;
    entry.deadline = Instant::min();
    entry.ordinal = due.ordinal;
    entry.channel = due.channel;
    entry.client_message_id = pool_.next_client_message_id(user_.client, due.channel);
    entry.bytes = due.bytes;
    entry.kind = due.kind;
    entry.mentioned = due.mentioned;
    entry.pair = due.pair;
    entry.next = OutboxPool::none;
    entry.waited = user_.phase != Phase::online;
    if (user_.outbox_last == OutboxPool::none) {
      user_.outbox_first = index;
    } else {
      pool_[user_.outbox_last].next = index;
    }
    user_.outbox_last = index;
    ++user_.outbox_size;
    if (user_.phase == Phase::online) pump(due.channel);
  }

  void on(const TypingDue& typing) {
    if (user_.phase != Phase::online) return;  // stale by the time it could be said
    user_.last_sent_at = now_;
    out_.emplace_back(SendTyping{typing.channel});
  }

  void on(const AckCame& ack) {
    const std::uint32_t index = take_out(ack.channel, ack.client_message_id);
    if (index == OutboxPool::none) return;
    const OutboxEntry& entry = pool_[index];
    out_.emplace_back(Acknowledged{ack.channel, ack.client_message_id, ack.message_id,
                                   entry.ordinal, entry.due, entry.kind});
    note_target(entry, ack.message_id);
    pool_.give_back(index);
    if (user_.phase == Phase::online) pump(ack.channel);
    leave_once_flushed();
  }

  void on(const SendRefused& refused) {
    switch (refused.how) {
      case SendRefusal::retry:
        return hold_back(refused, refused.retry_after, true);
      case SendRefusal::gap:
        if (!renumber(refused.channel, refused.expected)) {
          // Its predecessor is on its way or held back itself; follow it.
          return hold_back(refused, core::resend_delay(0, 0), false);
        }
        if (user_.phase == Phase::online) pump(refused.channel);
        return;
      case SendRefusal::permanent:
      case SendRefusal::too_old:
        return give_up(refused);
    }
  }

  void on(const TimerDue&) {
    switch (user_.phase) {
      case Phase::backing_off:
        if (now_ >= user_.timer_at) connect();
        return;
      case Phase::connecting:
      case Phase::logging_in:
      case Phase::catching_up:
        if (now_ < user_.timer_at) return;
        out_.emplace_back(CloseCleanly{});
        return end_session({});
      case Phase::online:
        for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
          if (pool_[i].in_flight && pool_[i].deadline <= now_) transmit(pool_[i]);
        }
        return pump_all();
      case Phase::idle:
      case Phase::stopped:
        return;
    }
  }

  void on(const HeartbeatDue&) {
    if (now_ < heartbeat_due_at(user_, settings_)) return;
    user_.last_sent_at = now_;
    out_.emplace_back(SendHeartbeat{});
  }

  void on(const GapSeen&) {
    if (user_.phase != Phase::online) return;
    user_.repairing = true;
    out_.emplace_back(CloseCleanly{});
    end_session({});  // Backs off like any outage: a server that keeps losing gets no storm.
  }

  void on(const FlushOutbox&) {
    if (user_.phase == Phase::online && settings_.presence_partners > 0 && !user_.flushing) {
      user_.last_sent_at = now_;
      out_.emplace_back(UnsubscribePresence{});
    }
    if (user_.phase != Phase::idle || user_.outbox_size == 0) return;
    user_.flushing = true;
    come_online();
  }

  void on(const SyncAndLeave&) {
    if (user_.phase != Phase::idle) return;
    user_.leave_in_sync = true;
    come_online();
  }

  void on(const Stop&) {
    go_offline();
    user_.phase = Phase::stopped;
  }

 private:
  void come_online() {
    if (user_.phase != Phase::idle) return;
    user_.attempt = 0;
    connect();
  }

  void connect() {
    if (user_.attempt == 0) user_.connect_began = now_;
    user_.phase = Phase::connecting;
    ++user_.session;
    out_.emplace_back(OpenConnection{});
    set_timer(now_ + settings_.session_timeout);
  }

  /// An end that nobody planned: back off and return, unless the server forbids it.
  void end_session(const Disconnected& end) {
    const bool was_online = user_.phase == Phase::online;
    recall();
    if (end.how == Ended::superseded || end.how == Ended::for_good) {
      user_.phase = Phase::stopped;
      user_.timer_at = Instant::max();
      out_.emplace_back(GaveUp{end.how});
      return;
    }
    if (was_online) {
      ++user_.outage;
      user_.attempt = 0;
    } else if (user_.attempt < std::numeric_limits<std::uint16_t>::max()) {
      ++user_.attempt;
    }
    if (end.how == Ended::go_again && user_.attempt == 0 && end.retry_after <= Duration{}) {
      return connect();
    }
    const double unit = unit_from_bits(draw_bits(settings_.seed, DrawPurpose::reconnect_jitter,
                                                 user_.client, user_.outage, user_.attempt));
    // Whoever was told the same time must not come at the same time.
    const Duration delay = end.retry_until > end.retry_after
                               ? core::reconnect_delay({.base = end.retry_until - end.retry_after,
                                                        .cap = end.retry_until - end.retry_after},
                                                       0, unit)
                               : core::reconnect_delay(settings_.reconnect, user_.attempt, unit);
    user_.phase = Phase::backing_off;
    set_timer(now_ + end.retry_after + delay);
  }

  /// Leaves as intended; whatever is unsettled waits for the return.
  void go_offline() {
    if (connected(user_.phase)) out_.emplace_back(CloseCleanly{});
    recall();
    user_.phase = Phase::idle;
    user_.timer_at = Instant::max();
    user_.flushing = false;
  }

  void leave_once_flushed() {
    if (user_.flushing && user_.outbox_size == 0 && user_.phase == Phase::online) go_offline();
  }

  void set_timer(Instant at) {
    user_.timer_at = at;
    out_.emplace_back(SetTimer{at});
  }

  // --- outbox
  // -------------------------------------------------------------------------------------

  /// The session is gone: what was in flight in it must be sent again, in order.
  void recall() {
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      pool_[i].in_flight = false;
      pool_[i].waited = true;
      pool_[i].deadline = Instant::min();
    }
  }

  void transmit(OutboxEntry& entry) {
    const std::uint16_t attempt = entry.attempts;
    if (entry.attempts < std::numeric_limits<std::uint16_t>::max()) ++entry.attempts;
    const double unit = unit_from_bits(
        draw_bits(settings_.seed, DrawPurpose::resend_jitter, entry.ordinal, 0, attempt));
    entry.in_flight = true;
    entry.deadline = now_ + core::resend_delay(attempt, unit);
    user_.last_sent_at = now_;
    out_.emplace_back(SendMessage{entry.channel, entry.client_message_id, entry.ordinal, entry.due,
                                  entry.bytes, attempt, entry.waited, entry.kind,
                                  entry.kind == SendKind::message && entry.pair != 0,
                                  entry.mentioned, entry.target, entry.deadline});
  }

  /// Whether what the entry is about is known. Held back else; the message is under way to the log,
  /// or its sender's outbox has it.
  bool find_target(OutboxEntry& entry) {
    if (entry.kind == SendKind::message || entry.target != MessageId{}) return true;
    const auto target = pool_.targets().take(entry.kind, entry.channel, entry.pair);
    if (!target) {
      entry.deadline = now_ + core::resend_delay(0, 0);
      out_.emplace_back(SetTimer{entry.deadline});
      return false;
    }
    entry.target = *target;
    if (entry.target == MessageId{}) {  // given up: this one is about nothing
      entry.kind = SendKind::message;
      entry.pair = 0;
    }
    return true;
  }

  /// The entry's message is in the log as `id`; {0}: it will never be.
  void note_target(const OutboxEntry& entry, MessageId id) {
    if (!settings_.sends_about || entry.kind > SendKind::reply) return;
    if (entry.pair != 0) return pool_.targets().keep(entry.pair, id);
    if (id != MessageId{}) pool_.targets().note(entry.channel, id);
  }

  /// Sends what may be sent of one channel: in order, at most in_flight_max unsettled.
  void pump(std::uint32_t channel) {
    std::uint32_t in_flight = 0;
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      OutboxEntry& entry = pool_[i];
      if (entry.channel != channel) continue;
      if (!entry.in_flight) {
        if (entry.deadline > now_ || in_flight >= settings_.in_flight_max || !find_target(entry)) {
          entry.waited = true;
          return;
        }
        transmit(entry);
      }
      ++in_flight;
    }
  }

  void pump_all() {
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      if (!pool_[i].in_flight && pool_[i].deadline <= now_) pump(pool_[i].channel);
    }
  }

  /// Unlinks one entry; none where there is no such one.
  std::uint32_t take_out(std::uint32_t channel, ClientMessageId id) {
    std::uint32_t before = OutboxPool::none;
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none;
         before = i, i = pool_[i].next) {
      if (pool_[i].channel != channel || pool_[i].client_message_id != id) continue;
      (before == OutboxPool::none ? user_.outbox_first : pool_[before].next) = pool_[i].next;
      if (user_.outbox_last == i) user_.outbox_last = before;
      --user_.outbox_size;
      return i;
    }
    return OutboxPool::none;
  }

  /// `spreads`: many others were told the same; each takes up to half as long again.
  void hold_back(const SendRefused& refused, Duration delay, bool spreads) {
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      OutboxEntry& entry = pool_[i];
      if (entry.channel != refused.channel) continue;
      if (entry.client_message_id != refused.client_message_id) continue;
      entry.in_flight = false;
      entry.waited = true;
      const double unit = spreads
                              ? unit_from_bits(draw_bits(settings_.seed, DrawPurpose::resend_jitter,
                                                         entry.ordinal, 1, entry.attempts))
                              : 0;
      entry.deadline = now_ + core::spread(delay, unit);
      out_.emplace_back(SetTimer{entry.deadline});
      return;
    }
  }

  /// The server expects `expected`. Where no entry has that number its message was given up, and
  /// none of the later ones was accepted: they take the freed numbers. False where one has it.
  bool renumber(std::uint32_t channel, ClientMessageId expected) {
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      if (pool_[i].channel == channel && pool_[i].client_message_id <= expected) return false;
    }
    ClientMessageId next = expected;
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      OutboxEntry& entry = pool_[i];
      if (entry.channel != channel) continue;
      entry.client_message_id = next;
      entry.in_flight = false;
      entry.deadline = Instant::min();
      ++next;
    }
    pool_.rewind(user_.client, channel, next);
    return true;
  }

  void give_up(const SendRefused& refused) {
    const std::uint32_t index = take_out(refused.channel, refused.client_message_id);
    if (index == OutboxPool::none) return;
    out_.emplace_back(GaveUpSend{refused.channel, refused.client_message_id, pool_[index].ordinal,
                                 pool_[index].attempts > 0});
    note_target(pool_[index], {});
    pool_.give_back(index);
    // With others in flight the server answers them with a gap, and renumber() puts it right. A
    // number that is too old was accepted once: taken again, every later send would be refused.
    bool keep = refused.how == SendRefusal::too_old;
    for (std::uint32_t i = user_.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      keep = keep || pool_[i].channel == refused.channel;
    }
    if (!keep) pool_.rewind(user_.client, refused.channel, refused.client_message_id);
    leave_once_flushed();
  }

  VirtualUser& user_;
  Instant now_;
  const UserSettings& settings_;
  OutboxPool& pool_;
  std::vector<Action>& out_;
};

}  // namespace

void step(VirtualUser& user, const Input& input, Instant now, const UserSettings& settings,
          OutboxPool& pool, std::vector<Action>& out) {
  Step one{user, now, settings, pool, out};
  std::visit([&one](const auto& kind) { one.on(kind); }, input);
}

}  // namespace clamor::loadgen
