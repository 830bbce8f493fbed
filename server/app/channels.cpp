#include "server/app/channels.hpp"

#include "server/base/assert.hpp"
#include "server/base/hash.hpp"
#include "server/core/limits.hpp"
#include "server/core/placement.hpp"
#include "server/protocol/about.hpp"
#include "server/protocol/byte_order.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace clamor::server {

using core::ChannelDesign;
using core::MemberRow;
using core::RecordKind;
using protocol::RefusalCode;

void append_user(UserId user, std::vector<std::byte>& body) {
  body.resize(body.size() + 8);
  protocol::store_little(body.data() + body.size() - 8, user.value);
}

UserId user_at(std::span<const std::byte> body, std::size_t index) {
  return {protocol::load_little<std::uint64_t>(body.data() + index * 8)};
}

std::size_t Channels::SenderHash::operator()(const SenderKey& key) const noexcept {
  return combine64(std::uint64_t{key.channel} << 32U | key.user, key.device.value);
}

void Channels::Sender::make_room() {
  if (ring.size() >= core::dedup_ring_size || row.last.value < ring.size()) return;
  // Nothing was overwritten yet, so every earlier send moves to its slot in the larger ring.
  CompactVector<MessageId> larger(ring.empty() ? 2 : ring.size() * 2);
  for (std::uint64_t back = 0; back < ring.size() && back < row.last.value; ++back) {
    const std::uint64_t id = row.last.value - back;
    larger[id & (larger.size() - 1)] = ring[id & (ring.size() - 1)];
  }
  ring = std::move(larger);
}

Channels::Channels(const ChannelsSettings& settings)
    : settings_{settings}, journal_ends_(settings.partitions) {}

// --- decisions -----------------------------------------------------------------------------------

Channels::SendAnswer Channels::send(UserId user, DeviceId device, std::uint32_t device_incarnation,
                                    const protocol::Send& send, Instant now, store::Commit& commit,
                                    const Target* target) {
  const auto index = find(send.channel);
  if (!index) return {.refused = RefusalCode::no_such_channel};
  Channel& channel = channels_[*index];
  if (!is_member(channel, user)) return {.refused = RefusalCode::not_member};
  Sender& row = sender(*index, user, device);
  row.make_room();
  // A resend is answered as it was, whatever became of its target since.
  if (core::is_next(row.row, device_incarnation, send.client_message_id)) {
    if (const auto fault = fault_of(channel, user, send, target)) return {.refused = fault};
  }
  const core::Accepted accepted =
      core::accept(channel.head, row.row, row.ring, device_incarnation, send.client_message_id);
  if (accepted.outcome == core::AcceptOutcome::accepted) {
    add(channel,
        {.channel = channel.id,
         .id = accepted.id,
         .kind = send.kind,
         .sender = user,
         .device = device,
         .device_incarnation = device_incarnation,
         .client_message_id = send.client_message_id,
         .accepted_at = now},
        send, target, commit);
    follow_modes(channel, now, commit);
  }
  return {.accepted = accepted, .refused = std::nullopt};
}

std::optional<RefusalCode> Channels::fault_of(const Channel& channel, UserId user,
                                              const protocol::Send& send,
                                              const Target* target) const {
  if (send.mentions.size() > core::mentions_max) return RefusalCode::too_many_mentions;
  const auto& mentions = send.mentions;
  const bool all =
      std::find(mentions.begin(), mentions.end(), protocol::everyone) != mentions.end();
  if (all && user != channel.admin) return RefusalCode::not_allowed;
  if (send.target == MessageId{} && !core::needs_target(send.kind)) return std::nullopt;
  if (target == nullptr || target->record.kind != RecordKind::message || target->record.redacted) {
    return RefusalCode::no_such_message;
  }
  const bool own = target->record.sender == user;
  const bool edits = send.kind == RecordKind::edit;
  const bool deletes = send.kind == RecordKind::deletion;
  if (!edits && !deletes) return std::nullopt;
  if (!own && !(deletes && user == channel.admin)) return RefusalCode::not_allowed;
  if (edits && target->edits.size() >= core::edits_max) return RefusalCode::too_many_edits;
  if (busy_targets_.contains({channel.id, send.target})) return RefusalCode::too_many_pending;
  return std::nullopt;
}

void Channels::add(Channel& channel, core::Record record, const protocol::Send& send,
                   const Target* target, store::Commit& commit) {
  if (!send.is_about()) return add(channel, record, send.body, commit);
  std::vector<std::byte> body;
  protocol::append_about(send.target, send.mentions, send.body, body);
  record.has_about = true;
  add(channel, record, body, commit);
  if (send.kind != RecordKind::edit && send.kind != RecordKind::deletion) return;
  busy_targets_.emplace(channel.id, send.target);
  if (send.kind == RecordKind::edit) {
    return commit.edits.push_back({channel.id, send.target, record.id});
  }
  const auto redact = [&](core::Record stub, const std::vector<UserId>& mentioned) {
    stub.redacted = true;
    stub.has_about = false;
    stub.body_bytes = 0;
    commit.redactions.push_back({stub, mentioned});
  };
  redact(target->record, target->mentioned);
  for (const core::Record& edit : target->edits) redact(edit, {});
}

ChangeResult Channels::create(ChannelId id, UserId admin, std::span<const UserId> members,
                              Instant now, store::Commit& commit) {
  if (find(id)) return RefusalCode::channel_exists;
  if (members.size() > settings_.group_members_max) return RefusalCode::group_too_large;
  const ChannelIndex index = add_channel(id);
  std::vector<std::byte> body;
  body.reserve(members.size() * 8);
  for (const UserId user : members) append_user(user, body);
  Channel& created = channels_[index];
  created.admin = admin;
  const MessageId first = ++created.head.head;
  add(created,
      {.channel = id, .id = first, .kind = RecordKind::join, .sender = admin, .accepted_at = now},
      body, commit);
  channels_[index].members.reserve(members.size());
  for (const UserId user : members) open_interval(index, user, first);
  Channel& channel = channels_[index];
  // The first design is no change: every record of the channel is under it.
  channel.next_design =
      core::effective_design(settings_.design, ChannelDesign::per_user, channel.members_now);
  channel.head.design = channel.next_design;
  return first;
}

ChangeResult Channels::join(ChannelId id, UserId user, Instant now, store::Commit& commit) {
  const auto index = find(id);
  if (!index) return RefusalCode::no_such_channel;
  scratch_.clear();
  add_intervals(*index, user, scratch_);
  if (core::decide_join(scratch_) == core::JoinOutcome::already_member) {
    return RefusalCode::already_member;
  }
  if (channels_[*index].members_now >= settings_.group_members_max) {
    return RefusalCode::group_too_large;
  }
  std::vector<std::byte> body;
  append_user(user, body);
  const MessageId at = append(channels_[*index], RecordKind::join, body, now, commit);
  open_interval(*index, user, at);
  follow_design(channels_[*index], now, commit);
  follow_modes(channels_[*index], now, commit);
  return at;
}

ChangeResult Channels::leave(ChannelId id, UserId user, Instant now, store::Commit& commit) {
  const auto index = find(id);
  if (!index) return RefusalCode::no_such_channel;
  scratch_.clear();
  add_intervals(*index, user, scratch_);
  if (core::decide_leave(scratch_) == core::LeaveOutcome::not_member) {
    return RefusalCode::not_member;
  }
  std::vector<std::byte> body;
  append_user(user, body);
  Channel& channel = channels_[*index];
  const MessageId at = append(channel, RecordKind::leave, body, now, commit);
  close_interval(channel, user, at);
  follow_design(channel, now, commit);
  follow_modes(channel, now, commit);
  return at;
}

MessageId Channels::append(Channel& channel, RecordKind kind, std::span<const std::byte> body,
                           Instant now, store::Commit& commit) {
  const MessageId id = ++channel.head.head;
  add(channel, {.channel = channel.id, .id = id, .kind = kind, .accepted_at = now}, body, commit);
  return id;
}

void Channels::add(Channel& channel, core::Record record, std::span<const std::byte> body,
                   store::Commit& commit) {
  if (!core::is_countable(record.kind)) ++channel.uncountable;
  record.uncountable = channel.uncountable;
  commit.add(record, body, {channel.partition, ++journal_ends_[channel.partition.value]});
}

void Channels::follow_design(Channel& channel, Instant now, store::Commit& commit) {
  const ChannelDesign wanted =
      core::effective_design(settings_.design, channel.next_design, channel.members_now);
  if (wanted == channel.next_design) return;
  channel.next_design = wanted;
  const std::array body{static_cast<std::byte>(wanted)};
  append(channel, RecordKind::design_changed, body, now, commit);
}

// --- durability ----------------------------------------------------------------------------------

Channels::Planned Channels::apply(const store::Commit& commit) {
  Planned out;
  core::RecordRun run;
  for (std::size_t i = 0; i < commit.batch.size(); ++i) {
    const core::Record& record = commit.batch.record(i);
    const ChannelIndex index = channel_index_.at(record.channel);
    Channel& channel = channels_[index];
    CLAMOR_ASSERT(record.id == channel.head.durable_head + 1);
    const bool continues = run.count != 0 && run.channel == record.channel &&
                           record.kind != RecordKind::design_changed &&
                           record.kind != RecordKind::member_mode;
    if (!continues) {
      if (run.count != 0) plan_run(known(run.channel), run, out);
      run = {record.channel, record.id, 0};
    }
    if (record.kind == RecordKind::join) {
      for_each_user(commit.batch.body(i), [&](UserId user) {
        out.fan_out.joins.push_back({user, record.channel});
      });
    }
    if (record.kind == RecordKind::design_changed) {
      channel.head.design = static_cast<ChannelDesign>(commit.batch.body(i)[0]);
      channel.queue_from = record.id;
    }
    if (record.kind == RecordKind::member_mode) {
      set_modes(channel, record.id, commit.batch.body(i));
    }
    ++run.count;
    channel.head.durable_head = record.id;
    if (record.id == channel.trimmed.id + 1) channel.oldest = record.accepted_at;
    mark_read(index, record, commit.batch.body(i));
    if (record.kind == RecordKind::edit || record.kind == RecordKind::deletion) {
      busy_targets_.erase({record.channel, protocol::read_about(commit.batch.body(i))->target});
    }
  }
  for (const store::Redaction& redaction : commit.redactions) {
    const ChannelIndex index = channel_index_.at(redaction.stub.channel);
    for (const UserId user : redaction.mentioned) {
      marks_.forget_mention(index, user, redaction.stub.id);
    }
    list_redacted(index, redaction.stub.id);
  }
  if (run.count != 0) plan_run(known(run.channel), run, out);
  for (const store::ReadCursor& cursor : commit.reads) restore(cursor);
  for (const store::JournalPlace& place : commit.places) {
    auto& cursors = out.fan_out.cursors;
    const auto same = std::find_if(cursors.begin(), cursors.end(), [&](const auto& cursor) {
      return cursor.partition == place.partition;
    });
    if (same == cursors.end()) {
      cursors.push_back(place);
    } else {
      same->sequence = place.sequence;
    }
  }
  return out;
}

void Channels::plan_run(Channel& channel, const core::RecordRun& run, Planned& out) {
  plan_.clear();
  core::plan_durable(channel.head.design, run, channel.members, channel.member_queue_from, plan_);
  out.entries += plan_.entry_count;
  if (plan_.entry_count != 0) {
    channel.owed = std::max(channel.owed, run.first + (run.count - 1));
  }
  out.user_partition_pairs += plan_.user_partition_pairs;
  auto& fan_out = out.fan_out;
  fan_out.entries.insert(fan_out.entries.end(), plan_.entries.begin(), plan_.entries.end());
  // A member who has a queue under adaptive has it as under per_user.
  const ChannelDesign layout = channel.head.design == ChannelDesign::adaptive
                                   ? ChannelDesign::per_user
                                   : channel.head.design;
  fan_out.runs.push_back({channel.id, layout, fan_out.entries.size()});
  out.runs.push_back(run);
}

void Channels::set_settled(std::span<const core::RecordRun> runs) {
  for (const core::RecordRun& run : runs) {
    known(run.channel).settled = run.first + (run.count - 1);
  }
}

void Channels::set_covered(std::span<const core::RecordRun> runs) {
  for (const core::RecordRun& run : runs) {
    known(run.channel).covered = run.first + (run.count - 1);
  }
}

// --- views and rows ------------------------------------------------------------------------------

std::optional<ChannelIndex> Channels::find(ChannelId channel) const {
  const auto found = channel_index_.find(channel);
  if (found == channel_index_.end()) return std::nullopt;
  return found->second;
}

Channel& Channels::known(ChannelId id) {
  const auto index = find(id);
  CLAMOR_ASSERT(index.has_value());
  return channels_[*index];
}

void Channels::add_intervals(ChannelIndex index, UserId user,
                             std::vector<core::Interval>& out) const {
  const Channel& channel = channels_[index];
  const auto [first, last] = rows_of(channel, user);
  for (std::size_t i = first; i < last; ++i) out.push_back(channel.members[i].interval);
}

std::pair<std::size_t, std::size_t> Channels::rows_of(const Channel& channel, UserId user) const {
  const std::pair key{core::partition_of(user, settings_.partitions), user};
  const auto& rows = channel.members;
  const auto first =
      std::lower_bound(rows.begin(), rows.end(), key, [](const MemberRow& row, const auto& wanted) {
        return std::pair{row.partition, row.user} < wanted;
      });
  auto last = first;
  while (last != rows.end() && last->user == user) ++last;
  return {static_cast<std::size_t>(first - rows.begin()),
          static_cast<std::size_t>(last - rows.begin())};
}

bool Channels::is_member(const Channel& channel, UserId user) const {
  const auto [first, last] = rows_of(channel, user);
  return first != last && core::is_member(std::span{&channel.members[last - 1].interval, 1});
}

std::optional<UserId> Channels::partner_in(ChannelIndex index, UserId user) const {
  const Channel& channel = channels_[index];
  if (channel.members_now != 2) return std::nullopt;
  for (const MemberRow& row : channel.members) {
    if (row.user != user && core::is_member(std::span{&row.interval, 1})) return row.user;
  }
  return std::nullopt;
}

UserIndex Channels::user_index(UserId user) {
  return user_index_.try_emplace(user, static_cast<UserIndex>(user_index_.size())).first->second;
}

ChannelIndex Channels::add_channel(ChannelId id) {
  const auto index = static_cast<ChannelIndex>(channels_.size());
  channels_.push_back({.id = id, .partition = core::partition_of(id, settings_.partitions)});
  channel_index_.emplace(id, index);
  return index;
}

Channels::Sender& Channels::sender(ChannelIndex channel, UserId user, DeviceId device) {
  return senders_[{channel, user_index(user), device}];
}

void Channels::open_interval(ChannelIndex index, UserId user, MessageId at) {
  Channel& channel = channels_[index];
  const auto last = static_cast<std::ptrdiff_t>(rows_of(channel, user).second);
  channel.members.insert(channel.members.begin() + last,
                         {user, core::partition_of(user, settings_.partitions), {.join = at}});
  if (is_adaptive()) {
    channel.member_queue_from.insert(channel.member_queue_from.begin() + last, core::no_queue);
    channel.reads.insert(channel.reads.begin() + last, core::MemberReads{});
  }
  channel.last_join = std::max(channel.last_join, at);
  ++channel.members_now;
}

void Channels::close_interval(Channel& channel, UserId user, MessageId at) {
  const auto [first, last] = rows_of(channel, user);
  CLAMOR_ASSERT(first != last);
  channel.members[last - 1].interval.leave = at;
  if (is_adaptive()) channel.reads[last - 1] = {};  // Its mode changes no more.
  --channel.members_now;
}

}  // namespace clamor::server
