#pragma once

#include "loadgen/net/target.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace clamor::loadgen {

/// Longest response head that a handshake accepts.
inline constexpr std::size_t handshake_bytes_max = 8 * 1024;

/// The WebSocket opening request (RFC 6455, 4.1). Its key is the RFC's own example: a load
/// generator proves nothing by a fresh one, and so it can check the answer without a SHA-1 each.
[[nodiscard]] std::string handshake_request(const Target& target);

enum class HandshakeState : std::uint8_t { need_more, accepted, refused };

struct HandshakeResult {
  HandshakeState state = HandshakeState::need_more;
  std::size_t used = 0;  ///< accepted: bytes of the head; what follows are frames.
  std::string error;     ///< refused: the status line, or what is wrong with the answer.
};

/// Judges what the server has answered so far.
[[nodiscard]] HandshakeResult check_handshake(std::string_view answer);

}  // namespace clamor::loadgen
