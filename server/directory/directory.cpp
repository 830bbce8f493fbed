#include "server/directory/directory.hpp"

#include "server/core/placement.hpp"

#include <utility>

namespace clamor::directory {

Directory::Directory(std::vector<NodeId> nodes, std::uint32_t partitions)
    : nodes_{std::move(nodes)} {
  owners_.reserve(partitions);
  for (std::uint32_t partition = 0; partition < partitions; ++partition) {
    owners_.push_back(core::owner_of({partition}, nodes_));
  }
}

NodeId Directory::owner(ChannelId channel) const {
  return owner(core::partition_of(channel, partitions()));
}

NodeId Directory::owner(UserId user) const { return owner(core::partition_of(user, partitions())); }

}  // namespace clamor::directory
