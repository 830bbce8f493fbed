#pragma once

#include "server/base/id.hpp"

#include <cstdint>
#include <span>

namespace clamor::core {

/// Partitions for `servers` nodes: the power of two >= 4 x servers. @pre 0 < servers <= 2^28.
[[nodiscard]] std::uint32_t partition_count(std::uint32_t servers);

/// The partition that owns a channel, or a user. @pre partitions is a power of two.
[[nodiscard]] PartitionId partition_of(ChannelId channel, std::uint32_t partitions);
[[nodiscard]] PartitionId partition_of(UserId user, std::uint32_t partitions);

/// The node that owns a partition among the live ones: rendezvous hashing (Thaler & Ravishankar,
/// 1998), so that a node's death moves only its own partitions. O(nodes). @pre nodes not empty.
[[nodiscard]] NodeId owner_of(PartitionId partition, std::span<const NodeId> nodes);

/// The node whose gateway a user's devices connect to, by the same rule. O(nodes).
[[nodiscard]] NodeId gateway_of(UserId user, std::span<const NodeId> nodes);

}  // namespace clamor::core
