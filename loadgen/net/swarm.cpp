#include "loadgen/net/swarm.hpp"

#include "loadgen/user/send_kind.hpp"
#include "loadgen/user/stamp.hpp"
#include "loadgen/user/user_settings.hpp"
#include "server/host/clock.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

/// An online device that still lacks records, and to which nothing has come for so long, is judged
/// by what it has.
constexpr Duration quiet_time = 3s;
constexpr std::size_t findings_max = 20;

Ledger make_ledger(const scenario::Plan& plan, std::uint32_t first, std::uint32_t last) {
  std::vector<std::uint32_t> offsets{0};
  std::vector<std::uint32_t> channels;
  for (std::uint32_t client = first; client < last; ++client) {
    plan.channels_of(plan.user_of(client), channels);
    offsets.push_back(static_cast<std::uint32_t>(channels.size()));
  }
  channels.shrink_to_fit();
  return {first, std::move(offsets), std::move(channels)};
}

constexpr bool arriving(Phase phase) { return connected(phase) && phase != Phase::online; }

}  // namespace

Swarm::Swarm(const SwarmOptions& options, const scenario::Plan& plan)
    : options_{options},
      plan_{plan},
      settings_{user_settings(plan.scenario())},
      connections_{options.targets, options.last_client - options.first_client + 1, options.worker,
                   *this},
      ledger_{make_ledger(plan, options.first_client, options.last_client)},
      clients_(options.last_client - options.first_client),
      now_{monotonic_now()},
      recording_{plan.classes()},
      body_(scenario::message_bytes_max + stamp_bytes, std::byte{'.'}) {
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    clients_[slot].user.client = options_.first_client + slot;
    const std::uint32_t user = plan_.user_of(options_.first_client + slot);
    if (!plan_.dormant(user)) ++asked_;
    if (options_.targets.size() > 1) {
      target_of_client_.push_back(
          target_of(scenario::Plan::user_id(user), options_.targets.size()));
    }
  }
  class_of_channel_.reserve(plan_.channels());
  for (std::uint32_t channel = 0; channel < plan_.channels(); ++channel) {
    class_of_channel_.push_back(plan_.class_of(channel));
  }
}

// --- one turn ------------------------------------------------------------------------------------

void Swarm::turn(Duration longest) {
  connections_.wait(until_next(longest));
  const Instant began = monotonic_now();
  now_ = began;
  if (hold_) move_clock();
  close_intervals(now_);
  run_schedule();
  run_timers();
  connections_.flush();  // What is due goes out before what has arrived is read.
  connections_.dispatch();
  run_repairs();
  feed_ramp();
  connections_.flush();
  const Duration took = monotonic_now() - began;
  if (window_zero_ <= began && began < window_end_) {
    recording_.turn.record(static_cast<std::uint64_t>(to_ns(took)));
    interval_.turn_max_ns =
        std::max(interval_.turn_max_ns, static_cast<std::uint64_t>(to_ns(took)));
  }
}

Duration Swarm::until_next(Duration longest) {
  Instant next = monotonic_now() + longest;
  if (!timers_.empty()) next = std::min(next, timers_.front().at);
  if (window_zero_ != Instant::max()) {
    if (interval_end_ <= window_end_) next = std::min(next, interval_end_);
    const Instant planned = schedule_ == nullptr ? Instant::max() : schedule_->next_at();
    if (hold_) {
      if (!at_hold_) return Duration{};
    } else if (planned != Instant::max()) {
      next = std::min(next, window_zero_ + planned.time_since_epoch());
    }
  }
  return next - monotonic_now();
}

void Swarm::run_timers() {
  while (!timers_.empty() && timers_.front().at <= now_) {
    const Timer timer = timers_.front();
    std::pop_heap(timers_.begin(), timers_.end(), std::greater{});
    timers_.pop_back();
    if (timer.session == 0) {
      tell(timer.slot, TimerDue{});
      continue;
    }
    const VirtualUser& user = clients_[timer.slot].user;
    if (user.session != timer.session || user.phase != Phase::online) continue;
    tell(timer.slot, HeartbeatDue{});
    set_timer({heartbeat_due_at(user, settings_), timer.slot, timer.session});
  }
}

void Swarm::set_timer(const Timer& timer) {
  timers_.push_back(timer);
  std::push_heap(timers_.begin(), timers_.end(), std::greater{});
}

void Swarm::run_repairs() {
  for (const std::uint32_t slot : std::exchange(repairs_, {})) tell(slot, GapSeen{});
}

// --- the plan ------------------------------------------------------------------------------------

/// In steps the window's clock shows when the next event is planned, or the hold.
void Swarm::move_clock() {
  const Instant next = std::min(schedule_->next_at(), *hold_);
  at_hold_ = next == *hold_;
  const Duration shift = now_ - next.time_since_epoch() - window_zero_;
  window_zero_ += shift;
  window_end_ += shift;
  interval_end_ += shift;
}

void Swarm::run_schedule() {
  if (schedule_ == nullptr || at_hold_) return;
  // Bounded, so that a plan beyond the machine's means leaves time to read, and to listen to the
  // coordinator; what is due and not taken yet is late, which the lag shows.
  constexpr Duration longest{20ms};
  const Instant due = now_;
  while (const auto event = schedule_->take(Instant{due - window_zero_})) {
    run_event(*event);
    if (now_ - due > longest) break;
  }
}

bool Swarm::window_over(Instant now) {
  if (now < window_end_) return false;
  return schedule_ == nullptr || schedule_->next_at() > Instant{} + (window_end_ - window_zero_);
}

void Swarm::run_event(const PlannedEvent& event) {
  const Instant at = window_zero_ + event.at.time_since_epoch();
  const std::uint32_t slot = event.client - options_.first_client;
  switch (event.kind) {
    case PlannedEvent::Kind::leave:
      cut_off_.erase(slot);
      return tell(slot, Leave{});
    case PlannedEvent::Kind::come_back:
      clients_[slot].came_back_at = at;
      return tell(slot, ComeBack{});
    case PlannedEvent::Kind::fault:
      return run_fault(event.fault);
    case PlannedEvent::Kind::typing:
      now_ = monotonic_now();
      return tell(slot, TypingDue{event.send.channel});
    case PlannedEvent::Kind::send: {
      now_ = monotonic_now();
      const auto late = static_cast<std::uint64_t>(to_ns(now_ - at));
      recording_.lag.record(late);
      interval_.lag.record(late);
      const scenario::Send& send = event.send;
      return tell(slot, SendDue{send.channel, send.ordinal, at, send.bytes, send.kind,
                                send.mentioned, send.pair});
    }
  }
}

/// The coordinator kills the servers; their clients are noted here.
void Swarm::note_killed(std::uint32_t fault) {
  const auto servers = static_cast<std::uint32_t>(options_.targets.size());
  std::vector<bool> killed(servers);
  for (std::uint32_t i = 0; i < servers; ++i) killed[i] = plan_.kills(fault, i, servers);
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    const std::uint32_t server = target_of_client_.empty() ? 0 : target_of_client_[slot];
    if (killed[server] && connected(clients_[slot].user.phase)) cut_off_.try_emplace(slot, now_);
  }
}

void Swarm::run_fault(std::uint32_t index) {
  const scenario::Fault& fault = plan_.scenario().faults[index];
  if (fault.kind == scenario::Fault::Kind::kill) return note_killed(index);
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    const VirtualUser& user = clients_[slot].user;
    if (!connected(user.phase) || !plan_.hits(index, user.client)) continue;
    if (fault.mode == scenario::Fault::Mode::reset) {
      connections_.reset(slot);
    } else {
      connections_.close(slot);
    }
    cut_off_.try_emplace(slot, now_);
    tell(slot, Disconnected{});
  }
}

// --- stages --------------------------------------------------------------------------------------

void Swarm::begin_filling() {
  filling_ = true;
  ramp_.clear();
  ramp_next_ = 0;
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) ramp_.push_back(slot);
  feed_ramp();
}

/// Who comes to fill sends all it has to, and leaves. The outbox holds a window of it.
void Swarm::fill(std::uint32_t slot) {
  const std::uint32_t client = clients_[slot].user.client;
  if (plan_.device_of(client) != 1) return;
  for (const std::uint32_t channel : ledger_.channels_of(client)) {
    if (plan_.prefill_sender(channel) != plan_.user_of(client)) continue;
    for (std::uint32_t i = 0; i < settings_.in_flight_max; ++i) {
      if (!fill_next(slot, channel)) break;
    }
  }
  tell(slot, FlushOutbox{});
}

bool Swarm::fill_next(std::uint32_t slot, std::uint32_t channel) {
  std::uint32_t& next = fills_[channel];
  if (next == plan_.prefill_in(channel)) return false;
  const std::uint64_t index = (std::uint64_t{channel} << 32U) | next;
  tell(slot, SendDue{.channel = channel,
                     .ordinal = ~index,  // none of the window's
                     .due = now_,
                     .bytes = plan_.prefill_bytes(channel, next++)});
  return true;
}

bool Swarm::filled() const {
  return ramp_next_ == ramp_.size() && unsettled() == 0 && arriving_ == 0 && online_ == 0;
}

void Swarm::end_filling(std::span<const MessageId> heads) {
  filling_ = false;
  fills_.clear();
  timers_.clear();
  repairs_.clear();
  for (Client& client : clients_) {
    const std::uint32_t index = client.user.client;
    client = {};
    client.user.client = index;
  }
  ledger_.start_from(heads);
  recording_ = Recording{plan_.classes()};
  interval_ = {};
  finding_kinds_.clear();
  findings_.clear();
}

void Swarm::begin_connecting() {
  ramp_.clear();
  ramp_next_ = 0;
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    if (Schedule::connects_at_start(plan_, options_.first_client + slot)) ramp_.push_back(slot);
  }
  feed_ramp();
}

bool Swarm::all_connected() const { return online_ == ramp_.size(); }

void Swarm::feed_ramp() {
  // Who fills is not only on its way: it has much to send before it leaves.
  const auto busy = [this] { return arriving_ + (filling_ ? online_ : 0); };
  while (ramp_next_ < ramp_.size() && busy() < options_.opening_max) {
    const std::uint32_t slot = ramp_[ramp_next_++];
    if (filling_) {
      fill(slot);
    } else if (syncing_) {
      tell(slot, SyncAndLeave{});
    } else {
      tell(slot, Start{});
    }
  }
}

void Swarm::begin_window(Instant zero) {
  schedule_ = std::make_unique<Schedule>(plan_, options_.first_client, options_.last_client);
  window_zero_ = zero;
  window_end_ = zero + plan_.duration();
  interval_end_ = zero + 1s;
  interval_ = {};
  delivered_before_ = ledger_.totals().delivered;
}

void Swarm::step_to(Instant until) {
  hold_ = until;
  at_hold_ = false;
}

bool Swarm::step_taken() const {
  if (hold_ && !at_hold_) return false;
  return std::none_of(clients_.begin(), clients_.end(), [](const Client& client) {
    const Phase phase = client.user.phase;
    return phase == Phase::online ? client.user.outbox_size > 0
                                  : phase == Phase::backing_off || connected(phase);
  });
}

bool Swarm::at_rest() const {
  if (!step_taken()) return false;
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    if (clients_[slot].user.phase == Phase::online && !at_heads(slot)) return false;
  }
  return true;
}

void Swarm::cut_window(Instant now) {
  end_plan();
  close_intervals(now);
  window_end_ = std::min(window_end_, now);
}

void Swarm::close_intervals(Instant now) {
  while (interval_end_ <= now && interval_end_ - 1s < window_end_) {
    end_interval();
    interval_end_ += 1s;
  }
}

void Swarm::end_interval() {
  interval_.index = static_cast<std::uint32_t>((interval_end_ - window_zero_) / Duration{1s}) - 1;
  interval_.connected = online_;
  interval_.delivered = ledger_.totals().delivered - delivered_before_;
  delivered_before_ = ledger_.totals().delivered;
  intervals_.push_back(std::exchange(interval_, {}));
}

std::vector<IntervalRecord> Swarm::take_intervals() { return std::exchange(intervals_, {}); }

void Swarm::end_plan() {
  schedule_.reset();
  hold_.reset();
  at_hold_ = false;
}

void Swarm::begin_settling() {
  end_plan();
  ramp_.clear();
  ramp_next_ = 0;
  now_ = monotonic_now();
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) tell(slot, FlushOutbox{});
  connections_.flush();
}

void Swarm::begin_syncing(std::span<const MessageId> heads) {
  syncing_ = true;
  heads_.assign(heads.begin(), heads.end());
  now_ = monotonic_now();
  last_delivery_ = now_;
  ramp_.clear();
  ramp_next_ = 0;
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    if (clients_[slot].user.phase == Phase::idle) ramp_.push_back(slot);
  }
  feed_ramp();
}

bool Swarm::at_heads(std::uint32_t slot) const {
  const std::uint32_t client = clients_[slot].user.client;
  const auto channels = ledger_.channels_of(client);
  for (std::size_t index = 0; index < channels.size(); ++index) {
    if (ledger_.held(client, index) < heads_[channels[index]]) return false;
  }
  return true;
}

bool Swarm::synced() const {
  if (ramp_next_ < ramp_.size()) return false;
  const bool quiet = now_ - last_delivery_ > quiet_time;
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    const Client& client = clients_[slot];
    switch (client.user.phase) {
      case Phase::idle:
        if (!client.synced) return false;
        break;
      case Phase::online:
        if (!quiet && !at_heads(slot)) return false;
        break;
      case Phase::stopped:  // It will not return; unsynced() counts it.
        break;
      case Phase::backing_off:
      case Phase::connecting:
      case Phase::logging_in:
      case Phase::catching_up:
        return false;
    }
  }
  return true;
}

std::uint64_t Swarm::unsynced() const {
  return static_cast<std::uint64_t>(std::count_if(
      clients_.begin(), clients_.end(),
      [](const Client& client) { return client.user.phase != Phase::online && !client.synced; }));
}

void Swarm::finish() {
  now_ = monotonic_now();
  LedgerTotals& totals = ledger_.totals();
  for (std::uint32_t slot = 0; slot < clients_.size(); ++slot) {
    const VirtualUser& user = clients_[slot].user;
    for (std::uint32_t i = user.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
      ++unacknowledged(totals, pool_[i].attempts > 0);
    }
    tell(slot, Stop{});
  }
  connections_.flush();
}

std::size_t Swarm::memory_bytes() const {
  std::size_t tokens = 0;
  for (const Client& client : clients_) tokens += client.resume_token.capacity();
  return tokens + clients_.capacity() * sizeof(Client) + timers_.capacity() * sizeof(Timer) +
         class_of_channel_.capacity() * sizeof(std::uint32_t) + connections_.memory_bytes() +
         pool_.memory_bytes() + ledger_.memory_bytes();
}

// --- clients -------------------------------------------------------------------------------------

void Swarm::tell(std::uint32_t slot, const Input& input) {
  VirtualUser& user = clients_[slot].user;
  const Phase before = user.phase;
  actions_.clear();
  step(user, input, now_, settings_, pool_, actions_);
  online_ += static_cast<std::uint64_t>(user.phase == Phase::online);
  online_ -= static_cast<std::uint64_t>(before == Phase::online);
  arriving_ += static_cast<std::uint64_t>(arriving(user.phase));
  arriving_ -= static_cast<std::uint64_t>(arriving(before));
  for (const Action& action : actions_) {
    std::visit([this, slot](const auto& kind) { perform(slot, kind); }, action);
  }
}

void Swarm::perform(std::uint32_t slot, const OpenConnection&) {
  clients_[slot].opened_at = now_;
  connections_.open(slot, target_of_client_.empty() ? 0 : target_of_client_[slot]);
}

void Swarm::perform(std::uint32_t slot, const CloseCleanly&) {
  if (clients_[slot].news && connections_.is_open(slot)) send_device_ack(slot);
  connections_.close(slot);
}

void Swarm::perform(std::uint32_t slot, const SetTimer& timer) { set_timer({timer.at, slot, 0}); }

void Swarm::perform(std::uint32_t slot, const Acknowledged& ack) {
  const VirtualUser& user = clients_[slot].user;
  clients_[slot].news = true;  // The ack is the receipt of its own record.
  ++ledger_.totals().acknowledged;
  ++interval_.acknowledged;
  recording_.by_class[class_of_channel_[ack.channel]].ack.record(
      static_cast<std::uint64_t>(to_ns(now_ - ack.due)));
  const std::uint64_t unjudged = ledger_.acknowledge(
      user.client, ack.channel, ack.client_message_id, ack.message_id, record_kind(ack.kind));
  judge_holes(slot, ack.channel, unjudged, false);
}

void Swarm::perform(std::uint32_t slot, const Synced& synced) {
  Client& client = clients_[slot];
  // Whoever is here for the roll call only was not kept waiting by the server.
  const bool roll_call = client.user.flushing || (syncing_ && client.user.phase == Phase::idle);
  if (!synced.first && !roll_call) {
    recording_.catch_up.record(static_cast<std::uint64_t>(to_ns(now_ - synced.connect_began)));
  }
  if (const auto cut = cut_off_.find(slot); cut != cut_off_.end()) {
    recording_.recovery.record(static_cast<std::uint64_t>(to_ns(now_ - cut->second)));
    cut_off_.erase(cut);
  }
  if (!client.opened_once && !roll_call && now_ < window_end_) {
    client.opened_once = true;
    ++opened_;
  }
  client.synced = syncing_;
  if (client.user.phase == Phase::online) {
    set_timer({heartbeat_due_at(client.user, settings_), slot, client.user.session});
  }
}

void Swarm::perform(std::uint32_t slot, const GaveUpSend& given_up) {
  ++unacknowledged(ledger_.totals(), given_up.transmitted);
  find_once("gave up a send", "client " + std::to_string(clients_[slot].user.client) +
                                  " gave up send " + std::to_string(given_up.ordinal) +
                                  " of the plan: the server refused it for good");
}

void Swarm::perform(std::uint32_t slot, const GaveUp& gave_up) {
  find_once("gave up", "client " + std::to_string(clients_[slot].user.client) +
                           (gave_up.why == Ended::superseded
                                ? " was superseded: something else logs in as the same device"
                                : " was told not to come back"));
}

void Swarm::find_once(std::string_view kind, std::string what) {
  if (findings_.size() >= findings_max) return;
  if (std::find(finding_kinds_.begin(), finding_kinds_.end(), kind) != finding_kinds_.end()) return;
  finding_kinds_.emplace_back(kind);
  findings_.push_back(std::move(what));
}

void Swarm::break_off(std::string why) {
  if (fatal_.empty()) fatal_ = std::move(why);
}

}  // namespace clamor::loadgen
