#include "server/base/assert.hpp"
#include "server/core/limits.hpp"
#include "sim/world/wire_sizes.hpp"
#include "sim/world/world.hpp"

#include <algorithm>

// Nodes: what arrives, turns, and what leaves with them.
namespace clamor::sim {

// --- what arrives --------------------------------------------------------------------------------

void World::arrive(std::uint32_t index, ArrivalKind kind, std::uint32_t what, std::uint32_t begin,
                   std::uint32_t end) {
  Node& node = nodes_[index];
  if (node.down) return drop(index, {now_ns_, kind, what, begin, end});
  node.inbox_area +=
      static_cast<std::int64_t>(node.inbox.size()) * (now_ns_ - node.inbox_changed_ns);
  node.inbox_changed_ns = now_ns_;
  node.inbox.push_back({now_ns_, kind, what, begin, end});
  ++arrived_;
  if (node.turn_scheduled) return;
  beat(index, now_ns_);
  node.turn_scheduled = true;
  push_own(std::max(now_ns_, node.busy_until_ns), EventKind::turn, index);
}

/// A frame from a client that is no event: it joins the next turn, or makes a small one.
void World::computed_frame(std::uint32_t index, std::uint32_t bytes, std::int64_t at_ns) {
  Node& node = nodes_[index];
  if (node.down) return;
  ++operations_.frames_in;
  operations_.bytes_in += bytes;
  ++node.computed_waiting;
  node.computed_waiting_bytes += bytes;
  if (!node.turn_scheduled && node.busy_until_ns <= at_ns) small_turn(node, at_ns);
}

void World::beat(std::uint32_t index, std::int64_t until_ns) {
  Node& node = nodes_[index];
  const auto look = [&](std::uint32_t slot, std::int64_t at_ns) {
    loadgen::VirtualUser& user = users_[slot];
    const std::int64_t due_ns = to_ns(loadgen::heartbeat_due_at(user, user_settings_));
    const bool beats = due_ns <= at_ns;
    const bool again = beats || due_ns == never;
    const std::int64_t next_ns = again ? at_ns + to_ns(user_settings_.heartbeat_interval) : due_ns;
    if (next_ns < duration_ns_) node.heartbeats.add(slot, next_ns);
    if (!beats) return;
    user.last_sent_at = instant_from_ns(at_ns);
    ++heartbeats_;
    // Where there is news, the beat carries the positions.
    computed_frame(index, news_[slot] != 0 ? device_ack_bytes(slot) : wire::heartbeat_payload,
                   at_ns);
    if (news_[slot] != 0) acknowledge(slot, at_ns);
  };
  node.heartbeats.advance(std::min(until_ns, duration_ns_), look);
}

std::uint32_t World::device_ack_bytes(std::uint32_t slot) const {
  return wire::device_ack_payload +
         wire::position * static_cast<std::uint32_t>(topology_.channels_of(slot).size());
}

/// The queue writer takes an acknowledgement up with its next batch, position by position.
void World::acknowledge(std::uint32_t slot, std::int64_t at_ns) {
  news_[slot] = 0;
  said_ns_[slot] = at_ns;
  ++operations_.device_acks;
  const std::uint32_t queue_node = topology_.queue_node_of(slot);
  nodes_[queue_node].acked_positions += topology_.channels_of(slot).size();
  operations_.bus_frames += queue_node == topology_.node_of(slot) ? 0 : 1;
}

void World::device_ack(std::uint32_t slot) {
  acknowledge(slot, now_ns_);
  users_[slot].last_sent_at = instant_from_ns(now_ns_);
  computed_frame(topology_.node_of(slot), device_ack_bytes(slot), now_ns_);
}

/// A turn with nothing in it but computed frames: nobody sees when it ends but the next turn.
void World::small_turn(Node& node, std::int64_t at_ns) {
  const bool idle = node.busy_until_ns < at_ns;
  const std::int64_t ps =
      (idle ? turn_costs_.wake_ps : 0) + turn_costs_.turn_ps +
      static_cast<std::int64_t>(node.computed_waiting) * turn_costs_.frame_ps +
      static_cast<std::int64_t>(node.computed_waiting_bytes) * turn_costs_.frame_byte_ps;
  const std::int64_t ns = (ps + 999) / 1000;
  node.computed_waiting = 0;
  node.computed_waiting_bytes = 0;
  node.busy_until_ns = at_ns + ns;
  operations_.wakes += idle;
  ++operations_.turns;
  operations_.turn_ns += static_cast<std::uint64_t>(ns - (idle ? wake_ns_ : 0));
  metrics_.busy(at_ns, ns);
}

// --- a turn --------------------------------------------------------------------------------------

/// What a server looks at as its turn begins, before it takes anything in.
void World::observe_load(Node& node) {
  const auto since = [this](std::int64_t ns) {
    return ns == never ? Duration{} : Duration{now_ns_ - ns};
  };
  const core::QueueAge age{
      .input = since(arrivals_.empty() ? never : arrivals_.front().at_ns),
      .committer = since(std::min(node.committing_since_ns, node.commit_waiting_since_ns)),
      .turn = Duration{node.busy_until_ns < now_ns_ ? 0 : node.turn_length_ns}};
  core::observe(node.admission, age, instant_from_ns(now_ns_), core::AdmissionLimits{});
}

/// The threads of one server share its cores: work that begins while `others` of them are busy on
/// fewer cores takes longer in proportion.
std::int64_t World::stretched(std::int64_t ns, std::uint32_t others) const {
  return others < cores_ ? ns : ns * (others + 1) / cores_;
}

std::uint32_t World::busy_threads(const Node& node) const {
  // A committer that waits for the disk burns no core.
  return (!fsync_ && node.committer.batch_records() != 0 ? 1U : 0U) +
         (node.writer.batch_records() != 0 ? 1U : 0U);
}

void World::frame_in(std::uint32_t bytes) {
  ++operations_.frames_in;
  operations_.bytes_in += bytes;
  turn_.frames(1, bytes);
}

void World::run_turn(std::uint32_t index) {
  Node& node = nodes_[index];
  beat(index, now_ns_);
  node.turn_scheduled = false;
  node.last_turn_ns = now_ns_;
  node.inbox_area +=
      static_cast<std::int64_t>(node.inbox.size()) * (now_ns_ - node.inbox_changed_ns);
  node.inbox_changed_ns = now_ns_;
  arrivals_.clear();
  arrivals_.swap(node.inbox);
  observe_load(node);
  const std::uint32_t others = busy_threads(node);
  turn_.begin(now_ns_, others < cores_ ? 1 : others + 1, others < cores_ ? 1 : cores_);
  if (node.busy_until_ns < now_ns_) {
    ++operations_.wakes;
    turn_.wake();
  }
  turn_.frames(node.computed_waiting, node.computed_waiting_bytes);
  node.computed_waiting = 0;
  node.computed_waiting_bytes = 0;
  for (const Arrival& arrival : arrivals_) {
    node.waited_ns += now_ns_ - arrival.at_ns;
    ++taken_;
    take(index, arrival);
  }
  leave_node(index, turn_.decided_ns());
  turn_.flush();
  complete_turn(index);
}

void World::take(std::uint32_t index, const Arrival& arrival) {
  switch (arrival.kind) {
    case ArrivalKind::flight:
      return take_flight(index, arrival.index);
    case ArrivalKind::send: {
      const SendFrame& frame = frames_[arrival.index];
      frame_in(frame.payload_bytes());
      const core::Admission admission =
          core::admit(core::MessageClass::message, nodes_[index].admission);
      if (!admission.taken) {
        ++operations_.messages_refused;
        return refuse_send(index, arrival.index, admission.retry_after);
      }
      if (topology_.owner_of(frame.channel) == index) return decide_send(index, arrival.index);
      if (nodes_[topology_.owner_of(frame.channel)].down) {
        return refuse_send(index, arrival.index, core::retry_when_unavailable);
      }
      turn_.posts(1);
      ++operations_.bus_frames;
      out_.forwards.push_back(arrival.index);
      return;
    }
    case ArrivalKind::forwarded:
      turn_.frames(1, frames_[arrival.index].payload_bytes());
      return decide_send(index, arrival.index);
    case ArrivalKind::commit: {
      turn_.posts(1);
      ++operations_.posts;
      committed_.clear();
      committed_.swap(nodes_[index].committed);
      for (const std::uint32_t record : committed_) became_durable(index, record);
      return;
    }
    case ArrivalKind::relay:
      turn_.frames(1, wire::record(records_[arrival.index].bytes));
      return deliver(arrival.index, topology_.members_of(records_[arrival.index].channel)
                                        .subspan(arrival.begin, arrival.end - arrival.begin));
    case ArrivalKind::queue_batch:
      turn_.frames(1, wire::record_payload + 8 * arrival.begin);
      turn_.posts(1);
      ++operations_.posts;
      return queue_entries(index, {arrival.index, arrival.begin}, turn_.decided_ns());
    case ArrivalKind::queue_applied:
      turn_.posts(1);
      ++operations_.posts;
      return send_due_acks(index);
    case ArrivalKind::presence:
      return presence_turn(index);
  }
}

void World::take_flight(std::uint32_t index, std::uint32_t what) {
  Flight& flight = flights_[what];
  switch (flight.stage) {
    case Stage::connect_at_node:
      turn_.work(accept_ps_);
      flight.stage = Stage::connected_at_client;
      if (!core::admit(core::MessageClass::login, nodes_[index].admission).taken) {
        ++operations_.logins_refused;
        flight.stage = Stage::turned_away_at_client;
      }
      out_.flights_to_client.push_back(what);
      return;
    case Stage::login_at_node:
      frame_in(wire::login_payload +
               wire::position *
                   static_cast<std::uint32_t>(topology_.channels_of(flight.slot).size()));
      if (!in_session(flight)) return land(what);
      if (const core::Admission admission =
              core::admit(core::MessageClass::login, nodes_[index].admission);
          !admission.taken) {
        ++operations_.logins_refused;
        return refuse_login(what, admission.retry_after);
      }
      if (needs_what_is_down(flight.slot)) return refuse_login(what, core::retry_when_unavailable);
      if (topology_.nodes() > 1) {  // heads and records are at the channels' owners
        flight.stage = Stage::heads_at_node;
        turn_.posts(1);
        operations_.bus_frames += 2;
        out_.heads.push_back(what);
        return;
      }
      break;
    case Stage::heads_at_node:
      turn_.frames(1, wire::position * 8);
      if (!in_session(flight)) return land(what);
      if (needs_what_is_down(flight.slot)) return refuse_login(what, core::retry_when_unavailable);
      break;
    case Stage::next_page_at_node:
      frame_in(wire::next_page_payload);
      if (!in_session(flight)) return land(what);
      ++operations_.frames_out;
      return send_page(flight.slot, what);
    case Stage::typing_at_node:
    case Stage::typing_at_owner:
    case Stage::typing_at_member_node:
      return take_typing(index, what);
    case Stage::ack_at_node:
    case Stage::refusal_at_node:
      turn_.frames(1, wire::ack);
      return answer(what);
    default:
      broken("a flight that no node expects");
  }
  attach(index, flight.slot);
  turn_.send(flight.slot, wire::login_accepted);
  operations_.frames_out += 2;
  send_page(flight.slot, what);
}

void World::refuse_login(std::uint32_t what, Duration retry_after) {
  Flight& flight = flights_[what];
  ++operations_.frames_out;
  flight.stage = Stage::login_refused_at_client;
  flight.id = wire::whole_milliseconds(retry_after);
  flush_flight(flight.slot, wire::refused, what);
}

/// Sends an acknowledgement or refusal to the client's present session, if it has one.
void World::answer(std::uint32_t what) {
  Flight& flight = flights_[what];
  const bool ack = flight.stage == Stage::ack_at_node;
  if (sessions_[flight.slot].attached == none) {
    if (ack) ack_lost(flight);
    return land(what);
  }
  // An acknowledgement finds the device wherever it is; a refusal is for the session that asked.
  if (!ack && !in_session(flight)) return land(what);
  flight.session = users_[flight.slot].session;
  flight.stage = ack ? Stage::ack_at_client : Stage::refusal_at_client;
  ++operations_.frames_out;
  flush_flight(flight.slot, ack ? wire::ack : wire::refused, what);
}

/// Queues a frame of `bytes` for the flush; `what` lands with it at the client.
void World::flush_flight(std::uint32_t slot, std::uint32_t bytes, std::uint32_t what) {
  const std::uint32_t dirty = turn_.send(slot, bytes);
  out_.flushed_flights.push_back({dirty, what, turn_.dirty()[dirty].messages});
}

/// The same from the channel's owner: here, or by the bus to the client's gateway.
void World::answer_from(std::uint32_t index, const Flight& flight) {
  const std::uint32_t what = fly(flight);
  if (topology_.node_of(flight.slot) == index) return answer(what);
  turn_.posts(1);
  ++operations_.bus_frames;
  out_.flights_to_node.push_back(what);
}

// --- a turn's end --------------------------------------------------------------------------------

/// What the turn decided leaves the node, in order, before the sessions are flushed.
void World::leave_node(std::uint32_t index, std::int64_t decided_ns) {
  Node& node = nodes_[index];
  if (!node.accepted.empty()) {
    node.handed.insert(node.handed.end(), node.accepted.begin(), node.accepted.end());
    node.accepted.clear();
    push_own(decided_ns, EventKind::commit_handed, index);
  }
  // A link keeps its order: frames of one turn leave a nanosecond apart.
  std::int64_t bus_ns = decided_ns + node_delay_ns_;
  for (const std::uint32_t send : out_.forwards) push(bus_ns++, EventKind::send_at_owner, send);
  for (const std::uint32_t flight : out_.flights_to_node) launch(bus_ns++, flight);
  for (const std::uint32_t relay : out_.relays) {
    record_states_[relays_[relay].record].relay_ns = bus_ns;
    push(bus_ns++, EventKind::relay, relay);
  }
  for (const std::uint32_t record : out_.queue_batches) {
    push(bus_ns++, EventKind::queue_batches, record);
  }
  for (const std::uint32_t flight : out_.heads) launch(decided_ns + 2 * node_delay_ns_, flight);
  for (const std::uint32_t flight : out_.flights_to_client) {
    launch(decided_ns + client_delay_ns_, flight);
  }
  out_.forwards.clear();
  out_.flights_to_node.clear();
  out_.relays.clear();
  out_.queue_batches.clear();
  out_.heads.clear();
  out_.flights_to_client.clear();
}

void World::complete_turn(std::uint32_t index) {
  const auto dirty = turn_.dirty();
  for (const Outgoing::Flushed& flushed : out_.flushed_flights) {
    // One write, but its frames are read in order: a nanosecond apart.
    const std::int64_t at_ns = dirty[flushed.dirty].completed_ns + client_delay_ns_ + flushed.order;
    const Flight& flight = flights_[flushed.flight];
    if (flight.stage == Stage::page_at_client && flight.last) {
      syncs_[sessions_[flight.slot].sync].last_page_ns = at_ns;
    }
    launch(at_ns, flushed.flight);
  }
  for (const Outgoing::Delivery& delivery : out_.deliveries) {
    const Turn::Dirty& to = dirty[delivery.dirty];
    const std::int64_t at_ns = to.completed_ns + client_delay_ns_;
    const Session& session = sessions_[to.session];
    const Record& record = records_[delivery.record];
    // Planned ends are known; so is whether a client gives up before its last page lands.
    const bool given_up = session.sync != none &&
                          syncs_[session.sync].last_page_ns >= to_ns(users_[to.session].timer_at);
    if (at_ns >= session.cut_ns || given_up) {
      const auto [note, fresh] =
          missed_.try_emplace(pair_key(to.session, record.channel), record.id);
      if (!fresh) note->second = std::min(note->second, record.id);
      has_missed_[to.session] = 1;
      continue;
    }
    news_[to.session] = 1;
    if (to.session == record.sender) {
      ++ledger_.echoed;
      continue;
    }
    ++ledger_.delivered;
    ++delivered_by_class_[record.channel_class];
    if (record.is_mode()) continue;  // Without a time at which it was due.
    if (tracing_ && traced(to.session, record.channel)) {
      trace(to.session, at_ns,
            "receives record " + std::to_string(record.id) + " of channel " +
                std::to_string(record.channel));
    }
    // A deletion has no text that could say when it was due.
    if (record.kind == scenario::SendKind::deletion || (rolling_ && in_roll_call(to.session))) {
      metrics_.delivery_uncounted(at_ns);
      continue;
    }
    const std::int64_t start_ns = owed_since_ns(to.session, record.due_ns, at_ns);
    metrics_.delivery(record.channel_class, record.waited ? Path::outbox : Path::live,
                      std::min(start_ns, at_ns), record.sent_ns, at_ns);
  }
  complete_notices();
  operations_.frames_out += out_.deliveries.size();
  out_.flushed_flights.clear();
  out_.deliveries.clear();

  std::uint64_t bytes = 0;
  for (const Turn::Dirty& one : dirty) bytes += one.bytes;
  operations_.flushes += dirty.size();
  operations_.bytes_out += bytes;
  ++operations_.turns;
  operations_.turn_ns += static_cast<std::uint64_t>(turn_.spent_awake_ns());
  metrics_.busy(now_ns_, turn_.spent_ns());
  nodes_[index].busy_until_ns = turn_.end_ns();
  nodes_[index].turn_length_ns = turn_.end_ns() - turn_.start_ns();
}

}  // namespace clamor::sim
