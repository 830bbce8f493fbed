#pragma once

#include "server/base/time.hpp"

#include <chrono>
#include <cstdint>

namespace clamor::sim {

/// Lengths of the wire protocol's messages (server/protocol/PROTOCOL.md), as the cost model needs
/// them; payloads without the WebSocket header where a name says payload.
namespace wire {

inline constexpr std::uint32_t frame_header = 2;         ///< Server to client, below 126 bytes.
inline constexpr std::uint32_t frame_header_long = 4;    ///< From 126 bytes on.
inline constexpr std::uint32_t record_payload = 54;      ///< Before the body.
inline constexpr std::uint32_t send_payload = 21;        ///< Before the body.
inline constexpr std::uint32_t send_about_payload = 34;  ///< Before mentions and text.
inline constexpr std::uint32_t about = 12;  ///< Before a text in a body: target, mentions' count.
inline constexpr std::uint32_t mention = 8;
inline constexpr std::uint32_t ack = 25 + frame_header;
inline constexpr std::uint32_t refused = 33 + frame_header;
inline constexpr std::uint32_t login_accepted = 17 + frame_header;
inline constexpr std::uint32_t login_payload = 24 + 96;  ///< Before the positions; 96: the token.
inline constexpr std::uint32_t position = 20;
inline constexpr std::uint32_t typing_payload = 9;
inline constexpr std::uint32_t user_typing = 17 + frame_header;
inline constexpr std::uint32_t heartbeat_payload = 1;
inline constexpr std::uint32_t device_ack_payload = 13;  ///< Before the positions.
inline constexpr std::uint32_t next_page_payload = 1;
inline constexpr std::uint32_t page = 15 + frame_header_long;  ///< Before its items.

inline constexpr std::uint32_t subscribe_presence_payload = 7;  ///< Of partners only.

/// A notice of so many users with its header.
[[nodiscard]] constexpr std::uint32_t presence(std::uint32_t users) {
  const std::uint32_t payload = 5 + 13 * users;
  return payload + (payload < 126 ? frame_header : frame_header_long);
}

/// A time on the wire, rounded up.
[[nodiscard]] constexpr std::uint32_t whole_milliseconds(Duration time) {
  return static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(time).count());
}

/// A live record with its header.
[[nodiscard]] constexpr std::uint32_t record(std::uint32_t body) {
  const std::uint32_t payload = record_payload + body;
  return payload + (payload < 126 ? frame_header : frame_header_long);
}

}  // namespace wire

}  // namespace clamor::sim
