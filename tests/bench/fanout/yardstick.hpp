#pragma once

#include "tests/bench/fanout/peers.hpp"

#include <cstdint>

namespace clamor::bench {

/// How the yardstick writes what a message owes to its group's members.
enum class Writes : std::uint8_t {
  one_per_member,   ///< write() at once, for every message and member.
  joined_per_turn,  ///< Into the member's buffer; one write() per dirty member and loop turn.
};

/// Message to the yardstick that puts the connection into a group: 'J' and the group, 4 bytes
/// little-endian; answered by 'R'. Every other message goes to all members of the sender's group,
/// the sender included, as it came.
inline constexpr std::byte join_tag{'J'};
inline constexpr std::byte ready_tag{'R'};

/// Serves for ever: the least a fan-out server must do. No sessions, no log, no ids, no limits, no
/// acks, no timers; a minimal upgrade, WebSocket framing, epoll. What a chat server reaches beside
/// it says what the chat costs. Throws where the system refuses something.
[[noreturn]] void run_yardstick(Descriptor listener, Writes writes);

}  // namespace clamor::bench
