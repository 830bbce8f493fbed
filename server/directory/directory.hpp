#pragma once

#include "server/base/id.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace clamor::directory {

/// Says which node owns which partition: a static deployment, placed by rendezvous hashing over its
/// nodes. Immutable; any thread.
class Directory {
 public:
  /// @pre `nodes` not empty; `partitions` is a power of two.
  Directory(std::vector<NodeId> nodes, std::uint32_t partitions);

  [[nodiscard]] std::span<const NodeId> nodes() const { return nodes_; }
  [[nodiscard]] std::uint32_t partitions() const {
    return static_cast<std::uint32_t>(owners_.size());
  }
  // O(1)
  [[nodiscard]] NodeId owner(PartitionId partition) const { return owners_[partition.value]; }
  [[nodiscard]] NodeId owner(ChannelId channel) const;
  [[nodiscard]] NodeId owner(UserId user) const;

 private:
  std::vector<NodeId> nodes_;
  std::vector<NodeId> owners_;  ///< By partition.
};

}  // namespace clamor::directory
