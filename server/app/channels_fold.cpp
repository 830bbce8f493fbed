// What the log says, record by record: recovery, redo, and who has read and was mentioned.

#include "server/app/channels.hpp"
#include "server/base/assert.hpp"
#include "server/protocol/about.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {

using core::ChannelDesign;
using core::MemberRow;
using core::RecordKind;

void Channels::restore(const core::Record& record, std::span<const std::byte> body) {
  const auto known = find(record.channel);
  const ChannelIndex index = known ? *known : add_channel(record.channel);
  channels_[index].head.head = record.id;
  channels_[index].head.durable_head = record.id;
  channels_[index].watched_from = record.id;
  channels_[index].uncountable = record.uncountable;
  if (record.id == channels_[index].trimmed.id + 1) channels_[index].oldest = record.accepted_at;
  set_announced(index, record);
  mark_read(index, record, body);
  if (record.redacted) list_redacted(index, record.id);
  switch (record.kind) {
    case RecordKind::message:
    case RecordKind::edit:
    case RecordKind::deletion:
    case RecordKind::reaction:
    case RecordKind::reaction_removed: {
      Sender& row = sender(index, record.sender, record.device);
      row.make_room();
      core::restore(row.row, row.ring, record.device_incarnation, record.client_message_id,
                    record.id);
      break;
    }
    case RecordKind::join:
      for_each_user(body, [&](UserId user) { open_interval(index, user, record.id); });
      break;
    case RecordKind::leave:
    case RecordKind::kick:
      for_each_user(body, [&](UserId user) { close_interval(channels_[index], user, record.id); });
      break;
    case RecordKind::design_changed:
      channels_[index].next_design = static_cast<ChannelDesign>(body[0]);
      channels_[index].queue_from = record.id;
      break;
    case RecordKind::member_mode: {
      Channel& channel = channels_[index];
      set_modes(channel, record.id, body);
      for (std::size_t row = 0; row < channel.reads.size(); ++row) {
        channel.reads[row].queued = channel.members[row].interval.leave == core::Interval::open &&
                                    channel.member_queue_from[row] != core::no_queue;
      }
      break;
    }
  }
  Channel& channel = channels_[index];
  if (record.id == MessageId{1}) {
    channel.admin = record.sender;
    channel.next_design =
        core::effective_design(settings_.design, ChannelDesign::per_user, channel.members_now);
  }
  channel.head.design = channel.next_design;
}

void Channels::set_journal_end(PartitionId partition, JournalSequence end) {
  journal_ends_[partition.value] = end;
}

Channels::Planned Channels::redo(std::span<const store::JournalRow> rows) {
  Planned out;
  core::RecordRun run;
  const auto plan = [&] {
    if (run.count != 0) plan_run(known(run.channel), run, out);
  };
  for (const store::JournalRow& row : rows) {
    add_joins(known(row.channel), row.id, out.fan_out.joins);
    // Below the latest change of design queues are not looked at, so nothing is owed to them.
    if (row.id < known(row.channel).queue_from) continue;
    if (run.channel != row.channel || run.first + run.count != row.id) {
      plan();
      run = {row.channel, row.id, 0};
    }
    ++run.count;
  }
  plan();
  if (!rows.empty()) out.fan_out.cursors.push_back(rows.back().place);
  return out;
}

void Channels::add_joins(const Channel& channel, MessageId id,
                         std::vector<store::UserChannel>& out) {
  if (id > channel.last_join) return;
  for (const MemberRow& row : channel.members) {
    if (row.interval.join == id) out.push_back({row.user, channel.id});
  }
}

void Channels::set_all_covered() {
  for (Channel& channel : channels_) {
    channel.covered = channel.head.durable_head;
    channel.settled = channel.head.durable_head;
  }
}

// --- reading and mentions ------------------------------------------------------------------------

void Channels::mark_read(ChannelIndex index, const core::Record& record,
                         std::span<const std::byte> body) {
  const core::CountedId at{record.id, record.uncountable};
  if (core::is_countable(record.kind)) {
    marks_.advance(index, record.sender, at);
    if (record.has_about) add_mentions(index, record.id, body);
  } else if (record.kind == RecordKind::join && record.id != MessageId{1}) {
    for_each_user(body, [&](UserId user) { marks_.advance(index, user, at); });
  }
}

void Channels::add_mentions(ChannelIndex index, MessageId id, std::span<const std::byte> body) {
  const auto about = protocol::read_about(body);
  CLAMOR_ASSERT(about);
  for (const UserId user : about->mentions) {
    scratch_.clear();
    if (user != protocol::everyone) add_intervals(index, user, scratch_);
    if (user == protocol::everyone || core::contains(scratch_, id)) marks_.mention(index, user, id);
  }
}

void Channels::list_redacted(ChannelIndex index, MessageId id) {
  if (!settings_.lists_redacted) return;
  auto& ids = redacted_[index];
  const auto place = std::lower_bound(ids.begin(), ids.end(), id);
  if (place == ids.end() || *place != id) ids.insert(place, id);
}

std::span<const MessageId> Channels::redacted(ChannelIndex index, MessageId after) const {
  const auto found = redacted_.find(index);
  if (found == redacted_.end()) return {};
  const auto& ids = found->second;
  return std::span{ids}.subspan(
      static_cast<std::size_t>(std::upper_bound(ids.begin(), ids.end(), after) - ids.begin()));
}

void Channels::restore(const store::ReadCursor& cursor) {
  const auto index = find(cursor.channel);
  if (index) marks_.advance(*index, cursor.user, cursor.read);
}

}  // namespace clamor::server
