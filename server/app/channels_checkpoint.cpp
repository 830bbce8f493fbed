// What stands for the beginning of a channel's log once that is gone.

#include "server/app/channels.hpp"
#include "server/base/assert.hpp"
#include "server/core/placement.hpp"
#include "server/store/rows.hpp"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

namespace clamor::server {

using core::ChannelDesign;
using core::MemberRow;

namespace {

using store::append_varint;

/// Takes numbers off the front of a text; once one is missing all further ones are 0.
class Numbers {
 public:
  explicit Numbers(std::string_view text) : rest_{text} {}
  std::uint64_t take() {
    const auto number = good_ ? store::take_varint(rest_) : std::nullopt;
    good_ = number.has_value();
    return number.value_or(0);
  }
  template <class T>
  T take_as() {
    return static_cast<T>(take());
  }
  /// How many of something follow: none where there are not so many bytes.
  std::uint64_t take_count() {
    const std::uint64_t count = take();
    good_ = good_ && count <= rest_.size();
    return good_ ? count : 0;
  }
  [[nodiscard]] bool all_taken() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

store::Checkpoint Channels::checkpoint(ChannelIndex index) const {
  const Channel& channel = channels_[index];
  const MessageId head = channel.head.durable_head;
  store::Checkpoint checkpoint{channel.id, head, {}};
  std::string& out = checkpoint.state;
  append_varint(channel.uncountable, out);
  append_varint(channel.admin.value, out);
  append_varint(channel.queue_from.value, out);
  append_varint(static_cast<std::uint64_t>(channel.next_design), out);
  append_varint(channel.members.size(), out);
  for (std::size_t i = 0; i < channel.members.size(); ++i) {
    const MemberRow& row = channel.members[i];
    const bool open = row.interval.leave == core::Interval::open;
    append_varint(row.user.value, out);
    append_varint(row.interval.join.value, out);
    append_varint(open ? 0 : row.interval.leave - row.interval.join, out);
    if (!is_adaptive()) continue;
    const MessageId from = channel.member_queue_from[i];
    append_varint(from == core::no_queue ? 0 : from.value, out);
  }
  std::vector<std::pair<UserId, UserIndex>> users;
  for (const auto& [user, user_index] : user_index_) users.emplace_back(user, user_index);
  std::sort(users.begin(), users.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<std::pair<SenderKey, const Sender*>> senders;
  for (const auto& [key, sender] : senders_) {
    if (key.channel == index) senders.emplace_back(key, &sender);
  }
  std::sort(senders.begin(), senders.end(), [](const auto& a, const auto& b) {
    return std::pair{a.first.user, a.first.device} < std::pair{b.first.user, b.first.device};
  });
  append_varint(senders.size(), out);
  for (const auto& [key, sender] : senders) {
    append_varint(users[key.user].first.value, out);
    append_varint(key.device.value, out);
    append_varint(sender->row.device_incarnation, out);
    append_varint(sender->row.last.value, out);
    append_varint(sender->ring.size(), out);
    // Near the head as they are, their distances are short; 0: unknown.
    for (const MessageId id : sender->ring) {
      append_varint(id == MessageId{} ? 0 : head - id + 1, out);
    }
  }
  return checkpoint;
}

bool Channels::restore(const store::Checkpoint& checkpoint) {
  CLAMOR_ASSERT(!find(checkpoint.channel));
  const ChannelIndex index = add_channel(checkpoint.channel);
  const MessageId head = checkpoint.up_to;
  Numbers numbers{checkpoint.state};
  {
    Channel& channel = channels_[index];
    channel.head.head = head;
    channel.head.durable_head = head;
    channel.uncountable = numbers.take_as<std::uint32_t>();
    channel.announced = head;
    channel.announced_uncountable = channel.uncountable;
    channel.trimmed = {head, channel.uncountable};
    channel.watched_from = head;
    channel.admin = {numbers.take()};
    channel.queue_from = {numbers.take()};
    const std::uint64_t design = numbers.take();
    if (design > static_cast<std::uint64_t>(ChannelDesign::adaptive)) return false;
    channel.next_design = static_cast<ChannelDesign>(design);
    channel.head.design = channel.next_design;
    const std::uint64_t rows = numbers.take_count();
    channel.members.reserve(rows);
    for (std::uint64_t i = 0; i < rows; ++i) {
      const UserId user{numbers.take()};
      core::Interval interval{.join = {numbers.take()}};
      const std::uint64_t length = numbers.take();
      if (length != 0) interval.leave = interval.join + length;
      channel.members.push_back({user, core::partition_of(user, settings_.partitions), interval});
      channel.last_join = std::max(channel.last_join, interval.join);
      channel.members_now += length == 0 ? 1 : 0;
      if (!is_adaptive()) continue;
      const MessageId from{numbers.take()};
      const bool queued = from != MessageId{};
      channel.member_queue_from.push_back(queued ? from : core::no_queue);
      channel.reads.push_back({.queued = queued && length == 0});
    }
  }
  const std::uint64_t senders = numbers.take_count();
  for (std::uint64_t i = 0; i < senders; ++i) {
    const UserId user{numbers.take()};
    Sender& from = sender(index, user, {numbers.take_as<std::uint32_t>()});
    from.row.device_incarnation = numbers.take_as<std::uint32_t>();
    from.row.last = {numbers.take()};
    const std::uint64_t ring = numbers.take_count();
    if (ring > core::dedup_ring_size || (ring != 0 && !std::has_single_bit(ring))) return false;
    from.ring.resize(ring);
    for (MessageId& id : from.ring) {
      const std::uint64_t distance = numbers.take();
      if (distance > head.value) return false;
      if (distance != 0) id = head - (distance - 1);
    }
  }
  return numbers.all_taken();
}

void Channels::set_trimmed(ChannelId id, const core::CountedId& up_to, Instant oldest) {
  Channel& channel = known(id);
  if (up_to.id <= channel.trimmed.id) return;
  channel.trimmed = up_to;
  channel.oldest = oldest;
}

}  // namespace clamor::server
