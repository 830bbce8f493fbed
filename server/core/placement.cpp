#include "server/core/placement.hpp"

#include "server/base/assert.hpp"
#include "server/base/hash.hpp"

#include <bit>

namespace clamor::core {
namespace {

// Different salts, so that a channel, a user and a partition of one number land independently.
constexpr std::uint64_t channel_salt = 0x6368616E6E656C00;
constexpr std::uint64_t user_salt = 0x7573657200000000;
constexpr std::uint64_t gateway_salt = 0x6761746577617900;
constexpr std::uint64_t owner_salt = 0x6F776E6572000000;

PartitionId partition_of_hash(std::uint64_t hash, std::uint32_t partitions) {
  CLAMOR_ASSERT(std::has_single_bit(partitions));
  return {static_cast<std::uint32_t>(hash) & (partitions - 1)};
}

/// The node with the highest weight for `key`; ties by node id, so that the order in which a
/// caller lists the nodes does not matter.
NodeId rendezvous(std::uint64_t key, std::span<const NodeId> nodes) {
  CLAMOR_ASSERT(!nodes.empty());
  NodeId best = nodes.front();
  std::uint64_t best_weight = combine64(key, best.value);
  for (const NodeId node : nodes.subspan(1)) {
    const std::uint64_t weight = combine64(key, node.value);
    if (weight > best_weight || (weight == best_weight && node < best)) {
      best = node;
      best_weight = weight;
    }
  }
  return best;
}

}  // namespace

std::uint32_t partition_count(std::uint32_t servers) {
  CLAMOR_ASSERT(servers > 0 && servers <= (1U << 28U));
  return std::bit_ceil(4 * servers);
}

PartitionId partition_of(ChannelId channel, std::uint32_t partitions) {
  return partition_of_hash(combine64(channel_salt, channel.value), partitions);
}

PartitionId partition_of(UserId user, std::uint32_t partitions) {
  return partition_of_hash(combine64(user_salt, user.value), partitions);
}

NodeId owner_of(PartitionId partition, std::span<const NodeId> nodes) {
  return rendezvous(combine64(owner_salt, partition.value), nodes);
}

NodeId gateway_of(UserId user, std::span<const NodeId> nodes) {
  return rendezvous(combine64(gateway_salt, user.value), nodes);
}

}  // namespace clamor::core
