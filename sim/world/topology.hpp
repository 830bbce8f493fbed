#pragma once

#include "scenarios/model/plan.hpp"
#include "server/base/id.hpp"

#include <cstdint>
#include <exception>
#include <functional>
#include <span>
#include <vector>

namespace clamor::sim {

/// The lay-out of a world was broken off on request; there is no result.
class LayOutInterrupted : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "the lay-out was interrupted"; }
};

/// Who connects where and who belongs to what, laid out for the simulator: computed once from the
/// plan and core's placement, read-only afterwards, the same under every design.
///
/// Clients have a *slot*: sorted by (node, user, device), so that a node's clients are neighbours
/// in every array and a channel's members, sorted by slot, are grouped by node. About 12 bytes a
/// membership, 30 bytes a client and 10 bytes a channel.
class Topology {
 public:
  /// Servers = ceil(clients / clients_per_server) of the scenario's deployment.
  /// `interrupted` is asked now and then; LayOutInterrupted is thrown where it returns true.
  explicit Topology(const scenario::Plan& plan, const std::function<bool()>& interrupted = {});

  [[nodiscard]] const scenario::Plan& plan() const { return *plan_; }
  [[nodiscard]] std::uint32_t nodes() const { return nodes_; }
  [[nodiscard]] std::uint32_t partitions() const { return partitions_; }
  [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(client_.size()); }

  // --- clients
  [[nodiscard]] std::uint32_t client_of(std::uint32_t slot) const { return client_[slot]; }
  [[nodiscard]] std::uint32_t user_of(std::uint32_t slot) const { return user_[slot]; }
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t client) const { return slot_[client]; }
  [[nodiscard]] std::uint16_t node_of(std::uint32_t slot) const { return placement_[slot].node; }
  /// The slots of a node's clients: [first_slot(node), first_slot(node + 1)).
  [[nodiscard]] std::uint32_t first_slot(std::uint32_t node) const { return node_begin_[node]; }
  /// How many devices the user of that first slot has; they follow it.
  [[nodiscard]] std::uint32_t devices_at(std::uint32_t first_slot) const {
    return placement_[first_slot].devices;
  }
  /// Node that owns the user partition of the slot's user.
  [[nodiscard]] std::uint16_t queue_node_of(std::uint32_t slot) const {
    return placement_[slot].queue_node;
  }

  // --- channels
  [[nodiscard]] std::uint32_t channels() const {
    return static_cast<std::uint32_t>(member_begin_.size() - 1);
  }
  /// First slot of each member, ascending, hence grouped by node.
  [[nodiscard]] std::span<const std::uint32_t> members_of(std::uint32_t channel) const {
    return std::span{members_}.subspan(member_begin_[channel],
                                       member_begin_[channel + 1] - member_begin_[channel]);
  }
  /// The part of members_of(channel) that connects to `node`. O(log members).
  [[nodiscard]] std::span<const std::uint32_t> members_on(std::uint32_t channel,
                                                          std::uint32_t node) const;
  /// Place of the channel's first member among all memberships; the others follow it.
  [[nodiscard]] std::uint32_t first_membership(std::uint32_t channel) const {
    return member_begin_[channel];
  }
  /// Place of the membership of a client's user. @pre the user is in the channel. O(log members).
  [[nodiscard]] std::uint32_t membership(std::uint32_t channel, std::uint32_t slot) const;
  /// Partition that holds the slot's user.
  [[nodiscard]] std::uint16_t user_partition_of(std::uint32_t slot) const {
    return partition_of_user_[user_[slot]];
  }
  [[nodiscard]] std::uint16_t owner_of(std::uint32_t channel) const;
  /// Devices of all members.
  [[nodiscard]] std::uint32_t devices_in(std::uint32_t channel) const {
    return channel_devices_[channel];
  }
  /// User partitions that hold members.
  [[nodiscard]] std::uint32_t user_partitions_of(std::uint32_t channel) const {
    return channel_user_partitions_[channel];
  }
  /// The channels of the slot's user, ascending.
  [[nodiscard]] std::span<const std::uint32_t> channels_of(std::uint32_t slot) const {
    const std::uint32_t user = user_[slot];
    return std::span{channels_}.subspan(channel_begin_[user],
                                        channel_begin_[user + 1] - channel_begin_[user]);
  }
  /// Hints that members_of(channel) will be asked for: first the row's place, then the row.
  void prefetch_row(std::uint32_t channel) const { __builtin_prefetch(&member_begin_[channel]); }
  void prefetch_members(std::uint32_t channel) const {
    __builtin_prefetch(&members_[member_begin_[channel]]);
  }
  [[nodiscard]] std::uint64_t memberships() const { return members_.size(); }

 private:
  /// What fan-out asks of every member, in one place.
  struct Placement {
    std::uint16_t node = 0;
    std::uint16_t queue_node = 0;  ///< Owner of the user's partition.
    std::uint16_t devices = 0;     ///< Of the user; at its first slot only.
  };

  void place_clients(const std::function<void(std::uint32_t)>& look_up);
  void lay_out_channels(const std::function<void(std::uint32_t)>& look_up);
  void count_user_partitions(std::uint32_t channel);

  const scenario::Plan* plan_;
  std::uint32_t nodes_ = 1;
  std::uint32_t partitions_ = 4;
  std::vector<std::uint16_t> owner_of_partition_;
  std::vector<std::uint16_t> partition_of_user_;
  std::vector<std::uint32_t> client_;
  std::vector<std::uint32_t> user_;
  std::vector<std::uint32_t> slot_;
  std::vector<Placement> placement_;
  std::vector<std::uint32_t> node_begin_;
  std::vector<std::uint32_t> member_begin_;
  std::vector<std::uint32_t> members_;
  std::vector<std::uint32_t> channel_begin_;
  std::vector<std::uint32_t> channels_;
  std::vector<std::uint32_t> channel_devices_;
  std::vector<std::uint16_t> channel_user_partitions_;
  std::vector<std::uint32_t> partition_stamp_;
};

}  // namespace clamor::sim
