#include "sim/world/topology.hpp"

#include "server/base/assert.hpp"
#include "server/core/placement.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace clamor::sim {

Topology::Topology(const scenario::Plan& plan, const std::function<bool()>& interrupted)
    : plan_{&plan}, nodes_{scenario::servers_of(plan)} {
  CLAMOR_ASSERT(nodes_ < std::numeric_limits<std::uint16_t>::max());
  partitions_ = core::partition_count(nodes_);
  const auto look_up = [&interrupted](std::uint32_t done) {
    if (done % 4096 == 0 && interrupted && interrupted()) throw LayOutInterrupted{};
  };
  place_clients(look_up);
  lay_out_channels(look_up);
}

void Topology::place_clients(const std::function<void(std::uint32_t)>& look_up) {
  const scenario::Plan& plan = *plan_;
  std::vector<NodeId> node_ids(nodes_);
  for (std::uint32_t node = 0; node < nodes_; ++node) node_ids[node] = NodeId{node};
  for (std::uint32_t partition = 0; partition < partitions_; ++partition) {
    const NodeId owner = core::owner_of(PartitionId{partition}, node_ids);
    owner_of_partition_.push_back(static_cast<std::uint16_t>(owner.value));
  }
  std::vector<std::uint16_t> node_of_user(plan.users());
  partition_of_user_.resize(plan.users());
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    look_up(user);
    const UserId id = scenario::Plan::user_id(user);
    node_of_user[user] = static_cast<std::uint16_t>(core::gateway_of(id, node_ids).value);
    partition_of_user_[user] =
        static_cast<std::uint16_t>(core::partition_of(id, partitions_).value);
  }
  // Counting sort of users by node, then their devices one after the other.
  std::vector<std::uint32_t> begin(nodes_ + 1);
  for (const std::uint16_t node : node_of_user) ++begin[node + 1U];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::uint32_t> users(plan.users());
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    users[begin[node_of_user[user]]++] = user;
  }
  node_begin_.assign(nodes_ + 1, 0);
  slot_.resize(plan.clients());
  for (const std::uint32_t user : users) {
    const std::uint32_t devices = plan.devices_of(user);
    for (std::uint32_t device = 1; device <= devices; ++device) {
      const std::uint32_t client = plan.client_of(user, device);
      slot_[client] = slots();
      client_.push_back(client);
      user_.push_back(user);
      placement_.push_back({.node = node_of_user[user],
                            .queue_node = owner_of_partition_[partition_of_user_[user]],
                            .devices = static_cast<std::uint16_t>(device == 1 ? devices : 0)});
    }
    node_begin_[node_of_user[user] + 1U] = slots();
  }
  for (std::uint32_t node = 0; node < nodes_; ++node) {  // nodes without clients
    node_begin_[node + 1] = std::max(node_begin_[node + 1], node_begin_[node]);
  }
  CLAMOR_ASSERT(slots() == plan.clients());
}

void Topology::lay_out_channels(const std::function<void(std::uint32_t)>& look_up) {
  const scenario::Plan& plan = *plan_;
  member_begin_.reserve(plan.channels() + 1);
  member_begin_.push_back(0);
  channel_devices_.reserve(plan.channels());
  channel_user_partitions_.reserve(plan.channels());
  partition_stamp_.assign(partitions_, std::numeric_limits<std::uint32_t>::max());
  channel_begin_.assign(plan.users() + 1, 0);
  std::vector<std::uint32_t> users;
  for (std::uint32_t channel = 0; channel < plan.channels(); ++channel) {
    look_up(channel);
    users.clear();
    plan.members(channel, users);
    const auto first = static_cast<std::ptrdiff_t>(members_.size());
    std::uint32_t devices = 0;
    for (const std::uint32_t user : users) {
      const std::uint32_t slot = slot_[plan.client_of(user, 1)];
      members_.push_back(slot);
      devices += placement_[slot].devices;
      ++channel_begin_[user + 1];
    }
    std::sort(members_.begin() + first, members_.end());
    CLAMOR_ASSERT(members_.size() < std::numeric_limits<std::uint32_t>::max());
    member_begin_.push_back(static_cast<std::uint32_t>(members_.size()));
    channel_devices_.push_back(devices);
    count_user_partitions(channel);
  }
  std::partial_sum(channel_begin_.begin(), channel_begin_.end(), channel_begin_.begin());
  channels_.resize(members_.size());
  std::vector<std::uint32_t> next(channel_begin_.begin(), channel_begin_.end() - 1);
  for (std::uint32_t channel = 0; channel < plan.channels(); ++channel) {
    for (const std::uint32_t slot : members_of(channel)) channels_[next[user_[slot]]++] = channel;
  }
}

void Topology::count_user_partitions(std::uint32_t channel) {
  std::uint16_t distinct = 0;
  for (const std::uint32_t slot : members_of(channel)) {
    std::uint32_t& stamp = partition_stamp_[partition_of_user_[user_[slot]]];
    if (stamp != channel) ++distinct;
    stamp = channel;
  }
  channel_user_partitions_.push_back(distinct);
}

std::span<const std::uint32_t> Topology::members_on(std::uint32_t channel,
                                                    std::uint32_t node) const {
  const auto members = members_of(channel);
  const auto begin = std::lower_bound(members.begin(), members.end(), node_begin_[node]);
  const auto end = std::lower_bound(begin, members.end(), node_begin_[node + 1]);
  return members.subspan(static_cast<std::size_t>(begin - members.begin()),
                         static_cast<std::size_t>(end - begin));
}

std::uint32_t Topology::membership(std::uint32_t channel, std::uint32_t slot) const {
  while (placement_[slot].devices == 0) --slot;  // The user's first.
  const auto members = members_of(channel);
  const auto at = std::lower_bound(members.begin(), members.end(), slot);
  CLAMOR_ASSERT(at != members.end() && *at == slot);
  return member_begin_[channel] + static_cast<std::uint32_t>(at - members.begin());
}

std::uint16_t Topology::owner_of(std::uint32_t channel) const {
  const PartitionId partition =
      core::partition_of(scenario::Plan::channel_id(channel), partitions_);
  return owner_of_partition_[partition.value];
}

}  // namespace clamor::sim
