#include "server/core/membership.hpp"

#include <algorithm>

namespace clamor::core {
namespace {

/// First interval that begins above `id`.
Intervals::iterator beginning_above(Intervals intervals, MessageId id) {
  return std::upper_bound(intervals.begin(), intervals.end(), id,
                          [](MessageId value, const Interval& i) { return value < i.join; });
}

}  // namespace

bool contains(Intervals intervals, MessageId id) {
  const auto above = beginning_above(intervals, id);
  return above != intervals.begin() && id <= std::prev(above)->leave;
}

std::optional<MessageId> next_after(Intervals intervals, MessageId after) {
  const auto above = beginning_above(intervals, after);
  if (above != intervals.begin() && std::prev(above)->leave > after) return after + 1;
  if (above != intervals.end()) return above->join;
  return std::nullopt;
}

std::optional<MessageId> last_up_to(Intervals intervals, MessageId up_to) {
  const auto above = beginning_above(intervals, up_to);
  if (above == intervals.begin()) return std::nullopt;
  return std::min(std::prev(above)->leave, up_to);
}

std::uint64_t count_in(Intervals intervals, MessageId after, MessageId up_to) {
  std::uint64_t count = 0;
  for (const Interval& interval : intervals) {
    const MessageId first = std::max(interval.join, after + 1);
    const MessageId last = std::min(interval.leave, up_to);
    if (first <= last) count += last - first + 1;
  }
  return count;
}

bool is_member(Intervals intervals) {
  return !intervals.empty() && intervals.back().leave == Interval::open;
}

JoinOutcome decide_join(Intervals intervals) {
  return is_member(intervals) ? JoinOutcome::already_member : JoinOutcome::joined;
}

LeaveOutcome decide_leave(Intervals intervals) {
  return is_member(intervals) ? LeaveOutcome::left : LeaveOutcome::not_member;
}

}  // namespace clamor::core
