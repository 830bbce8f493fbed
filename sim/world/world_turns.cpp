#include "server/base/assert.hpp"
#include "sim/world/wire_sizes.hpp"
#include "sim/world/world.hpp"

#include <algorithm>

// Nodes: turns, the committer, fan-out, queue writers.
namespace clamor::sim {

// --- what arrives --------------------------------------------------------------------------------

void World::arrive(std::uint32_t index, ArrivalKind kind, std::uint32_t what,
                   std::uint32_t entries) {
  Node& node = nodes_[index];
  node.inbox_area +=
      static_cast<std::int64_t>(node.inbox.size()) * (now_ns_ - node.inbox_changed_ns);
  node.inbox_changed_ns = now_ns_;
  node.inbox.push_back({now_ns_, kind, what, entries});
  ++arrived_;
  if (node.turn_scheduled) return;
  beat(index, now_ns_);
  node.turn_scheduled = true;
  push(std::max(now_ns_, node.busy_until_ns), EventKind::turn, index);
}

/// A frame from a client that is no event: it joins the next turn, or makes a small one.
void World::computed_frame(std::uint32_t index, std::uint32_t bytes, std::int64_t at_ns) {
  Node& node = nodes_[index];
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
    news_[slot] = 0;
  };
  node.heartbeats.advance(std::min(until_ns, duration_ns_), look);
}

std::uint32_t World::device_ack_bytes(std::uint32_t slot) const {
  return wire::device_ack_payload +
         wire::position * static_cast<std::uint32_t>(topology_.channels_of(slot).size());
}

void World::device_ack(std::uint32_t slot) {
  news_[slot] = 0;
  users_[slot].last_sent_at = instant_from_ns(now_ns_);
  computed_frame(topology_.node_of(slot), device_ack_bytes(slot), now_ns_);
}

/// A turn with nothing in it but computed frames: nobody sees when it ends but the next turn.
void World::small_turn(Node& node, std::int64_t at_ns) {
  const std::int64_t ps =
      turn_costs_.turn_ps +
      static_cast<std::int64_t>(node.computed_waiting) * turn_costs_.frame_ps +
      static_cast<std::int64_t>(node.computed_waiting_bytes) * turn_costs_.frame_byte_ps;
  const std::int64_t ns = (ps + 999) / 1000;
  node.computed_waiting = 0;
  node.computed_waiting_bytes = 0;
  node.busy_until_ns = at_ns + ns;
  ++operations_.turns;
  operations_.turn_ns += static_cast<std::uint64_t>(ns);
  metrics_.busy(at_ns, ns);
}

// --- a turn --------------------------------------------------------------------------------------

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
  node.inbox_area +=
      static_cast<std::int64_t>(node.inbox.size()) * (now_ns_ - node.inbox_changed_ns);
  node.inbox_changed_ns = now_ns_;
  arrivals_.clear();
  arrivals_.swap(node.inbox);
  const std::uint32_t others = busy_threads(node);
  turn_.begin(now_ns_, others < cores_ ? 1 : others + 1, others < cores_ ? 1 : cores_);
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
      frame_in(wire::send_payload + frame.bytes);
      if (topology_.owner_of(frame.channel) == index) return decide_send(index, arrival.index);
      turn_.posts(1);
      ++operations_.bus_frames;
      out_.forwards.push_back(arrival.index);
      return;
    }
    case ArrivalKind::forwarded:
      turn_.frames(1, wire::send_payload + frames_[arrival.index].bytes);
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
      return deliver_local(index, arrival.index);
    case ArrivalKind::queue_batch:
      turn_.frames(1, wire::record_payload + 8 * arrival.entries);
      turn_.posts(1);
      ++operations_.posts;
      return queue_entries(index, {arrival.index, arrival.entries}, turn_.decided_ns());
  }
}

void World::take_flight(std::uint32_t index, std::uint32_t what) {
  Flight& flight = flights_[what];
  switch (flight.stage) {
    case Stage::connect_at_node:
      turn_.work(accept_ps_);
      flight.stage = Stage::connected_at_client;
      out_.flights_to_client.push_back(what);
      return;
    case Stage::login_at_node:
      frame_in(wire::login_payload +
               wire::position *
                   static_cast<std::uint32_t>(topology_.channels_of(flight.slot).size()));
      if (!in_session(flight)) return land(what);
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
      break;
    case Stage::next_page_at_node:
      frame_in(wire::next_page_payload);
      if (!in_session(flight)) return land(what);
      ++operations_.frames_out;
      return send_page(flight.slot, what);
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

/// Sends an acknowledgement or refusal to the client's present session, if it has one.
void World::answer(std::uint32_t what) {
  Flight& flight = flights_[what];
  if (sessions_[flight.slot].attached == none) {
    ack_lost(flight);
    return land(what);
  }
  flight.session = users_[flight.slot].session;
  const bool ack = flight.stage == Stage::ack_at_node;
  flight.stage = ack ? Stage::ack_at_client : Stage::refusal_at_client;
  ++operations_.frames_out;
  out_.flushed_flights.push_back({turn_.send(flight.slot, ack ? wire::ack : wire::refused), what});
}

/// The same from the channel's owner: here, or by the bus to the client's gateway.
void World::answer_from(std::uint32_t index, const Flight& flight) {
  const std::uint32_t what = fly(flight);
  if (topology_.node_of(flight.slot) == index) return answer(what);
  turn_.posts(1);
  ++operations_.bus_frames;
  out_.flights_to_node.push_back(what);
}

void World::decide_send(std::uint32_t index, std::uint32_t what) {
  const SendFrame frame = frames_[what];
  free_frames_.push_back(what);
  core::ChannelHead& head = heads_[frame.channel];
  const DedupTable::Row dedup = dedup_.row_of(frame.slot, frame.channel);
  const core::Accepted accepted =
      core::accept(head, dedup.row, dedup.ring, 1, ClientMessageId{frame.client_message_id});
  Flight reply{.slot = frame.slot,
               .stage = Stage::ack_at_node,
               .channel = frame.channel,
               .number = frame.client_message_id,
               .id = static_cast<std::uint32_t>(accepted.id.value)};
  switch (accepted.outcome) {
    case core::AcceptOutcome::accepted: {
      CLAMOR_ASSERT(accepted.id.value < none);
      const auto record = static_cast<std::uint32_t>(records_.size());
      records_.push_back({.due_ns = frame.due_ns,
                          .sent_ns = frame.sent_ns,
                          .channel = frame.channel,
                          .id = reply.id,
                          .sender = frame.slot,
                          .bytes = frame.bytes,
                          .previous = last_record_[frame.channel],
                          .client_message_id = frame.client_message_id,
                          .channel_class = static_cast<std::uint8_t>(plan_.class_of(frame.channel)),
                          .waited = frame.waited});
      last_record_[frame.channel] = record;
      nodes_[index].accepted.push_back(record);
      return;
    }
    case core::AcceptOutcome::duplicate:
      ++operations_.duplicate_sends;
      return answer_from(index, reply);
    case core::AcceptOutcome::duplicate_pending:
      ++operations_.duplicate_sends;
      return;  // the pending commit's ack serves
    case core::AcceptOutcome::expected_next:
      reply.stage = Stage::refusal_at_node;
      reply.id = static_cast<std::uint32_t>(accepted.expected.value);
      return answer_from(index, reply);
    case core::AcceptOutcome::too_many_pending:
      reply.stage = Stage::refusal_at_node;
      reply.retry = true;
      return answer_from(index, reply);
    case core::AcceptOutcome::too_old:
      broken("a resend below the dedup ring: the ring is too short for this plan");
  }
}

// --- fan-out -------------------------------------------------------------------------------------

void World::became_durable(std::uint32_t index, std::uint32_t what) {
  Record& record = records_[what];
  core::ChannelHead& head = heads_[record.channel];
  CLAMOR_ASSERT(head.durable_head + 1 == MessageId{record.id});
  head.durable_head = MessageId{record.id};
  record.durable = ++sequence_;
  const std::uint64_t expected = topology_.devices_in(record.channel) - 1U;
  ++operations_.records;
  operations_.expected_deliveries += expected;
  expected_by_class_[record.channel_class] += expected;
  operations_.log_bytes +=
      static_cast<std::uint64_t>(settings_.costs.log_record_bytes) + record.bytes;
  if (traced(record.sender, record.channel)) {
    trace(record.sender, now_ns_,
          "has record " + std::to_string(record.id) + " of channel " +
              std::to_string(record.channel) + " in the log");
  }
  answer_from(index, {.slot = record.sender,
                      .stage = Stage::ack_at_node,
                      .channel = record.channel,
                      .number = record.client_message_id,
                      .id = record.id,
                      .durable = record.durable});
  fan_out(index, what);
}

/// The channel's members by node, with the interest of each.
void World::interested_nodes(std::uint32_t channel) {
  node_runs_.clear();
  live_plan_.runs.clear();
  const auto members = topology_.members_of(channel);
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    const NodeId node{topology_.node_of(members[i])};
    if (node_runs_.empty() || node_runs_.back().node != node)
      node_runs_.push_back({node, i, i, false});
    core::NodeRun& run = node_runs_.back();
    run.end = i + 1;
    for (std::uint32_t d = 0; d < topology_.devices_at(members[i]) && !run.interested; ++d) {
      run.interested = ever_attached_[members[i] + d] != 0;
    }
  }
  core::plan_live(node_runs_, live_plan_);
}

void World::fan_out(std::uint32_t index, std::uint32_t what) {
  Record& record = records_[what];
  interested_nodes(record.channel);
  operations_.record_node_pairs += live_plan_.runs.size();
  std::uint64_t remote = 0;
  for (const std::uint32_t run : live_plan_.runs) {
    if (node_runs_[run].node.value == index) {
      deliver_local(index, what);
    } else {
      ++remote;
    }
  }
  turn_.posts(remote);
  operations_.bus_frames += remote;
  if (remote != 0) out_.relays.push_back(what);

  const core::ChannelDesign design = heads_[record.channel].design;
  const std::uint64_t entries =
      core::durable_entries(design, 1, topology_.members_of(record.channel).size());
  if (entries == 0) return;
  operations_.queue_entries += entries;
  operations_.record_user_partition_pairs += topology_.user_partitions_of(record.channel);
  operations_.queue_bytes +=
      entries * static_cast<std::uint64_t>(settings_.costs.queue_entry_bytes);
  spread_entries(record.channel);
  record.queue_batches = static_cast<std::uint16_t>(touched_nodes_.size());
  uncovered_max_ = std::max(uncovered_max_, ++uncovered_);
  const std::uint32_t own = entries_at_node_[index];
  const std::uint64_t elsewhere = touched_nodes_.size() - (own != 0 ? 1 : 0);
  turn_.posts(elsewhere + (own != 0 ? 1 : 0));
  operations_.posts += own != 0 ? 1 : 0;
  operations_.bus_frames += elsewhere;
  if (own != 0) queue_entries(index, {what, own}, turn_.decided_ns());
  if (elsewhere != 0) out_.queue_batches.push_back(what);
}

/// Entries of one record by the node that owns the members' user partitions.
void World::spread_entries(std::uint32_t channel) {
  for (const std::uint32_t node : touched_nodes_) entries_at_node_[node] = 0;
  touched_nodes_.clear();
  for (const std::uint32_t slot : topology_.members_of(channel)) {
    const std::uint32_t node = topology_.queue_node_of(slot);
    if (entries_at_node_[node]++ == 0) touched_nodes_.push_back(node);
  }
}

void World::deliver_local(std::uint32_t index, std::uint32_t what) {
  const Record& record = records_[what];
  const std::uint32_t bytes = wire::record(record.bytes);
  for (const std::uint32_t first : topology_.members_on(record.channel, index)) {
    const std::uint32_t end = first + topology_.devices_at(first);
    for (std::uint32_t slot = first; slot < end; ++slot) {
      if (slot == record.sender) continue;  // its ack is its receipt
      const Session& session = sessions_[slot];
      if (record.durable >= session.attached) {
        if (session.sync != none && !syncs_[session.sync].last_page_sent) {
          syncs_[session.sync].waiting.push_back(what);
          continue;
        }
        out_.deliveries.push_back({turn_.send(slot, bytes), what});
        ++operations_.live_deliveries;
        ++recipients_;
      } else if (record.durable <= session.last_detached &&
                 record.durable >= session.last_attached) {
        missed(slot, what);
      }
    }
  }
}

void World::relay_arrived(std::uint32_t what) {
  const std::uint32_t channel = records_[what].channel;
  const std::uint32_t owner = topology_.owner_of(channel);
  interested_nodes(channel);
  for (const std::uint32_t run : live_plan_.runs) {
    const std::uint32_t node = node_runs_[run].node.value;
    if (node != owner) arrive(node, ArrivalKind::relay, what);
  }
}

void World::queue_batches_arrived(std::uint32_t what) {
  const std::uint32_t channel = records_[what].channel;
  const std::uint32_t owner = topology_.owner_of(channel);
  spread_entries(channel);
  for (const std::uint32_t node : touched_nodes_) {
    if (node != owner) arrive(node, ArrivalKind::queue_batch, what, entries_at_node_[node]);
  }
}

// --- a turn's end --------------------------------------------------------------------------------

/// What the turn decided leaves the node, in order, before the sessions are flushed.
void World::leave_node(std::uint32_t index, std::int64_t decided_ns) {
  Node& node = nodes_[index];
  if (!node.accepted.empty()) {
    node.handed.insert(node.handed.end(), node.accepted.begin(), node.accepted.end());
    node.accepted.clear();
    push(decided_ns, EventKind::commit_handed, index);
  }
  // A link keeps its order: frames of one turn leave a nanosecond apart.
  std::int64_t bus_ns = decided_ns + node_delay_ns_;
  for (const std::uint32_t send : out_.forwards) push(bus_ns++, EventKind::send_at_owner, send);
  for (const std::uint32_t flight : out_.flights_to_node) launch(bus_ns++, flight);
  for (const std::uint32_t record : out_.relays) push(bus_ns++, EventKind::relay, record);
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
    launch(dirty[flushed.dirty].completed_ns + client_delay_ns_, flushed.flight);
  }
  for (const Outgoing::Delivery& delivery : out_.deliveries) {
    const Turn::Dirty& to = dirty[delivery.dirty];
    const std::int64_t at_ns = to.completed_ns + client_delay_ns_;
    const Session& session = sessions_[to.session];
    const Record& record = records_[delivery.record];
    if (at_ns > session.cut_ns) {
      missed_.push_back({to.session, record.channel, record.id});
      has_missed_[to.session] = 1;
      continue;
    }
    ++ledger_.delivered;
    ++delivered_by_class_[record.channel_class];
    news_[to.session] = 1;
    if (tracing_ && traced(to.session, record.channel)) {
      trace(to.session, at_ns,
            "receives record " + std::to_string(record.id) + " of channel " +
                std::to_string(record.channel));
    }
    if (rolling_ && in_roll_call(to.session)) {
      metrics_.delivery_uncounted(at_ns);
      continue;
    }
    const std::int64_t start_ns =
        record.due_ns < session.away_until_ns ? session.away_until_ns : record.due_ns;
    metrics_.delivery(record.channel_class, record.waited ? Path::outbox : Path::live,
                      std::min(start_ns, at_ns), record.sent_ns, at_ns);
  }
  operations_.frames_out += out_.deliveries.size();
  out_.flushed_flights.clear();
  out_.deliveries.clear();

  std::uint64_t bytes = 0;
  for (const Turn::Dirty& one : dirty) bytes += one.bytes;
  operations_.flushes += dirty.size();
  operations_.bytes_out += bytes;
  ++operations_.turns;
  operations_.turn_ns += static_cast<std::uint64_t>(turn_.spent_ns());
  metrics_.busy(now_ns_, turn_.spent_ns());
  nodes_[index].busy_until_ns = turn_.end_ns();
}

// --- committer and queue writer ------------------------------------------------------------------

void World::commit_handed(std::uint32_t index) {
  Node& node = nodes_[index];
  std::uint64_t bytes = 0;
  for (const std::uint32_t record : node.handed) bytes += records_[record].bytes;
  const std::uint64_t records = node.handed.size();
  ++operations_.posts;
  node.commit_waiting.insert(node.commit_waiting.end(), node.handed.begin(), node.handed.end());
  node.handed.clear();
  if (records != 0 && node.committer.add(records, bytes)) start_commit(index);
}

void World::start_commit(std::uint32_t index) {
  Node& node = nodes_[index];
  const std::uint32_t others = fsync_ ? 0
                                      : (node.busy_until_ns > now_ns_ ? 1U : 0U) +
                                            (node.writer.batch_records() != 0 ? 1U : 0U);
  const std::int64_t ns = node.committer.start(now_ns_, commit_costs_) - now_ns_;
  node.committing.swap(node.commit_waiting);
  node.commit_waiting.clear();
  ++operations_.write_batches;
  operations_.syncs += fsync_ ? 1 : 0;
  const std::int64_t cpu_ns = fsync_ ? ns - ps_from_ns(settings_.costs.commit_fsync_ns) / 1000 : ns;
  batch_busy_ns_ += cpu_ns;
  metrics_.busy(now_ns_, cpu_ns);
  push(now_ns_ + stretched(ns, others), EventKind::commit_done, index);
}

void World::commit_done(std::uint32_t index) {
  Node& node = nodes_[index];
  node.committed.insert(node.committed.end(), node.committing.begin(), node.committing.end());
  node.committing.clear();
  const bool more = node.committer.finish();
  arrive(index, ArrivalKind::commit, 0);
  if (more) start_commit(index);
}

void World::queue_entries(std::uint32_t index, const QueueBatch& batch, std::int64_t at_ns) {
  Node& node = nodes_[index];
  node.queue_waiting.push_back(batch);
  if (node.writer.add(batch.entries, 0)) start_queueing(index, at_ns);
}

void World::start_queueing(std::uint32_t index, std::int64_t at_ns) {
  Node& node = nodes_[index];
  const std::uint32_t others = (node.busy_until_ns > at_ns ? 1U : 0U) +
                               (!fsync_ && node.committer.batch_records() != 0 ? 1U : 0U);
  const std::int64_t ns = node.writer.start(at_ns, queue_costs_) - at_ns;
  node.queueing.swap(node.queue_waiting);
  node.queue_waiting.clear();
  ++operations_.queue_batches;
  batch_busy_ns_ += ns;
  metrics_.busy(at_ns, ns);
  push(at_ns + stretched(ns, others), EventKind::queue_done, index);
}

void World::queue_done(std::uint32_t index) {
  Node& node = nodes_[index];
  for (const QueueBatch& batch : node.queueing) {
    Record& record = records_[batch.record];
    CLAMOR_ASSERT(record.queue_batches > 0);
    if (--record.queue_batches == 0) --uncovered_;
  }
  node.queueing.clear();
  if (node.writer.finish()) start_queueing(index, now_ns_);
}

}  // namespace clamor::sim
