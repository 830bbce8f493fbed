#include "server/core/sync.hpp"

#include <algorithm>
#include <optional>

namespace clamor::core {
namespace {

/// Appends the scan of a channel's log over (after, up_to], cut to the intervals, if any is left.
void add_log_scan(const ChannelSync& channel, MessageId after, MessageId up_to, SyncPlan& out) {
  const auto first = next_after(channel.intervals, after);
  const auto last = last_up_to(channel.intervals, up_to);
  if (!first || !last || *first > *last) return;
  out.scans.push_back({ScanKind::log, channel.channel, *first - 1, *last});
}

}  // namespace

MessageId served_by_queue(const ChannelSync& channel) {
  if (channel.design == ChannelDesign::per_group) return {};
  const auto next = next_after(channel.intervals, channel.held);
  const MessageId queued = std::min(channel.covered, channel.durable_head);
  return next && *next >= channel.queue_from && *next <= queued ? queued : MessageId{};
}

void plan_sync(std::span<const ChannelSync> channels, SyncPlan& out) {
  const auto begin = static_cast<std::ptrdiff_t>(out.scans.size());
  bool needs_user_queue = false;
  for (const ChannelSync& channel : channels) {
    ++out.head_comparisons;
    const auto next = next_after(channel.intervals, channel.held);
    if (!next || *next > channel.durable_head) continue;
    out.records += count_in(channel.intervals, channel.held, channel.durable_head);
    const MessageId queued = served_by_queue(channel);
    if (queued == MessageId{}) {
      add_log_scan(channel, channel.held, channel.durable_head, out);
      continue;
    }
    if (channel.design == ChannelDesign::per_user) {
      needs_user_queue = true;
    } else {
      const MessageId last = *last_up_to(channel.intervals, queued);
      out.scans.push_back({ScanKind::member_queue, channel.channel, *next - 1, last});
    }
    add_log_scan(channel, queued, channel.durable_head, out);
  }
  if (needs_user_queue) {
    out.scans.insert(out.scans.begin() + begin, Scan{.kind = ScanKind::user_queue});
  }
}

}  // namespace clamor::core
