#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/core/membership.hpp"

#include <algorithm>
#include <cstdint>

namespace clamor::core {

/// What of each channel's log is kept: what neither rule lets go. Nothing set: all of it.
struct Retention {
  std::uint64_t records = 0;  ///< The latest so many; 0: no bound.
  Duration age{};             ///< What was accepted within it; 0: no bound.

  [[nodiscard]] constexpr bool keeps_all() const { return records == 0 && age == Duration{}; }
  bool operator==(const Retention&) const = default;
};

/// The first record of a channel that its number keeps, under this head. Devices are told of those
/// below that they are gone, whether or not they have left the disk: so the answer is the same
/// wherever the head is, live and simulated.
[[nodiscard]] constexpr MessageId kept_from(const Retention& retention, MessageId head) {
  const bool bounded = retention.records != 0 && head.value > retention.records;
  return bounded ? head - retention.records + 1 : MessageId{1};
}

/// Up to where a device need read nothing of a channel: what it holds, or what is gone. Everything
/// that is planned for it begins there, under every design.
[[nodiscard]] constexpr MessageId held_or_gone(MessageId held, MessageId kept_from) {
  return std::max(held, kept_from - 1);
}

/// The last of the ids up to `up_to` that the member receives without a gap from `id` on: a stretch
/// that can be told as one. @pre the member receives `id`, and id <= up_to. O(intervals).
[[nodiscard]] inline MessageId run_end(Intervals intervals, MessageId id, MessageId up_to) {
  const auto of = std::find_if(intervals.begin(), intervals.end(),
                               [id](const Interval& interval) { return interval.contains(id); });
  return std::min(of->leave, up_to);
}

/// Where logs are trimmed, queues are flushed so long after their first entry in any case: no
/// record leaves a log before that.
inline constexpr Duration queue_flush_after = std::chrono::seconds{10};

/// A log is trimmed once it has so much more than is kept: each time costs a checkpoint of the
/// channel.
inline constexpr unsigned trim_slack = 8;  ///< One in so many.
[[nodiscard]] constexpr std::uint64_t trim_step(const Retention& retention) {
  return std::max<std::uint64_t>(1, retention.records / trim_slack);
}

/// What may leave a channel's log now.
struct TrimBounds {
  MessageId by_number;  ///< All up to here.
  MessageId by_age;     ///< Beyond, those up to here that were accepted before `before`.
  Instant before;
  [[nodiscard]] constexpr bool any() const { return std::max(by_number, by_age) != MessageId{}; }
};

/// Says what of a channel is due, of which records up to `trimmed` are gone and the first one kept
/// is of `oldest`. O(1).
[[nodiscard]] constexpr TrimBounds due_trim(const Retention& retention, MessageId head,
                                            MessageId trimmed, Instant oldest, Instant now) {
  TrimBounds due;
  const MessageId gone = kept_from(retention, head) - 1;
  if (gone >= trimmed + trim_step(retention)) due.by_number = gone;
  if (retention.age != Duration{} && head > trimmed &&
      oldest < now - retention.age - retention.age / trim_slack) {
    due.by_age = head;
    due.before = now - retention.age;
  }
  return due;
}

}  // namespace clamor::core
