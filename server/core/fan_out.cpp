#include "server/core/fan_out.hpp"

#include "server/base/assert.hpp"

#include <algorithm>

namespace clamor::core {
namespace {

/// Ids covered by any of `parts`, which it sorts.
std::uint64_t union_size(std::vector<Interval>& parts) {
  std::sort(parts.begin(), parts.end(),
            [](const Interval& a, const Interval& b) { return a.join < b.join; });
  std::uint64_t size = 0;
  MessageId covered;
  for (const Interval& part : parts) {
    const MessageId first = std::max(part.join, covered + 1);
    if (first > part.leave) continue;
    size += part.leave - first + 1;
    covered = part.leave;
  }
  return size;
}

}  // namespace

ChannelDesign effective_design(const DesignSpec& spec, ChannelDesign current,
                               std::uint64_t members) {
  switch (spec.design) {
    case QueueDesign::per_user:
      return ChannelDesign::per_user;
    case QueueDesign::per_member:
      return ChannelDesign::per_member;
    case QueueDesign::per_group:
      return ChannelDesign::per_group;
    case QueueDesign::adaptive:
      return ChannelDesign::adaptive;
    case QueueDesign::hybrid:
      break;
  }
  const std::uint64_t threshold = spec.threshold;
  const bool stays_up = current == ChannelDesign::per_group && members * 5 > threshold * 4;
  return members > threshold || stays_up ? ChannelDesign::per_group : ChannelDesign::per_user;
}

void plan_durable(ChannelDesign design, const RecordRun& run, std::span<const MemberRow> rows,
                  DurablePlan& out) {
  CLAMOR_ASSERT(design != ChannelDesign::adaptive);
  plan_durable(design, run, rows, {}, out);
}

void plan_durable(ChannelDesign design, const RecordRun& run, std::span<const MemberRow> rows,
                  std::span<const MessageId> queue_from, DurablePlan& out) {
  const bool by_member = design == ChannelDesign::adaptive;
  CLAMOR_ASSERT(!by_member || queue_from.size() == rows.size());
  if (design == ChannelDesign::per_group || run.count == 0) return;
  const MessageId run_last = run.first + (run.count - 1);
  for (std::size_t i = 0; i < rows.size();) {
    const PartitionId partition = rows[i].partition;
    bool whole_run = false;
    out.partial.clear();
    for (; i < rows.size() && rows[i].partition == partition; ++i) {
      const MemberRow& row = rows[i];
      const MessageId from = by_member ? std::max(run.first, queue_from[i]) : run.first;
      const Interval part{std::max(row.interval.join, from),
                          std::min(row.interval.leave, run_last)};
      if (part.join > part.leave) continue;
      const auto count = static_cast<std::uint32_t>(part.leave - part.join + 1);
      out.entries.push_back({row.user, partition, part.join, count});
      out.entry_count += count;
      whole_run = whole_run || count == run.count;
      if (!whole_run) out.partial.push_back(part);
    }
    CLAMOR_ASSERT(i == rows.size() || partition < rows[i].partition);
    out.user_partition_pairs += whole_run ? run.count : union_size(out.partial);
  }
}

void plan_live(std::span<const NodeRun> runs, LivePlan& out) {
  for (std::uint32_t i = 0; i < runs.size(); ++i) {
    if (runs[i].interested) out.runs.push_back(i);
  }
}

}  // namespace clamor::core
