#include "tests/unit/server/core/small_chat_partition.hpp"

#include "server/base/assert.hpp"
#include "server/core/placement.hpp"

#include <algorithm>

namespace clamor::core::small_chat {

Intervals Channel::intervals(UserId user) const {
  const auto found = members.find(user);
  return found == members.end() ? Intervals{} : Intervals{found->second};
}

void Partitions::create(ChannelId channel, const std::vector<UserId>& members) {
  Channel& created = channels_[channel];
  created.head.design = effective_design(spec_, ChannelDesign::per_user, 0);
  for (const UserId member : members) join(channel, member);
}

Accepted Partitions::send(ChannelId channel_id, DeviceName sender, std::uint32_t incarnation,
                          ClientMessageId client_message_id) {
  Channel& channel = channels_.at(channel_id);
  Channel::Dedup& dedup = channel.dedup[sender];
  const Accepted accepted =
      accept(channel.head, dedup.row, dedup.ring, incarnation, client_message_id);
  if (accepted.outcome == AcceptOutcome::accepted) {
    log_record(channel, {.record = {.channel = channel_id,
                                    .id = accepted.id,
                                    .sender = sender.user,
                                    .device = sender.device,
                                    .device_incarnation = incarnation,
                                    .client_message_id = client_message_id}});
    change_modes_if_due(channel);
  }
  return accepted;
}

void Partitions::join(ChannelId channel, UserId user) {
  const Intervals intervals = channels_.at(channel).intervals(user);
  if (decide_join(intervals) == JoinOutcome::already_member) return;
  ++(intervals.empty() ? cases_.joins : cases_.rejoins);
  append(channel, RecordKind::join, user);
}

void Partitions::leave(ChannelId channel, UserId user) {
  if (decide_leave(channels_.at(channel).intervals(user)) == LeaveOutcome::not_member) return;
  ++cases_.leaves;
  append(channel, RecordKind::leave, user);
}

void Partitions::append(ChannelId channel_id, RecordKind kind, UserId member) {
  Channel& channel = channels_.at(channel_id);
  const LogRecord record{.record = {.channel = channel_id, .id = ++channel.head.head, .kind = kind},
                         .member = member};
  fold(channel, record);
  log_record(channel, record);
  change_design_if_due(channel_id);
  change_modes_if_due(channel);
}

void Partitions::log_record(Channel& channel, const LogRecord& record) {
  channel.log.push_back(record);
  channel.log.back().design = channel.head.design;
  const ChannelId id = record.record.channel;
  journals_[partition_of(id, count).value].entries.push_back({id, record.record.id});
}

void Partitions::change_design_if_due(ChannelId channel_id) {
  Channel& channel = channels_.at(channel_id);
  const auto members = std::count_if(channel.members.begin(), channel.members.end(),
                                     [](const auto& m) { return core::is_member(m.second); });
  const ChannelDesign design =
      effective_design(spec_, channel.head.design, static_cast<std::uint64_t>(members));
  if (design == channel.head.design) return;
  ++(design == ChannelDesign::per_group ? cases_.design_flips_up : cases_.design_flips_down);
  channel.head.design = design;
  append(channel_id, RecordKind::design_changed, {});
  channel.design_from = channel.head.head;
}

void Partitions::change_modes_if_due(Channel& channel) {
  if (spec_.design != QueueDesign::adaptive || !window_ends(spec_.window, channel.head.head))
    return;
  std::vector<UserId> users;
  std::vector<MemberReads> reads;
  for (const auto& [user, intervals] : channel.members) {
    if (!core::is_member(intervals)) continue;
    users.push_back(user);
    reads.push_back(channel.reads[user]);
  }
  std::vector<std::uint32_t> changed;
  if (channel.head.head - channel.watched_from >= spec_.window) {
    plan_modes(spec_.window, reads, changed);
  } else {
    forget_reads(reads);
  }
  for (std::size_t i = 0; i < users.size(); ++i) channel.reads[users[i]] = reads[i];
  if (changed.empty()) return;
  LogRecord record{.record = {.channel = channel.log.back().record.channel,
                              .id = ++channel.head.head,
                              .kind = RecordKind::member_mode}};
  for (const std::uint32_t i : changed) {
    record.modes[users[i]] = reads[i].queued;
    ++(reads[i].queued ? cases_.members_given_a_queue : cases_.members_without_a_queue_again);
  }
  log_record(channel, record);
}

void Partitions::take_modes(Channel& channel, const LogRecord& record) {
  for (const auto& [user, queued] : record.modes) {
    if (queued) {
      channel.queue_from[user] = record.record.id;
    } else {
      channel.queue_from.erase(user);
    }
  }
}

/// Applies a record to members and design: when it is accepted, and again when the log is re-read.
void Partitions::fold(Channel& channel, const LogRecord& record) {
  const MessageId id = record.record.id;
  if (record.record.kind == RecordKind::join) {
    channel.members[record.member].push_back({id});
    if (id <= channel.head.durable_head) channel.queue_from.erase(record.member);
  } else if (record.record.kind == RecordKind::leave) {
    channel.members[record.member].back().leave = id;
    channel.reads.erase(record.member);
  }
}

std::vector<Partitions::Committed> Partitions::commit(std::uint32_t partition,
                                                      std::size_t entries) {
  Journal& journal = journals_[partition];
  std::vector<Committed> committed;
  for (; entries > 0 && journal.durable < journal.entries.size(); --entries) {
    const Committed& entry = journal.entries[journal.durable++];
    Channel& channel = channels_.at(entry.channel);
    channel.head.durable_head = entry.id;
    const LogRecord& record = channel.log[entry.id.value - 1];
    if (record.record.kind == RecordKind::join) channel.queue_from.erase(record.member);
    take_modes(channel, record);
    committed.push_back(entry);
  }
  return committed;
}

void Partitions::fail_append(std::uint32_t partition) {
  Journal& journal = journals_[partition];
  if (journal.durable == journal.entries.size()) return;
  ++cases_.failed_appends_rebuilt;
  journal.entries.resize(journal.durable);
  for (auto& [id, channel] : channels_) {
    if (partition_of(id, count).value != partition) continue;
    Channel rebuilt;
    rebuilt.head = {.durable_head = channel.head.durable_head,
                    .design = effective_design(spec_, ChannelDesign::per_user, 0)};
    for (const LogRecord& logged : channel.log) {
      const Record& record = logged.record;
      if (record.id > rebuilt.head.durable_head) break;
      rebuilt.head.head = record.id;
      rebuilt.head.design = logged.design;
      if (record.kind == RecordKind::design_changed) rebuilt.design_from = record.id;
      if (record.kind == RecordKind::message) {
        Channel::Dedup& dedup = rebuilt.dedup[{record.sender, record.device}];
        restore(dedup.row, dedup.ring, record.device_incarnation, record.client_message_id,
                record.id);
      }
      fold(rebuilt, logged);
      take_modes(rebuilt, logged);
      rebuilt.log.push_back(logged);
    }
    for (const auto& [user, from] : rebuilt.queue_from) {
      if (core::is_member(rebuilt.intervals(user))) rebuilt.reads[user].queued = true;
    }
    rebuilt.watched_from = rebuilt.head.head;
    channel = std::move(rebuilt);
  }
}

void Partitions::apply(std::uint32_t user_partition, std::uint32_t partition, std::size_t entries) {
  const Journal& journal = journals_[partition];
  std::size_t& cursor = cursors_[user_partition][partition];
  const std::size_t end = std::min(journal.durable, cursor + entries);
  while (cursor < end) {
    const Committed first = journal.entries[cursor];
    const Channel& channel = channels_.at(first.channel);
    const ChannelDesign design = channel.log[first.id.value - 1].design;
    RecordRun run{first.channel, first.id, 0};
    for (; cursor < end; ++cursor, ++run.count) {
      const Committed& entry = journal.entries[cursor];
      if (entry.channel != first.channel) break;
      if (channel.log[entry.id.value - 1].design != design) break;
    }
    std::vector<MemberRow> rows;
    for (const auto& [user, intervals] : channel.members) {
      for (const Interval& interval : intervals) {
        rows.push_back({user, partition_of(user, count), interval});
      }
    }
    std::stable_sort(rows.begin(), rows.end(), [](const MemberRow& a, const MemberRow& b) {
      return a.partition < b.partition;
    });
    std::vector<MessageId> queue_from;
    for (const MemberRow& row : rows) {
      const auto from = channel.queue_from.find(row.user);
      queue_from.push_back(from == channel.queue_from.end() ? no_queue : from->second);
    }
    DurablePlan plan;
    plan_durable(design, run, rows, queue_from, plan);
    for (const DurableEntry& entry : plan.entries) {
      if (entry.partition.value == user_partition) enqueue(first.channel, entry);
    }
    covered_[{user_partition, first.channel}] = run.first + (run.count - 1);
  }
}

void Partitions::enqueue(ChannelId channel, const DurableEntry& entry) {
  const Channel& owner = channels_.at(channel);
  for (std::uint32_t i = 0; i < entry.count; ++i) {
    const MessageId id = entry.first + i;
    CLAMOR_ASSERT(contains(owner.intervals(entry.user), id));
    if (owner.log[id.value - 1].design != ChannelDesign::per_member) {
      const std::uint64_t sequence = ++last_sequence_[entry.user];
      user_queues_[entry.user].push_back({sequence, channel, id});
      sequences_[{entry.user, channel, id}] = sequence;
    } else {
      member_queues_[{channel, entry.user}].push_back(id);
    }
  }
}

void Partitions::trim(UserId user) {
  std::deque<QueueEntry>& queue = user_queues_[user];
  while (!queue.empty() && all_devices_hold(user, queue.front().channel, queue.front().id)) {
    trimmed_to_[{queue.front().channel, user}] = queue.front().id;
    ++cases_.queue_entries_trimmed;
    queue.pop_front();
  }
  for (const auto& [channel, unused] : channels_) {
    std::deque<MessageId>& ids = member_queues_[{channel, user}];
    while (!ids.empty() && all_devices_hold(user, channel, ids.front())) {
      trimmed_to_[{channel, user}] = ids.front();
      ++cases_.queue_entries_trimmed;
      ids.pop_front();
    }
  }
}

bool Partitions::all_devices_hold(UserId user, ChannelId channel, MessageId id) const {
  bool any = false;
  for (const auto& [device, positions] : acknowledged_) {
    if (device.user != user) continue;
    any = true;
    if (acknowledged(device, channel) < id) return false;
  }
  return any;
}

void Partitions::acknowledge(DeviceName device, ChannelId channel, MessageId held) {
  acknowledged_[device][channel] = held;
}

MessageId Partitions::acknowledged(DeviceName device, ChannelId channel) const {
  const std::map<ChannelId, MessageId>& positions = acknowledged_.at(device);
  const auto held = positions.find(channel);
  return held == positions.end() ? MessageId{} : held->second;
}

void Partitions::device_logged_in(DeviceName device, bool starts_empty) {
  auto& positions = acknowledged_[device];
  if (starts_empty) positions.clear();
}

bool Partitions::is_member(ChannelId channel, UserId user) const {
  return core::is_member(channels_.at(channel).intervals(user));
}

MessageId Partitions::covered(ChannelId channel, UserId user) const {
  if (design(channel, user) == ChannelDesign::per_group) return {};
  const auto found = covered_.find({partition_of(user, count).value, channel});
  return found == covered_.end() ? MessageId{} : found->second;
}

MessageId Partitions::queue_from(ChannelId channel, UserId user) const {
  const Channel& found = channels_.at(channel);
  const auto of_member = found.queue_from.find(user);
  const MessageId design_from =
      of_member == found.queue_from.end() ? found.design_from : of_member->second;
  const auto trimmed = trimmed_to_.find({channel, user});
  return trimmed == trimmed_to_.end() ? design_from : std::max(design_from, trimmed->second + 1);
}

ChannelDesign Partitions::design(ChannelId channel, UserId user) const {
  const Channel& found = channels_.at(channel);
  if (found.head.design != ChannelDesign::adaptive) return found.head.design;
  return found.queue_from.contains(user) ? ChannelDesign::per_user : ChannelDesign::per_group;
}

void Partitions::read(ChannelId channel, UserId user) {
  if (is_member(channel, user)) note_read(channels_.at(channel).reads[user]);
}

const Partitions::QueueEntry* Partitions::next_entry(UserId user, std::uint64_t after) const {
  const auto queue = user_queues_.find(user);
  if (queue == user_queues_.end()) return nullptr;
  const auto entry =
      std::find_if(queue->second.begin(), queue->second.end(),
                   [&](const QueueEntry& candidate) { return candidate.sequence > after; });
  return entry == queue->second.end() ? nullptr : &*entry;
}

std::uint64_t Partitions::sequence_of(UserId user, ChannelId channel, MessageId id) const {
  const auto found = sequences_.find({user, channel, id});
  return found == sequences_.end() ? 0 : found->second;
}

const std::deque<MessageId>& Partitions::member_queue(ChannelId channel, UserId user) {
  return member_queues_[{channel, user}];
}

}  // namespace clamor::core::small_chat
