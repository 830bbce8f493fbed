#include "server/base/assert.hpp"
#include "server/core/limits.hpp"
#include "server/core/record.hpp"
#include "sim/world/wire_sizes.hpp"
#include "sim/world/world.hpp"

#include <algorithm>
#include <utility>

// The owner of a channel: accepting, the log, fan-out, queues.
namespace clamor::sim {

using scenario::SendKind;

namespace {

constexpr std::int64_t queue_linger_ns = to_ns(core::queue_linger);
/// Of a record in a commit, beside its body.
constexpr std::uint64_t commit_record_bytes = sizeof(core::Record) + sizeof(std::uint32_t);

}  // namespace

std::uint32_t SendFrame::about_bytes() const {
  if (kind == SendKind::message && !mentions) return 0;
  return wire::about + (mentions ? wire::mention : 0);
}

std::uint32_t SendFrame::payload_bytes() const {
  if (about_bytes() == 0) return wire::send_payload + bytes;
  return wire::send_about_payload + (mentions ? wire::mention : 0) + bytes;
}

void World::read_target(const SendFrame& frame) {
  if (frame.kind == SendKind::message) return;
  turn_.work(log_seek_ps_ + scan_record_ps_);
  if (frame.kind == SendKind::edit || frame.kind == SendKind::deletion) turn_.work(scan_ps_);
}

std::optional<Duration> World::refuses_append(const Node& node) const {
  if (core::is_full({.commit_bytes = node.commit_bytes,
                     .lag_records = node.uncovered,
                     .lag_entries = node.uncovered_entries},
                    core::AppendLimits{})) {
    return core::retry_when_overloaded;
  }
  const core::Admission admission = core::admit(core::MessageClass::message, node.admission);
  return admission.taken ? std::nullopt : std::optional{admission.retry_after};
}

void World::refuse_send(std::uint32_t index, std::uint32_t what, Duration retry_after) {
  const SendFrame frame = frames_[what];
  free_frames_.push_back(what);
  answer_from(index, {.slot = frame.slot,
                      .session = frame.session,
                      .stage = Stage::refusal_at_node,
                      .refusal = loadgen::SendRefusal::retry,
                      .channel = frame.channel,
                      .number = frame.client_message_id,
                      .id = wire::whole_milliseconds(retry_after)});
}

void World::decide_send(std::uint32_t index, std::uint32_t what) {
  if (const auto retry_after = refuses_append(nodes_[index])) {
    ++operations_.messages_refused;
    return refuse_send(index, what, *retry_after);
  }
  const SendFrame frame = frames_[what];
  free_frames_.push_back(what);
  read_target(frame);
  core::ChannelHead& head = heads_[frame.channel];
  const ClientMessageId number{frame.client_message_id};
  const DedupTable::Row dedup = dedup_.row_of(frame.slot, frame.channel, number);
  const core::Accepted accepted = core::accept(head, dedup.row, dedup.ring, 1, number);
  Flight reply{.slot = frame.slot,
               .session = frame.session,
               .stage = Stage::ack_at_node,
               .channel = frame.channel,
               .number = frame.client_message_id,
               .id = static_cast<std::uint32_t>(accepted.id.value)};
  switch (accepted.outcome) {
    case core::AcceptOutcome::accepted: {
      CLAMOR_ASSERT(accepted.id.value < none);
      add_record(index, {.due_ns = frame.due_ns,
                         .sent_ns = frame.sent_ns,
                         .channel = frame.channel,
                         .id = reply.id,
                         .sender = frame.slot,
                         .bytes = frame.about_bytes() + frame.bytes,
                         .client_message_id = frame.client_message_id,
                         .waited = frame.waited,
                         .mentions = frame.mentions,
                         .kind = frame.kind});
      return follow_modes(index, frame.channel);
    }
    case core::AcceptOutcome::duplicate:
      ++operations_.duplicate_sends;
      if (ack_after_fanout_ && accepted.id > covered_of(frame.channel)) return;
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
      reply.refusal = loadgen::SendRefusal::retry;
      reply.id = wire::whole_milliseconds(core::retry_when_overloaded);
      return answer_from(index, reply);
    case core::AcceptOutcome::too_old:
      // A resend that was overtaken by 64 later sends: its ack has long come.
      reply.stage = Stage::refusal_at_node;
      reply.refusal = loadgen::SendRefusal::too_old;
      return answer_from(index, reply);
  }
}

/// As the next of its channel, which has given it its id.
void World::add_record(std::uint32_t index, Record record) {
  record.channel_class = static_cast<std::uint8_t>(plan_.class_of(record.channel));
  const auto what = static_cast<std::uint32_t>(records_.size());
  records_.push_back(record);
  record_states_.emplace_back();
  previous_record_.push_back(last_record_[record.channel]);
  last_record_[record.channel] = what;
  nodes_[index].accepted.push_back(what);
  nodes_[index].commit_bytes += commit_record_bytes + records_[what].bytes;
}

// --- fan-out -------------------------------------------------------------------------------------

void World::became_durable(std::uint32_t index, std::uint32_t what) {
  Record& record = records_[what];
  core::ChannelHead& head = heads_[record.channel];
  CLAMOR_ASSERT(head.durable_head + 1 == MessageId{record.id});
  head.durable_head = MessageId{record.id};
  record_states_[what].durable = ++sequence_;
  const std::uint64_t expected =
      topology_.devices_in(record.channel) - (record.is_mode() ? 0U : 1U);
  ++operations_.records;
  operations_.expected_deliveries += expected;
  expected_by_class_[record.channel_class] += expected;
  operations_.log_bytes +=
      static_cast<std::uint64_t>(settings_.costs.log_record_bytes) + record.bytes;
  if (record.is_mode()) {
    take_modes(what);
    return fan_out(index, what);
  }
  count_kind(record);
  if (traced(record.sender, record.channel)) {
    trace(record.sender, now_ns_,
          "has record " + std::to_string(record.id) + " of channel " +
              std::to_string(record.channel) + " in the log");
  }
  record.ack_late = record.unanswered || acks_wait(record.channel);
  if (record.unanswered) {
    // Whoever comes back knows nothing of who sent it; the sender gets it as everybody does.
  } else if (record.ack_late) {
    nodes_[index].due_acks.push_back(what);
  } else {
    acknowledge(index, what, record_states_[what].durable);
  }
  fan_out(index, what);
}

void World::count_kind(const Record& record) {
  operations_.mentions += record.mentions ? 1 : 0;
  switch (record.kind) {
    case SendKind::message:
      return;
    case SendKind::reply:
      ++operations_.replies;
      return;
    case SendKind::reaction:
      ++operations_.reactions;
      return;
    case SendKind::edit:
      ++operations_.edits;
      return;
    case SendKind::deletion:
      ++operations_.deletions;
      // The stub that takes the place of what was deleted.
      operations_.log_bytes += static_cast<std::uint64_t>(settings_.costs.log_record_bytes);
      return;
  }
}

void World::acknowledge(std::uint32_t index, std::uint32_t what, std::uint32_t durable) {
  const Record& record = records_[what];
  answer_from(index, {.slot = record.sender,
                      .stage = Stage::ack_at_node,
                      .channel = record.channel,
                      .number = record.client_message_id,
                      .id = record.id,
                      .durable = durable});
}

bool World::acks_wait(std::uint32_t channel) const {
  if (adaptive()) return ack_after_fanout_ && modes_.queued_in[channel] != 0;
  return ack_after_fanout_ && heads_[channel].design != core::ChannelDesign::per_group;
}

/// In the order of the records, as the server's leave.
void World::send_due_acks(std::uint32_t index) {
  auto& due = nodes_[index].due_acks;
  for (; !due.empty() && record_states_[due.front()].queue_batches == 0; due.pop_front()) {
    acknowledge(index, due.front(), 0);
  }
}

/// The channel's members by node, with the interest of each.
void World::interested_nodes(std::uint32_t channel) {
  node_runs_.clear();
  live_plan_.runs.clear();
  const auto members = topology_.members_of(channel);
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    __builtin_prefetch(&sessions_[members[i]]);  // the turns that deliver look at them soon
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
  const Record& record = records_[what];
  RecordState& state = record_states_[what];
  interested_nodes(record.channel);
  operations_.record_node_pairs += live_plan_.runs.size();
  const std::uint32_t relay = new_relay(what);
  auto& elsewhere_runs = relays_[relay].runs;
  for (const std::uint32_t i : live_plan_.runs) {
    const core::NodeRun& run = node_runs_[i];
    if (run.node.value == index) {
      deliver(what, topology_.members_of(record.channel).subspan(run.begin, run.end - run.begin));
    } else {
      elsewhere_runs.push_back(run);
    }
  }
  const std::uint64_t remote = elsewhere_runs.size();
  turn_.posts(remote);
  operations_.bus_frames += remote;
  state.relay_ns = remote != 0 ? never : now_ns_;
  if (remote != 0) {
    out_.relays.push_back(relay);
  } else {
    free_relays_.push_back(relay);
  }

  const auto queued = queued_members(record.channel);
  const std::uint64_t entries =
      core::durable_entries(heads_[record.channel].design, 1, queued.size());
  if (entries == 0) return;
  operations_.queue_entries += entries;
  operations_.record_user_partition_pairs += user_partitions_of(record.channel, queued);
  buffer_entries(nodes_[index], what, entries, waiting_of(record.channel, queued));
  spread_entries(queued);
  state.queue_batches = static_cast<std::uint16_t>(touched_nodes_.size());
  uncovered_max_ = std::max(uncovered_max_, ++nodes_[index].uncovered);
  for (const std::uint32_t node : touched_nodes_) {
    nodes_[index].uncovered_entries += entries_at_node_[node];
  }
  const std::uint32_t own = entries_at_node_[index];
  const std::uint64_t elsewhere = touched_nodes_.size() - (own != 0 ? 1 : 0);
  turn_.posts(elsewhere + (own != 0 ? 1 : 0));
  operations_.posts += own != 0 ? 1 : 0;
  operations_.bus_frames += elsewhere;
  if (own != 0) queue_entries(index, {what, own}, turn_.decided_ns());
  if (elsewhere == 0) return;
  out_.queue_batches.push_back(what);
  if (!adaptive()) return;  // Else they are counted again where they arrive.
  auto& under_way = modes_.under_way[what];
  for (const std::uint32_t node : touched_nodes_) {
    if (node != index) under_way.push_back({node, entries_at_node_[node]});
  }
}

/// Puts a record's entries into the queues' write buffer. Those of members who are there are taken
/// to be acknowledged before the flush, the others to wait for it. All nodes' buffers are taken to
/// be flushed with the owner's.
void World::buffer_entries(Node& node, std::uint32_t what, std::uint64_t entries,
                           std::uint64_t waiting) {
  const std::uint32_t channel = records_[what].channel;
  const std::uint64_t copies = copied_bytes(what, entries);  // each is on its own
  const bool begins = copies == 0 && run_begun_[channel] != node.queue_flushes + 1;
  run_begun_[channel] = node.queue_flushes + 1;
  if (begins) kept_runs_[channel] = 0;
  const std::uint64_t known = kept_runs_[channel];
  const std::uint64_t kept_runs = copies == 0 ? std::max(waiting, known) - known : 0;
  const std::uint64_t kept_copies = copied_bytes(what, waiting);
  kept_runs_[channel] += static_cast<std::uint32_t>(kept_runs);
  const auto run_bytes = [&](std::uint64_t runs) {
    return static_cast<std::uint64_t>(static_cast<double>(runs) * settings_.costs.queue_run_bytes);
  };
  const std::uint64_t bytes = copies + run_bytes(begins ? entries : kept_runs);
  operations_.queue_bytes += bytes;
  operations_.queue_bytes_trimmed += bytes - kept_copies - run_bytes(kept_runs);
  record_states_[what].kept_runs = static_cast<std::uint8_t>(255 * kept_runs / entries);
  record_states_[what].kept = static_cast<std::uint8_t>(255 * waiting / entries);
  ++node.unflushed.records;
  node.unflushed.entries += entries;
  node.unflushed.bytes += kept_copies + kept_runs * core::queue_run_memory_bytes;
  if (core::queue_flush_is_due(queue_flush_limits_, node.unflushed.records, node.unflushed.entries,
                               node.unflushed.bytes)) {
    ++node.queue_flushes;
    node.unflushed = {};
  }
}

std::uint64_t World::copied_bytes(std::uint32_t what, std::uint64_t entries) const {
  constexpr std::uint64_t header_bytes = 40;
  if (plan_.scenario().payload != QueuePayload::copy) return 0;
  return entries * (header_bytes + records_[what].bytes);
}

/// Entries of one record by the node that owns these members' user partitions.
void World::spread_entries(std::span<const std::uint32_t> queued) {
  for (const std::uint32_t node : touched_nodes_) entries_at_node_[node] = 0;
  touched_nodes_.clear();
  for (const std::uint32_t slot : queued) {
    const std::uint32_t node = topology_.queue_node_of(slot);
    if (entries_at_node_[node]++ == 0) touched_nodes_.push_back(node);
  }
}

/// Lets a live record wait for the last page; beyond what a server holds all are read again.
void World::hold(std::uint32_t record, Sync& sync) {
  if (sync.overflowed) return;
  if (sync.waiting.size() < core::catch_up_held_records) {
    sync.waiting.push_back(record);
    return;
  }
  sync.overflowed = true;
  sync.waiting = {};
}

/// Hands the record to the sessions of these members, all of one node.
void World::deliver(std::uint32_t what, std::span<const std::uint32_t> members) {
  const Record& record = records_[what];
  const std::uint32_t durable = record_states_[what].durable;
  const std::uint32_t bytes = wire::record(record.shown_bytes());
  const bool to_sender = record.ack_late;
  for (const std::uint32_t first : members) {
    const std::uint32_t end = first + topology_.devices_at(first);
    for (std::uint32_t slot = first; slot < end; ++slot) {
      if (slot == record.sender && !to_sender) continue;  // its ack is its receipt
      const Session& session = sessions_[slot];
      if (durable >= session.attached) {
        if (session.sync != none && !syncs_[session.sync].last_page_sent) {
          hold(what, syncs_[session.sync]);
          continue;
        }
        out_.deliveries.push_back({turn_.send(slot, bytes), what});
        ++operations_.live_deliveries;
        ++recipients_;
      }
    }
  }
}

std::uint32_t World::new_relay(std::uint32_t record) {
  if (free_relays_.empty()) {
    free_relays_.push_back(static_cast<std::uint32_t>(relays_.size()));
    relays_.emplace_back();
  }
  const std::uint32_t index = free_relays_.back();
  free_relays_.pop_back();
  relays_[index].record = record;
  relays_[index].runs.clear();
  return index;
}

/// One event for all nodes: the way to each takes the same time.
void World::relay_arrived(std::uint32_t index) {
  const Relay& relay = relays_[index];
  for (const core::NodeRun& run : relay.runs) {
    arrive(run.node.value, ArrivalKind::relay, relay.record, run.begin, run.end);
  }
  free_relays_.push_back(index);
}

void World::queue_batches_arrived(std::uint32_t what) {
  if (adaptive()) {  // Modes may have changed since.
    const auto found = modes_.under_way.find(what);
    for (const Modes::EntriesAt& at : found->second) {
      arrive(at.node, ArrivalKind::queue_batch, what, at.entries);
    }
    modes_.under_way.erase(found);
    return;
  }
  const std::uint32_t channel = records_[what].channel;
  const std::uint32_t owner = topology_.owner_of(channel);
  spread_entries(topology_.members_of(channel));
  for (const std::uint32_t node : touched_nodes_) {
    if (node != owner) arrive(node, ArrivalKind::queue_batch, what, entries_at_node_[node]);
  }
}

// --- committer and queue writer ------------------------------------------------------------------

void World::commit_handed(std::uint32_t index) {
  Node& node = nodes_[index];
  std::int64_t work_ps = 0;
  for (const std::uint32_t record : node.handed) {
    // A deletion writes a stub as well.
    const std::int64_t rows = records_[record].kind == SendKind::deletion ? 2 : 1;
    work_ps += rows * commit_costs_.record_ps + records_[record].bytes * commit_costs_.byte_ps;
  }
  const std::uint64_t records = node.handed.size();
  ++operations_.posts;
  if (records != 0 && node.commit_waiting.empty()) node.commit_waiting_since_ns = now_ns_;
  node.commit_waiting.insert(node.commit_waiting.end(), node.handed.begin(), node.handed.end());
  node.handed.clear();
  node.committer_sojourn_ns -= records * static_cast<std::uint64_t>(now_ns_);
  if (records != 0 && node.committer.add(records, work_ps, now_ns_)) start_commit(index);
}

void World::start_commit(std::uint32_t index) {
  Node& node = nodes_[index];
  const std::uint32_t others = fsync_ ? 0
                                      : (node.busy_until_ns > now_ns_ ? 1U : 0U) +
                                            (node.writer.batch_records() != 0 ? 1U : 0U);
  const std::int64_t ns = node.committer.start(now_ns_, commit_costs_.batch_ps) - now_ns_;
  node.committing.swap(node.commit_waiting);
  node.commit_waiting.clear();
  node.committing_since_ns = std::exchange(node.commit_waiting_since_ns, never);
  ++operations_.write_batches;
  operations_.syncs += fsync_ ? 1 : 0;
  const std::int64_t cpu_ns = fsync_ ? ns - ps_from_ns(settings_.costs.commit_fsync_ns) / 1000 : ns;
  batch_busy_ns_ += cpu_ns;
  metrics_.busy(now_ns_, cpu_ns);
  push_own(now_ns_ + stretched(ns, others), EventKind::commit_done, index);
}

void World::commit_done(std::uint32_t index) {
  Node& node = nodes_[index];
  node.committed.insert(node.committed.end(), node.committing.begin(), node.committing.end());
  for (const std::uint32_t record : node.committing) {
    node.commit_bytes -= commit_record_bytes + records_[record].bytes;
  }
  node.committer_sojourn_ns += node.committing.size() * static_cast<std::uint64_t>(now_ns_);
  node.committing.clear();
  node.committing_since_ns = never;
  const bool more = node.committer.finish(now_ns_);
  arrive(index, ArrivalKind::commit, 0);
  if (more) start_commit(index);
}

void World::queue_entries(std::uint32_t index, const QueueBatch& batch, std::int64_t at_ns) {
  Node& node = nodes_[index];
  node.queue_waiting.push_back(batch);
  const RecordState& state = record_states_[batch.record];
  const auto acked = static_cast<std::int64_t>(std::exchange(node.acked_positions, 0));
  const auto copies = static_cast<std::int64_t>(copied_bytes(batch.record, batch.entries));
  const std::int64_t work_ps = (batch.entries + acked) * queue_costs_.entry_ps +
                               (batch.entries * state.kept_runs * queue_costs_.run_ps +
                                copies * state.kept * queue_costs_.byte_ps) /
                                   255;
  node.writer_sojourn_ns -= batch.entries * static_cast<std::uint64_t>(now_ns_);
  if (!node.writer.add(batch.entries, work_ps, now_ns_)) return;
  if (node.queue_lingers) return;
  node.queue_lingers = true;
  push_own(at_ns + queue_linger_ns, EventKind::queue_begin, index);
}

void World::start_queueing(std::uint32_t index) {
  Node& node = nodes_[index];
  node.queue_lingers = false;
  const std::uint32_t others = (node.busy_until_ns > now_ns_ ? 1U : 0U) +
                               (!fsync_ && node.committer.batch_records() != 0 ? 1U : 0U);
  const std::int64_t ns = node.writer.start(now_ns_, queue_costs_.batch_ps) - now_ns_;
  node.remade_working = std::exchange(node.remade_waiting, 0);
  node.queueing.swap(node.queue_waiting);
  node.queue_waiting.clear();
  ++operations_.queue_batches;
  batch_busy_ns_ += ns;
  metrics_.busy(now_ns_, ns);
  push_own(now_ns_ + stretched(ns, others), EventKind::queue_done, index);
}

void World::queue_done(std::uint32_t index) {
  Node& node = nodes_[index];
  for (const QueueBatch& batch : node.queueing) {
    node.writer_sojourn_ns += batch.entries * static_cast<std::uint64_t>(now_ns_);
    RecordState& state = record_states_[batch.record];
    CLAMOR_ASSERT(state.queue_batches > 0);
    const std::uint32_t owner = topology_.owner_of(records_[batch.record].channel);
    nodes_[owner].uncovered_entries -= batch.entries;
    if (--state.queue_batches != 0) continue;
    --nodes_[owner].uncovered;
    if (!ack_after_fanout_) continue;
    const auto heard = std::ranges::find(applied_, owner, [this](std::uint32_t record) {
      return topology_.owner_of(records_[record].channel);
    });
    if (heard == applied_.end()) applied_.push_back(batch.record);
  }
  node.writer_sojourn_ns +=
      std::exchange(node.remade_working, 0) * static_cast<std::uint64_t>(now_ns_);
  node.queueing.clear();
  // One answer to each source.
  for (const std::uint32_t record : applied_) {
    const bool near = topology_.owner_of(records_[record].channel) == index;
    operations_.bus_frames += near ? 0 : 1;
    push(now_ns_ + (near ? 0 : node_delay_ns_), EventKind::queue_applied, record);
  }
  applied_.clear();
  if (!node.writer.finish(now_ns_)) return;
  node.queue_lingers = true;
  push_own(now_ns_ + queue_linger_ns, EventKind::queue_begin, index);
}

}  // namespace clamor::sim
