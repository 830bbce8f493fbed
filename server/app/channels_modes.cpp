// The queue design adaptive: who reads how often, and what each member's mode is from where on.

#include "server/app/channels.hpp"
#include "server/base/assert.hpp"

#include <vector>

namespace clamor::server {

using core::ChannelDesign;
using core::RecordKind;

void append_mode(UserId user, bool queued, std::vector<std::byte>& body) {
  append_user(user, body);
  body.push_back(static_cast<std::byte>(queued));
}

void Channels::note_catch_up(ChannelIndex index, UserId user, MessageId held) {
  Channel& channel = channels_[index];
  if (!is_adaptive() || !is_member(channel, user)) return;
  scratch_.clear();
  add_intervals(index, user, scratch_);
  const auto next = core::next_after(scratch_, held);
  if (!next || *next > channel.announced) return;
  core::note_read(channel.reads[rows_of(channel, user).second - 1]);
}

Channels::Served Channels::served(ChannelIndex index, UserId user) const {
  const Channel& channel = channels_[index];
  if (channel.head.design != ChannelDesign::adaptive) {
    return {channel.head.design, channel.queue_from};
  }
  const auto [first, last] = rows_of(channel, user);
  if (first == last || channel.member_queue_from[last - 1] == core::no_queue) {
    return {ChannelDesign::per_group, {}};
  }
  return {ChannelDesign::per_user, channel.member_queue_from[last - 1]};
}

void Channels::follow_modes(Channel& channel, Instant now, store::Commit& commit) {
  const std::uint32_t window = settings_.design.window;
  if (!is_adaptive() || !core::window_ends(window, channel.head.head)) return;
  if (channel.head.head - channel.watched_from < window) return core::forget_reads(channel.reads);
  changed_.clear();
  core::plan_modes(window, channel.reads, changed_);
  if (changed_.empty()) return;
  std::vector<std::byte> body;
  for (const std::uint32_t row : changed_) {
    append_mode(channel.members[row].user, channel.reads[row].queued, body);
  }
  append(channel, RecordKind::member_mode, body, now, commit);
}

void Channels::set_modes(Channel& channel, MessageId at, std::span<const std::byte> body) {
  for_each_mode(body, [&](UserId user, bool queued) {
    // A leave and a rejoin may be on their way behind the record.
    auto [row, last] = rows_of(channel, user);
    while (row != last && !channel.members[row].interval.contains(at)) ++row;
    CLAMOR_ASSERT(row != last);
    channel.member_queue_from[row] = queued ? at : core::no_queue;
  });
}

}  // namespace clamor::server
