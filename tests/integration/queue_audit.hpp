#pragma once

#include "server/app/channels.hpp"
#include "server/app/settings.hpp"
#include "server/base/operations.hpp"
#include "server/base/queue_design.hpp"
#include "server/core/placement.hpp"
#include "server/protocol/about.hpp"
#include "server/store/store.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace clamor::test {

/// What a store's sync queues hold, beside what its log says that they must.
struct QueueAudit {
  std::uint64_t messages = 0;         ///< In the log, with all else that devices sent.
  Operations kinds;                   ///< Of them, by what they are; stubs mention nobody.
  std::uint64_t mode_records = 0;     ///< In the log.
  std::uint64_t entries = 0;          ///< In the queues, by entry.
  std::uint64_t created_entries = 0;  ///< Those of them that name record 1 of a channel.
  /// (record, partition of users that have its entry), without record 1.
  std::uint64_t record_user_partition_pairs = 0;
  /// One line for each member's queue of a channel that does not hold the ids it must, once and in
  /// order, or holds another, or lies at another node than its user's.
  std::vector<std::string> faults;
};

/// What of a queue must be there: all, or what was not acknowledged.
enum class Queues { kept, trimmed };

using MembersOf = std::map<ChannelId, std::vector<UserId>>;
/// Under adaptive: from which record on a member has a queue, or has none any more, by member_mode
/// records.
using ModesOf = std::map<std::pair<UserId, ChannelId>, std::map<MessageId, bool>>;
using QueueRuns = std::map<std::pair<UserId, ChannelId>, std::vector<store::QueueRun>>;

inline void count_kind(const core::Record& record, std::span<const std::byte> body,
                       Operations& counts) {
  counts.edits += record.kind == core::RecordKind::edit ? 1 : 0;
  counts.deletions += record.kind == core::RecordKind::deletion ? 1 : 0;
  counts.reactions += record.kind == core::RecordKind::reaction ? 1 : 0;
  if (record.kind != core::RecordKind::message || !record.has_about) return;
  const protocol::About about = protocol::read_about(body).value();
  counts.replies += about.target == MessageId{} ? 0 : 1;
  counts.mentions += about.mentions.size();
}

/// Appends what a store's queues hold for these members, whatever its design, to `out`.
inline void read_queues(const store::Store& store, const MembersOf& members, QueueRuns& out) {
  constexpr auto all = std::numeric_limits<std::size_t>::max();
  std::set<UserId> users;
  for (const auto& [channel, in_it] : members) {
    for (const UserId user : in_it) {
      users.insert(user);
      std::vector<store::MemberQueueRow> rows;
      store.scan_member_queue(channel, user, {}, all, all, rows).value();
      for (const store::MemberQueueRow& row : rows) out[{user, channel}].push_back(row.run);
    }
  }
  for (const UserId user : users) {
    std::vector<store::UserQueueRow> rows;
    store.scan_user_queue(user, {}, all, all, rows).value();
    for (const store::UserQueueRow& row : rows) {
      for (const store::QueueRun& run : row.runs) out[{user, run.channel}].push_back(run);
    }
  }
}

/// The stores of a server that has gone, in the nodes' order.
inline std::deque<store::Store> open_stores(const std::string& data, const DesignSpec& design,
                                            std::uint32_t nodes) {
  std::deque<store::Store> stores;
  for (std::uint32_t node = 0; node < nodes; ++node) {
    stores.emplace_back(
        store::StoreSettings{.path = nodes == 1 ? data : data + "/node-" + std::to_string(node),
                             .durability = store::Durability::os,
                             .partitions = core::partition_count(nodes),
                             .layout = server::layout_of(design)});
  }
  return stores;
}

/// Whether the record is to be in the member's queue.
inline bool has_entry(const std::map<MessageId, bool>& modes, MessageId id) {
  const auto next = modes.upper_bound(id);
  return next != modes.begin() && std::prev(next)->second;
}

/// Reads every queue back from the data directory of a server that has gone. For channels whose
/// members are those of record 1 and whose design never changes; members' modes may.
inline QueueAudit audit_queues(const std::string& data, const DesignSpec& design,
                               std::uint32_t nodes = 1, Queues queues_are = Queues::kept) {
  const std::deque<store::Store> stores = open_stores(data, design, nodes);
  QueueAudit audit;
  MembersOf members;
  std::map<ChannelId, MessageId> heads;
  ModesOf modes;
  const auto read = [&](const core::Record& record, std::span<const std::byte> body) {
    const bool of_modes = record.kind == core::RecordKind::member_mode;
    audit.messages += core::is_sent(record.kind) ? 1 : 0;
    count_kind(record, body, audit.kinds);
    audit.mode_records += of_modes ? 1 : 0;
    heads[record.channel] = record.id;
    if (of_modes) {
      server::for_each_mode(body, [&](UserId user, bool queued) {
        modes[{user, record.channel}][record.id] = queued;
      });
    }
    if (record.id != MessageId{1}) return;
    server::for_each_user(body, [&](UserId user) { members[record.channel].push_back(user); });
  };
  for (const store::Store& store : stores) store.visit_log(read).value();
  QueueRuns queues;
  std::vector<NodeId> node_ids;
  for (std::uint32_t node = 0; node < nodes; ++node) node_ids.push_back({node});
  const auto partition_of = [&](UserId user) {
    return core::partition_of(user, core::partition_count(nodes));
  };
  for (std::uint32_t node = 0; node < nodes; ++node) {
    QueueRuns here;
    read_queues(stores[node], members, here);
    for (auto& [whose, runs] : here) {
      auto& all = queues[whose];
      all.insert(all.end(), runs.begin(), runs.end());
      if (core::owner_of(partition_of(whose.first), node_ids) == NodeId{node}) continue;
      audit.faults.push_back("user " + std::to_string(whose.first.value) + " has a queue at node " +
                             std::to_string(node));
    }
  }

  for (const auto& [channel, in_it] : members) {
    const auto layout = core::effective_design(design, core::ChannelDesign::per_user, in_it.size());
    const bool queued = layout != core::ChannelDesign::per_group;
    const bool adaptive = layout == core::ChannelDesign::adaptive;
    std::set<std::pair<MessageId, PartitionId>> pairs;
    for (const UserId user : in_it) {
      const auto& of_member = modes[{user, channel}];
      MessageId held;
      std::string text;
      bool dense = true;
      const auto none_between = [&](MessageId after, MessageId before) {
        if (queues_are == Queues::trimmed) return true;
        for (MessageId id = after + 1; id < before; ++id) {
          if (has_entry(of_member, id)) return false;
        }
        return true;
      };
      for (const store::QueueRun& run : queues[{user, channel}]) {
        audit.entries += run.count;
        if (adaptive) {
          dense = dense && run.first > held && none_between(held, run.first);
          for (std::uint32_t i = 0; i < run.count; ++i) {
            dense = dense && has_entry(of_member, run.first + i);
          }
        }
        audit.created_entries += run.first == MessageId{1} ? 1 : 0;
        // What one device held of a run or the rest of a row was trimmed; nothing comes twice.
        if (!adaptive) {
          dense = dense && (queues_are == Queues::kept ? run.first == held + 1 : run.first > held);
        }
        held = run.first + (run.count - 1);
        for (MessageId id = std::max(run.first, MessageId{2}); id <= held; id = id + 1) {
          pairs.emplace(id, partition_of(user));
        }
        text += " " + std::to_string(run.first.value) + "-" + std::to_string(held.value);
      }
      const MessageId head = queued ? heads[channel] : MessageId{};
      if (adaptive) {
        if (dense && none_between(held, head + 1)) continue;
      } else if (dense && (queues_are == Queues::kept ? held == head : held <= head)) {
        continue;
      }
      audit.faults.push_back("user " + std::to_string(user.value) + ", channel " +
                             std::to_string(channel.value) + " with head " +
                             std::to_string(heads[channel].value) + ": the queue holds" + text);
    }
    audit.record_user_partition_pairs += pairs.size();
  }
  return audit;
}

}  // namespace clamor::test
