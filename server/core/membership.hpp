#pragma once

#include "server/base/id.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace clamor::core {

/// Ids that a member receives, both ends included; the leave or kick itself is the last one.
struct Interval {
  static constexpr MessageId open{std::numeric_limits<std::uint64_t>::max()};
  MessageId join;
  MessageId leave = open;
  [[nodiscard]] constexpr bool contains(MessageId id) const { return join <= id && id <= leave; }
  bool operator==(const Interval&) const = default;
};

/// A member's intervals in one channel: ascending, disjoint, only the last may be open.
using Intervals = std::span<const Interval>;

/// Whether the member receives `id`. O(log intervals).
[[nodiscard]] bool contains(Intervals intervals, MessageId id);
/// First id above `after` that the member receives, if an interval reaches it. O(log intervals).
/// "Next" on a device always means this one.
[[nodiscard]] std::optional<MessageId> next_after(Intervals intervals, MessageId after);
/// Highest id up to and including `up_to` that the member receives, if there is one. O(log
/// intervals).
[[nodiscard]] std::optional<MessageId> last_up_to(Intervals intervals, MessageId up_to);
/// How many ids in (after, up_to] the member receives. O(intervals).
[[nodiscard]] std::uint64_t count_in(Intervals intervals, MessageId after, MessageId up_to);
/// Whether the member is in the channel after the latest record.
[[nodiscard]] bool is_member(Intervals intervals);

enum class JoinOutcome : std::uint8_t { joined, already_member };
enum class LeaveOutcome : std::uint8_t { left, not_member };

/// What a join at `id` does to `intervals`: on joined the caller appends {id, open}.
[[nodiscard]] JoinOutcome decide_join(Intervals intervals);
/// What a leave does: on left the caller sets the last interval's leave to the record's id.
[[nodiscard]] LeaveOutcome decide_leave(Intervals intervals);

}  // namespace clamor::core
