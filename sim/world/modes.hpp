#pragma once

#include "server/core/member_mode.hpp"

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace clamor::sim {

/// Of a member_mode's body, a member.
inline constexpr std::uint32_t mode_bytes = 9;

/// What a world under adaptive keeps of its members.
struct Modes {
  struct EntriesAt {
    std::uint32_t node = 0;
    std::uint32_t entries = 0;
  };
  std::vector<core::MemberReads> reads;   ///< By membership, as Topology places them.
  std::vector<std::uint32_t> queue_from;  ///< By membership; none: it has no queue.
  std::vector<std::uint32_t> queued_in;   ///< By channel: members with a queue.
  /// What mode records that are not durable yet say: (membership, whether it has a queue).
  std::unordered_map<std::uint32_t, std::vector<std::pair<std::uint32_t, bool>>> due;
  /// By record: its entries for other nodes than its owner, on their way there.
  std::unordered_map<std::uint32_t, std::vector<EntriesAt>> under_way;
  std::vector<std::uint32_t> queued;  ///< Scratch.
  std::vector<std::uint16_t> partitions;
};

}  // namespace clamor::sim
