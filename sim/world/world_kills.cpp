#include "server/base/assert.hpp"
#include "server/core/limits.hpp"
#include "sim/world/world.hpp"

#include <algorithm>

// Servers that a fault kills, and that start again: what is lost with them, and what is done anew.
//
// Lost are the sessions, what was on its way or waited, records that were not in the log, and queue
// entries in memory. The log is there when the server starts; its queues are redone from the logs.
// Meanwhile nobody owns its channels and users: who needs them is told to come again.
namespace clamor::sim {

void World::note_kills() {
  const auto& faults = plan_.scenario().faults;
  killed_.resize(faults.size());
  for (std::uint32_t fault = 0; fault < faults.size(); ++fault) {
    if (faults[fault].kind != scenario::Fault::Kind::kill) continue;
    killed_[fault].resize(topology_.nodes());
    for (std::uint32_t node = 0; node < topology_.nodes(); ++node) {
      killed_[fault][node] = plan_.kills(fault, node, topology_.nodes());
    }
  }
}

bool World::of_a_former_life(const Event& event) const {
  if (kills_ == 0) return false;
  const std::uint32_t index = event.id & ((1U << index_bits) - 1);
  switch (static_cast<EventKind>(event.id >> index_bits)) {
    case EventKind::commit_handed:
    case EventKind::commit_done:
    case EventKind::queue_begin:
    case EventKind::queue_done:
    case EventKind::turn:
      return nodes_[index & ((1U << node_bits) - 1)].life != index >> node_bits;
    default:
      return false;
  }
}

void World::fault(std::uint32_t fault) {
  if (killed_[fault].empty()) return disconnect_hit(fault);
  // All die in one instant: no log is read for what another one still relays.
  for (std::uint32_t node = 0; node < topology_.nodes(); ++node) {
    if (killed_[fault][node]) kill(node);
  }
  // Who catches up elsewhere may need them: its server refuses it, as it refuses who logs in.
  for (std::uint32_t slot = 0; slot < topology_.slots(); ++slot) {
    const Session& session = sessions_[slot];
    if (session.attached == none || session.sync == none) continue;
    if (syncs_[session.sync].last_page_sent) continue;
    trace(slot, now_ns_, "is refused while it catches up: a server is down");
    detach(slot);
    step(slot, loadgen::Disconnected{.how = loadgen::Ended::back_off,
                                     .retry_after = core::retry_when_unavailable});
  }
}

void World::kill(std::uint32_t index) {
  Node& node = nodes_[index];
  CLAMOR_ASSERT(!node.down);
  node.down = true;
  ++node.life;
  ++down_nodes_;
  ++kills_;
  CLAMOR_ASSERT(node.life < (1U << (index_bits - node_bits)));
  for (std::uint32_t slot = topology_.first_slot(index); slot < topology_.first_slot(index + 1);
       ++slot) {
    if (loadgen::connected(users_[slot].phase)) cut_off(slot, "is cut off: its server is killed");
  }
  lose_what_is_under_way(index);
}

void World::cut_off(std::uint32_t slot, const char* why) {
  trace(slot, now_ns_, why);
  cut_off_ns_.try_emplace(slot, now_ns_);
  detach(slot);
  step(slot, loadgen::Disconnected{});
}

void World::lose_what_is_under_way(std::uint32_t index) {
  Node& node = nodes_[index];
  node.inbox_area +=
      static_cast<std::int64_t>(node.inbox.size()) * (now_ns_ - node.inbox_changed_ns);
  node.inbox_changed_ns = now_ns_;
  for (const Arrival& arrival : node.inbox) {
    node.waited_ns += now_ns_ - arrival.at_ns;
    ++taken_;
    drop(index, arrival);
  }
  node.inbox.clear();
  node.turn_scheduled = false;
  node.computed_waiting = node.computed_waiting_bytes = 0;
  node.busy_until_ns = now_ns_;
  node.turn_length_ns = 0;
  node.admission = {};

  const auto now = static_cast<std::uint64_t>(now_ns_);
  node.committer_sojourn_ns += (node.commit_waiting.size() + node.committing.size()) * now;
  // The youngest first: each is then the last of its channel.
  for (auto* const records : {&node.handed, &node.commit_waiting, &node.committing}) {
    for (auto record = records->rbegin(); record != records->rend(); ++record) undo(*record);
    records->clear();
  }
  node.commit_bytes = 0;
  node.committing_since_ns = node.commit_waiting_since_ns = never;
  node.committer.drop(now_ns_);
  for (const std::uint32_t record : node.committed) records_[record].unanswered = true;
  node.due_acks.clear();

  for (auto* const batches : {&node.queueing, &node.queue_waiting}) {
    for (const QueueBatch& batch : *batches) node.writer_sojourn_ns += batch.entries * now;
    node.redo.insert(node.redo.end(), batches->begin(), batches->end());
    batches->clear();
  }
  node.queue_lingers = false;
  node.acked_positions = 0;
  node.writer_sojourn_ns += (node.remade_waiting + node.remade_working) * now;
  node.remade_waiting = node.remade_working = 0;
  node.writer.drop(now_ns_);
}

/// A record that was accepted and is in no log: its channel goes on without it. Its sender, who has
/// no ack, sends again.
void World::undo(std::uint32_t what) {
  const Record& record = records_[what];
  core::ChannelHead& head = heads_[record.channel];
  CLAMOR_ASSERT(last_record_[record.channel] == what && head.head == MessageId{record.id});
  CLAMOR_ASSERT(head.durable_head < head.head);
  last_record_[record.channel] = previous_record_[what];
  head.head = head.head - 1;
  const auto by_id = records_by_id_.find(record.channel);
  if (by_id != records_by_id_.end() && !by_id->second.empty() && by_id->second.back() == what) {
    by_id->second.pop_back();
  }
  ++undone_records_;
  if (!record.is_mode()) {
    const ClientMessageId number{record.client_message_id};
    const DedupTable::Row dedup = dedup_.row_of(record.sender, record.channel, number);
    dedup.row.last = number - 1;
    dedup.ring[number.value % dedup.ring.size()] = ring_before(what);
    return;
  }
  const auto due = modes_.due.find(what);
  for (const auto& [membership, queued] : due->second) modes_.reads[membership].queued = !queued;
  modes_.due.erase(due);
}

/// What stood in the dedup ring where the record's id does: the id of its sender's send a ring
/// before it, if there was one. O(records of the channel since).
MessageId World::ring_before(std::uint32_t what) const {
  const Record& record = records_[what];
  if (record.client_message_id <= core::dedup_ring_size) return {};
  const auto wanted = record.client_message_id - static_cast<std::uint32_t>(core::dedup_ring_size);
  for (std::uint32_t i = previous_record_[what]; i != none; i = previous_record_[i]) {
    if (records_[i].sender == record.sender && records_[i].client_message_id == wanted) {
      return MessageId{records_[i].id};
    }
  }
  broken("a send without the one a ring before it");
}

/// What arrives at a server that is down, or was in its inbox.
void World::drop(std::uint32_t index, const Arrival& arrival) {
  switch (arrival.kind) {
    case ArrivalKind::flight: {
      Flight& flight = flights_[arrival.index];
      if (flight.stage == Stage::connect_at_node) {
        flight.stage = Stage::turned_away_at_client;  // Nobody listens.
        return launch(now_ns_ + client_delay_ns_, arrival.index);
      }
      if (flight.stage == Stage::ack_at_node) ack_lost(flight);
      return land(arrival.index);
    }
    case ArrivalKind::send:
    case ArrivalKind::forwarded:
      free_frames_.push_back(arrival.index);
      return;
    case ArrivalKind::queue_batch:
      nodes_[index].redo.push_back({arrival.index, arrival.begin});
      return;
    case ArrivalKind::commit:         // The log has it: `committed` waits for the start.
    case ArrivalKind::relay:          // Who comes back catches up.
    case ArrivalKind::queue_applied:  // No ack waits any more.
    case ArrivalKind::presence:       // restart() looks again.
      return;
  }
}

void World::restart(std::uint32_t index) {
  Node& node = nodes_[index];
  node.down = false;
  --down_nodes_;
  node.busy_until_ns = now_ns_;
  node.inbox_changed_ns = now_ns_;
  if (!node.committed.empty()) arrive(index, ArrivalKind::commit, 0);
  // Entries that no flush had written are made again, those that never came for the first time.
  const std::uint64_t unflushed = node.unflushed.entries;
  node.remade_waiting += unflushed;
  node.writer_sojourn_ns -= unflushed * static_cast<std::uint64_t>(now_ns_);
  if (unflushed != 0 &&
      node.writer.add(unflushed, static_cast<std::int64_t>(unflushed) * queue_costs_.entry_ps,
                      now_ns_)) {
    node.queue_lingers = true;
    push_own(now_ns_, EventKind::queue_begin, index);
  }
  std::vector<QueueBatch> redo;
  redo.swap(node.redo);
  for (const QueueBatch& batch : redo) queue_entries(index, batch, now_ns_);
  if (presence_ != nullptr) schedule_presence(index);
}

bool World::needs_what_is_down(std::uint32_t slot) const {
  if (down_nodes_ == 0) return false;
  if (nodes_[topology_.queue_node_of(slot)].down) return true;
  const auto channels = topology_.channels_of(slot);
  return std::any_of(channels.begin(), channels.end(), [this](std::uint32_t channel) {
    return nodes_[topology_.owner_of(channel)].down;
  });
}

}  // namespace clamor::sim
