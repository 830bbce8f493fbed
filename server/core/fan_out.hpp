#pragma once

#include "server/base/id.hpp"
#include "server/base/queue_design.hpp"
#include "server/core/channel.hpp"
#include "server/core/membership.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace clamor::core {

/// Resolves a design for a channel of `members` members that is under `current` now. hybrid goes up
/// to per_group above its threshold and down to per_user at 80 % of it, so that a group at the
/// border does not flap; for a new channel pass per_user as current.
[[nodiscard]] ChannelDesign effective_design(const DesignSpec& spec, ChannelDesign current,
                                             std::uint64_t members);

/// One interval of one member, as durable fan-out sees it. Rows are sorted by partition.
struct MemberRow {
  UserId user;
  PartitionId partition;  ///< The user's.
  Interval interval;
};

/// A run of consecutive records of one channel, in one commit and under one design: a
/// design_changed or member_mode record begins a new run.
struct RecordRun {
  ChannelId channel;
  MessageId first;
  std::uint32_t count = 0;
};

/// Queue entries for one member: `count` records from `first` on, packed as one stored row.
struct DurableEntry {
  UserId user;
  PartitionId partition;
  MessageId first;
  std::uint32_t count = 0;
  bool operator==(const DurableEntry&) const = default;
};

/// Output of plan_durable; the caller clears and reuses it, so that it allocates while warming up
/// only.
struct DurablePlan {
  std::vector<DurableEntry> entries;       ///< By partition, in the order of the rows.
  std::uint64_t entry_count = 0;           ///< Sum of counts.
  std::uint64_t user_partition_pairs = 0;  ///< (record, user partition that gets entries of it).
  std::vector<Interval> partial;           ///< Scratch of plan_durable; nothing to read here.

  void clear() {
    entries.clear();
    entry_count = 0;
    user_partition_pairs = 0;
  }
};

/// Says which members' queues get which records of a run; appends to `out`. Under per_group user
/// partitions get nothing: no entries, no pairs. The sender has a queue like anybody (its other
/// devices read it). A member with several intervals may have several rows. @pre rows are sorted by
/// partition. O(rows), and a sort of those rows of a partition whose intervals begin or end inside
/// the run, where no other row covers it. Under adaptive `queue_from` says for each row where its
/// queue begins (no_queue: nowhere); it is not looked at under the others.
void plan_durable(ChannelDesign design, const RecordRun& run, std::span<const MemberRow> rows,
                  std::span<const MessageId> queue_from, DurablePlan& out);
/// The same where no member has a mode of its own. @pre design is not adaptive.
void plan_durable(ChannelDesign design, const RecordRun& run, std::span<const MemberRow> rows,
                  DurablePlan& out);

/// Counts what plan_durable would: for callers whose rows are all open, already grouped by
/// partition. The simulator's queues are lengths. Under adaptive `members` are those with a queue.
/// O(1).
[[nodiscard]] constexpr std::uint64_t durable_entries(ChannelDesign design, std::uint64_t records,
                                                      std::uint64_t members) {
  return design == ChannelDesign::per_group ? 0 : records * members;
}

/// Members of a channel on one node: [begin, end) of the caller's member array sorted by node.
struct NodeRun {
  NodeId node;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool interested = false;  ///< The node registered interest: a local member has a session.
};

/// Output of plan_live: one batch for each interested node. The caller clears and reuses it.
struct LivePlan {
  std::vector<std::uint32_t> runs;  ///< Indices into the caller's NodeRuns.
};

/// Says which nodes get a record, the same under every design; appends to `out`. O(runs).
void plan_live(std::span<const NodeRun> runs, LivePlan& out);

/// What a node does with a record that a link brings it, given the last id it relayed.
enum class RelayDecision : std::uint8_t {
  deliver,  ///< The next id: hand it to the local sessions, set relayed to it.
  drop,     ///< At or below relayed.
  fetch,    ///< A gap: read (relayed, id) from the log first.
};
[[nodiscard]] constexpr RelayDecision relay(MessageId relayed, MessageId id) {
  if (id <= relayed) return RelayDecision::drop;
  return id == relayed + 1 ? RelayDecision::deliver : RelayDecision::fetch;
}

}  // namespace clamor::core
