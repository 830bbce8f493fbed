#pragma once

#include "server/base/id.hpp"
#include "server/core/channel.hpp"
#include "server/core/membership.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clamor::core {

/// One channel of a user who logs in: what the device holds against what there is.
struct ChannelSync {
  ChannelId channel;
  MessageId held;  ///< The device's position; 0 when it sent none.
  MessageId durable_head;
  MessageId covered;     ///< Highest id whose queue entries are applied; 0 under per_group.
  MessageId queue_from;  ///< Below it the queue may miss entries: where the design last changed,
                         ///< or entries were trimmed. 0 where neither happened.
  ChannelDesign design = ChannelDesign::per_user;
  Intervals intervals;  ///< The user's, in this channel.
};

enum class ScanKind : std::uint8_t {
  user_queue,    ///< One scan of the user's queue; serves every per_user channel up to `covered`.
  member_queue,  ///< One scan of the (channel, member) queue.
  log,           ///< One scan of the channel's log.
};

/// One read that catches the device up. Its ends are cut to the member's intervals; records
/// between two intervals are skipped by whoever reads.
struct Scan {
  ScanKind kind = ScanKind::log;
  ChannelId channel;  ///< {0} for user_queue.
  MessageId after;    ///< Read ids in (after, up_to]; unused for user_queue.
  MessageId up_to;
  bool operator==(const Scan&) const = default;
};

/// Output of plan_sync; the caller clears and reuses it.
struct SyncPlan {
  std::vector<Scan> scans;             ///< user_queue first, then by channel as given.
  std::uint64_t head_comparisons = 0;  ///< One a channel.
  std::uint64_t records = 0;           ///< Records that the scans must yield to be complete.
};

/// Up to which id the channel's queue serves this device; 0 where the log must be read instead.
/// O(log intervals).
[[nodiscard]] MessageId served_by_queue(const ChannelSync& channel);

/// Plans the reads that bring a device from its positions to the durable heads, under every
/// design: heads are compared first, so a channel without news costs no read. Queue scans count
/// only up to `covered`; above it, and for a device that is behind `queue_from`, the log is read.
/// Appends to `out`. O(channels).
///
/// Run the scans in order, and from each take a record only where it is the channel's next one
/// (next_after of the position so far): then an entry that came twice, early or late does no harm.
/// Where a queue turns out to hold less than planned (lost, trimmed since, a queue_position ahead
/// of what is held), the position ends short of the head; read the rest from the log.
void plan_sync(std::span<const ChannelSync> channels, SyncPlan& out);

/// Where a page ends: bounds of one catch-up page, so that one device cannot hold a turn.
struct PageLimits {
  std::size_t records = 1000;
  std::size_t bytes = 256 * 1024;
};

/// Whether a page that holds `records` and `bytes` still takes one of `next_bytes`. A page takes
/// at least one record.
[[nodiscard]] constexpr bool page_takes(const PageLimits& limits, std::size_t records,
                                        std::size_t bytes, std::size_t next_bytes) {
  return records == 0 || (records < limits.records && bytes + next_bytes <= limits.bytes);
}

}  // namespace clamor::core
