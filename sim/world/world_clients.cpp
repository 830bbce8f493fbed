#include "loadgen/user/ledger.hpp"
#include "loadgen/user/send_kind.hpp"
#include "loadgen/user/waiting.hpp"
#include "server/base/assert.hpp"
#include "server/core/limits.hpp"
#include "sim/world/wire_sizes.hpp"
#include "sim/world/world.hpp"

#include <algorithm>
#include <chrono>
#include <variant>

// What clients do: inputs to the virtual users, their actions, and what reaches them.
namespace clamor::sim {

using loadgen::Phase;

template <class In>
void World::step(std::uint32_t slot, const In& input) {
  actions_.clear();
  loadgen::step(users_[slot], loadgen::Input{input}, instant_from_ns(now_ns_), user_settings_,
                outbox_, actions_);
  for (std::size_t i = 0; i < actions_.size(); ++i) {
    act(slot, actions_[i], static_cast<std::int64_t>(i));  // never steps: actions_ stays
  }
}

// The inputs that other files bring.
template void World::step(std::uint32_t, const loadgen::Start&);
template void World::step(std::uint32_t, const loadgen::Connected&);
template void World::step(std::uint32_t, const loadgen::LoggedIn&);
template void World::step(std::uint32_t, const loadgen::CaughtUp&);
template void World::step(std::uint32_t, const loadgen::Disconnected&);
template void World::step(std::uint32_t, const loadgen::SendDue&);
template void World::step(std::uint32_t, const loadgen::TypingDue&);
template void World::step(std::uint32_t, const loadgen::FlushOutbox&);
template void World::step(std::uint32_t, const loadgen::SyncAndLeave&);
template void World::step(std::uint32_t, const loadgen::HeartbeatDue&);

void World::act(std::uint32_t slot, const loadgen::Action& action, std::int64_t order) {
  if (const auto* send = std::get_if<loadgen::SendMessage>(&action)) {
    transmit(slot, *send, order);
  } else if (const auto* typing = std::get_if<loadgen::SendTyping>(&action)) {
    launch(now_ns_ + client_delay_ns_, fly({.slot = slot,
                                            .session = users_[slot].session,
                                            .stage = Stage::typing_at_node,
                                            .channel = typing->channel}));
  } else if (const auto* timer = std::get_if<loadgen::SetTimer>(&action)) {
    arm_timer(slot, to_ns(timer->at));
  } else if (std::holds_alternative<loadgen::OpenConnection>(action)) {
    if (!started_) return;
    trace(slot, now_ns_, "connects");
    opened_ns_[slot] = now_ns_;
    launch(now_ns_ + client_delay_ns_,
           fly({.slot = slot, .session = users_[slot].session, .stage = Stage::connect_at_node}));
  } else if (std::holds_alternative<loadgen::SendLogin>(action)) {
    if (!started_) return;
    launch(now_ns_ + client_delay_ns_,
           fly({.slot = slot, .session = users_[slot].session, .stage = Stage::login_at_node}));
  } else if (const auto* synced = std::get_if<loadgen::Synced>(&action)) {
    if (!started_) return;
    trace(slot, now_ns_, "is online, all positions current");
    const bool only_for_roll_call =
        users_[slot].flushing || (rolling_ && users_[slot].phase == Phase::idle);
    if (!synced->first && !only_for_roll_call) {
      metrics_.caught_up(now_ns_ - to_ns(synced->connect_began));
    }
    if (const auto cut = cut_off_ns_.find(slot); cut != cut_off_ns_.end()) {
      metrics_.recovered(now_ns_ - cut->second);
      cut_off_ns_.erase(cut);
    }
  } else if (std::holds_alternative<loadgen::SubscribePresence>(action)) {
    subscribe_presence(slot);
  } else if (std::holds_alternative<loadgen::UnsubscribePresence>(action)) {
    unsubscribe_presence(slot);
  } else if (std::holds_alternative<loadgen::CloseCleanly>(action)) {
    if (sessions_[slot].attached != none && news_[slot] != 0) device_ack(slot);
    detach(slot);
    computed_frame(topology_.node_of(slot), 2, now_ns_);  // the close frame
  } else if (const auto* acknowledged = std::get_if<loadgen::Acknowledged>(&action)) {
    ++ledger_.acknowledged;
    news_[slot] = 1;  // the ack is the receipt of its own record
    if (traced(slot, acknowledged->channel)) {
      trace(slot, now_ns_,
            "is acknowledged number " + std::to_string(acknowledged->client_message_id.value) +
                " in channel " + std::to_string(acknowledged->channel));
    }
    metrics_.acked(plan_.class_of(acknowledged->channel), to_ns(acknowledged->due), now_ns_);
  } else if (const auto* given_up = std::get_if<loadgen::GaveUpSend>(&action)) {
    ++loadgen::unacknowledged(ledger_, given_up->transmitted);
  }
}

void World::transmit(std::uint32_t slot, const loadgen::SendMessage& send, std::int64_t order) {
  std::uint32_t index = 0;
  if (free_frames_.empty()) {
    index = static_cast<std::uint32_t>(frames_.size());
    frames_.emplace_back();
  } else {
    index = free_frames_.back();
    free_frames_.pop_back();
  }
  frames_[index] = {.due_ns = to_ns(send.due),
                    .sent_ns = now_ns_,
                    .slot = slot,
                    .session = users_[slot].session,
                    .channel = send.channel,
                    .client_message_id = static_cast<std::uint32_t>(send.client_message_id.value),
                    .bytes = loadgen::text_bytes(send.kind, send.bytes),
                    .waited = send.waited,
                    .mentions = send.mentioned != scenario::nobody,
                    .kind = send.kind};
  if (send.attempt == 0) {
    ++ledger_.sent;
    metrics_.sent(now_ns_);
  } else {
    ++ledger_.resends;
  }
  if (traced(slot, send.channel)) {
    trace(slot, now_ns_,
          "sends number " + std::to_string(send.client_message_id.value) + " in channel " +
              std::to_string(send.channel));
  }
  // One connection keeps its order: what leaves in one instant leaves a nanosecond apart.
  push(now_ns_ + client_delay_ns_ + order, EventKind::send_at_node, index);
  arm_timer(slot, to_ns(send.resend_at));
  // Who sends all the time has no heartbeats to put it in.
  if (news_[slot] == 0 || sessions_[slot].attached == none) return;
  if (now_ns_ - said_ns_[slot] >= to_ns(user_settings_.heartbeat_interval)) device_ack(slot);
}

void World::arm_timer(std::uint32_t slot, std::int64_t at_ns) {
  // One event a client: when it comes, timer() looks for what is due next.
  if (!started_ || at_ns >= timer_event_ns_[slot]) return;
  timer_event_ns_[slot] = at_ns;
  push(std::max(at_ns, now_ns_), EventKind::timer, slot);
}

void World::timer(std::uint32_t slot) {
  timer_event_ns_[slot] = never;
  loadgen::VirtualUser& user = users_[slot];
  step(slot, loadgen::TimerDue{});
  std::int64_t next_ns = never;
  if (user.phase == Phase::online) {
    for (std::uint32_t i = user.outbox_first; i != loadgen::OutboxPool::none; i = outbox_[i].next) {
      const std::int64_t deadline_ns = to_ns(outbox_[i].deadline);
      if (deadline_ns > now_ns_) next_ns = std::min(next_ns, deadline_ns);
    }
  } else if (user.timer_at != Instant::max()) {
    next_ns = std::max(to_ns(user.timer_at), now_ns_ + 1);
  }
  if (next_ns != never) arm_timer(slot, next_ns);
}

void World::presence(std::uint32_t slot) {
  absences_.clear();
  plan_.absences(topology_.user_of(slot), absences_);
  const Instant now = instant_from_ns(now_ns_);
  // The absence that begins or ends now; the next begin is planned by the end before it.
  for (std::size_t i = 0; i < absences_.size(); ++i) {
    const scenario::Absence absence = absences_[i];
    const bool inside = away_until_of(slot) == to_ns(absence.until) &&
                        away_from_ns_[slot] == to_ns(absence.from) && away_[slot] != 0;
    if (absence.from == now && !inside) {
      away_[slot] = 1;
      away_from_ns_[slot] = to_ns(absence.from);
      sessions_[slot].away_until_ns = to_ns(absence.until);
      trace(slot, now_ns_, "leaves as planned");
      cut_off_ns_.erase(slot);
      step(slot, loadgen::Leave{});
      if (to_ns(absence.until) < duration_ns_) {
        push(to_ns(absence.until), EventKind::presence, slot);
      }
      return;
    }
    if (absence.until == now && inside) {
      away_[slot] = 0;
      trace(slot, now_ns_, "comes back as planned");
      step(slot, loadgen::ComeBack{});
      if (i + 1 < absences_.size() && to_ns(absences_[i + 1].from) < duration_ns_) {
        push(to_ns(absences_[i + 1].from), EventKind::presence, slot);
      }
      return;
    }
  }
  broken("a presence event that no absence explains");
}

void World::disconnect_hit(std::uint32_t fault) {
  for (std::uint32_t slot = 0; slot < topology_.slots(); ++slot) {
    if (!loadgen::connected(users_[slot].phase)) continue;
    if (!plan_.hits(fault, topology_.client_of(slot))) continue;
    cut_off(slot, "is disconnected by a fault");
  }
}

std::uint32_t World::fly(const Flight& flight) {
  if (free_flights_.empty()) {
    flights_.push_back(flight);
    return static_cast<std::uint32_t>(flights_.size() - 1);
  }
  const std::uint32_t index = free_flights_.back();
  free_flights_.pop_back();
  flights_[index] = flight;
  return index;
}

void World::launch(std::int64_t at_ns, std::uint32_t index) {
  push(at_ns, EventKind::flight, index);
}

bool World::in_session(const Flight& flight) const {
  const loadgen::VirtualUser& user = users_[flight.slot];
  return user.session == flight.session && loadgen::connected(user.phase);
}

bool World::in_roll_call(std::uint32_t slot) const {
  return users_[slot].leave_in_sync || users_[slot].flushing;
}

void World::flight_landed(std::uint32_t index) {
  const Flight flight = flights_[index];
  const std::uint32_t slot = flight.slot;
  switch (flight.stage) {
    case Stage::connect_at_node:
    case Stage::login_at_node:
    case Stage::heads_at_node:
    case Stage::next_page_at_node:
    case Stage::ack_at_node:
    case Stage::refusal_at_node:
      return arrive(topology_.node_of(slot), ArrivalKind::flight, index);
    case Stage::connected_at_client:
      if (in_session(flight)) step(slot, loadgen::Connected{});
      break;
    case Stage::typing_at_node:
      return arrive(topology_.node_of(slot), ArrivalKind::flight, index);
    case Stage::typing_at_owner:
      return arrive(topology_.owner_of(flight.channel), ArrivalKind::flight, index);
    case Stage::typing_at_member_node:
      return arrive(flight.number, ArrivalKind::flight, index);
    case Stage::page_at_client:
      if (in_session(flight)) page_came(flight);
      break;
    case Stage::ack_at_client:
      if (in_session(flight)) {
        step(slot, loadgen::AckCame{flight.channel, {flight.number}, {flight.id}});
      } else {
        ack_lost(flight);
      }
      break;
    case Stage::refusal_at_client:
      if (in_session(flight)) {
        const bool retry = flight.refusal == loadgen::SendRefusal::retry;
        const Duration retry_after =
            retry ? Duration{std::chrono::milliseconds{flight.id}} : Duration{};
        step(slot, loadgen::SendRefused{.channel = flight.channel,
                                        .client_message_id = {flight.number},
                                        .how = flight.refusal,
                                        .retry_after = retry_after,
                                        .expected = {flight.id}});
      }
      break;
    case Stage::turned_away_at_client:
      if (in_session(flight)) step(slot, loadgen::ConnectFailed{});
      break;
    case Stage::login_refused_at_client:
      if (in_session(flight)) {
        step(slot, loadgen::Disconnected{.how = loadgen::Ended::back_off,
                                         .retry_after = std::chrono::milliseconds{flight.id}});
      }
      break;
  }
  land(index);
}

void World::ack_lost(const Flight& flight) {
  // The device does not know its record: its position stays below it.
  const Session& session = sessions_[flight.slot];
  if (session.attached == none && flight.durable >= session.last_attached &&
      flight.durable <= session.last_detached) {
    lower(flight.slot, flight.channel, flight.id);
  }
}

void World::page_came(const Flight& flight) {
  const std::uint32_t slot = flight.slot;
  Session& session = sessions_[slot];
  CLAMOR_ASSERT(session.sync != none && session.attached != none);
  if (users_[slot].phase == Phase::logging_in) {
    if (!in_roll_call(slot)) metrics_.connected(now_ns_ - opened_ns_[slot]);
    step(slot, loadgen::LoggedIn{});
  }
  // By index: the steps below may add to syncs_.
  for (std::uint32_t i = flight.begin; i < flight.end; ++i) {
    const auto& pending = syncs_[session.sync].pending;
    if (i + 8 < flight.end) __builtin_prefetch(&records_[pending[i + 8]]);
    deliver_caught_up(slot, pending[i]);
  }
  if (flight.end > flight.begin) device_ack(slot);
  if (flight.last) {
    free_sync(slot);
    step(slot, loadgen::CaughtUp{});
    return;
  }
  // Kept page by page: an end now must not ask for them again.
  Sync& sync = syncs_[session.sync];
  const auto channels = topology_.channels_of(slot);
  assign_starts(slot, sync.held);
  for (std::uint32_t i = flight.begin; i < flight.end; ++i) {
    const Record& record = records_[sync.pending[i]];
    const auto at = std::lower_bound(channels.begin(), channels.end(), record.channel);
    sync.held[static_cast<std::size_t>(at - channels.begin())] = record.id;
  }
  launch(now_ns_ + client_delay_ns_,
         fly({.slot = slot, .session = flight.session, .stage = Stage::next_page_at_node}));
}

void World::deliver_caught_up(std::uint32_t slot, std::uint32_t index) {
  const Record& record = records_[index];
  if (record.sender == slot) {
    ++ledger_.echoed;
    return;
  }
  ++ledger_.delivered;
  ++delivered_by_class_[record.channel_class];
  if (record.is_mode()) return;  // Without a time at which it was due.
  if (traced(slot, record.channel)) {
    trace(slot, now_ns_,
          "catches up record " + std::to_string(record.id) + " of channel " +
              std::to_string(record.channel));
  }
  if (record.kind == scenario::SendKind::deletion || in_roll_call(slot))
    return metrics_.delivery_uncounted(now_ns_);
  const std::int64_t start_ns = owed_since_ns(slot, record.due_ns, now_ns_);
  metrics_.delivery(record.channel_class, Path::catchup, start_ns, record.sent_ns, now_ns_);
}

std::int64_t World::owed_since_ns(std::uint32_t slot, std::int64_t due_ns, std::int64_t at_ns) {
  const std::int64_t away_until_ns = sessions_[slot].away_until_ns;
  if (due_ns >= away_until_ns) return due_ns;
  if (due_ns >= away_from_ns_[slot]) return away_until_ns;
  absences_.clear();
  plan_.absences(topology_.user_of(slot), absences_);
  return at_ns -
         to_ns(loadgen::waiting_time(absences_, instant_from_ns(due_ns), instant_from_ns(at_ns)));
}

void World::trace(std::uint32_t slot, std::int64_t at_ns, const std::string& what) const {
  if (!tracing_ || !(traced_slot(slot) || settings_.trace_channel)) return;
  const std::string ns = std::to_string(at_ns);
  const std::string padded = ns.size() < 10 ? std::string(10 - ns.size(), '0') + ns : ns;
  settings_.trace(padded.substr(0, padded.size() - 9) + "." + padded.substr(padded.size() - 9) +
                  "s user " + std::to_string(topology_.user_of(slot)) + " client " +
                  std::to_string(topology_.client_of(slot)) + " node " +
                  std::to_string(topology_.node_of(slot)) + ": " + what);
}

}  // namespace clamor::sim
