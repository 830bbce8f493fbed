#pragma once

#include "server/base/id.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace clamor::directory {

/// What a node's start took: under this term it owns its partitions until the next one.
struct Lease {
  NodeId node;
  Term term;
  std::string address;
  std::uint16_t port = 0;  ///< Of its gateway.
};

/// Checks that a data directory belongs to a deployment of so many nodes, or is new: partitions do
/// not move between nodes. Returns why not, and what to do; empty where all is well.
[[nodiscard]] std::string check_deployment(const std::string& data, std::uint32_t nodes);

/// Notes in `<data>/deployment` who is where: the leases, and those of other nodes that have their
/// data in the directory and were noted before. Processes that share it take turns. Returns what
/// failed; empty where nothing did.
[[nodiscard]] std::string write_deployment(const std::string& data, std::uint32_t nodes,
                                           std::uint32_t partitions, std::span<const Lease> leases);

}  // namespace clamor::directory
