#pragma once

#include "server/protocol/websocket_frame.hpp"
#include "server/tls/connection.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace clamor::gateway {

/// Why a session ended, for the handler and the counters.
enum class EndReason : std::uint8_t {
  peer_closed,  ///< A close frame, or the end of its stream.
  peer_reset,
  protocol_error,  ///< A malformed frame; see GatewayCounters::frame_errors.
  slow_consumer,
  silent,
  closed_by_us
};
inline constexpr std::size_t end_reason_count = 6;

/// Its name in metrics, e.g. "peer_closed".
[[nodiscard]] std::string_view name_of(EndReason reason);

/// What came, went and was refused at the edge. Plain counters of the I/O thread.
struct GatewayCounters {
  std::uint64_t connections = 0;      ///< TCP connections accepted.
  std::uint64_t accept_failures = 0;  ///< Out of descriptors or memory: accepting paused.
  std::uint64_t sessions_opened = 0;  ///< WebSocket handshakes completed.
  std::array<std::uint64_t, end_reason_count> sessions_ended{};           ///< By EndReason.
  std::array<std::uint64_t, protocol::frame_error_count> frame_errors{};  ///< By FrameError.
  std::uint64_t tls_handshakes_full = 0;
  std::uint64_t tls_handshakes_resumed = 0;                      ///< By a ticket.
  std::array<std::uint64_t, tls::failure_count> tls_failures{};  ///< Handshakes, by Failure.
  std::uint64_t pings = 0;
  std::uint64_t http_answers = 0;             ///< Plain GETs handed to the handler.
  std::uint64_t http_refused = 0;             ///< Bad requests, paths, methods, handshakes (4xx).
  std::uint64_t handshake_timeouts = 0;       ///< No complete request within handshake_timeout.
  std::uint64_t sessions_max_refused = 0;     ///< Handshakes answered with 503.
  std::uint64_t sessions_not_taken = 0;       ///< The same, as the handler takes none just now.
  std::uint64_t connections_max_refused = 0;  ///< Connections answered with 503 unread.
  std::uint64_t connection_rate_refused = 0;  ///< Connections answered with 429 unread.
  std::uint64_t close_timeouts = 0;           ///< Peers reset because they did not finish a close.
};

/// One counter as a metric: `clamor_gateway_<name>_total{<label>="<value_name>"}`.
struct NamedCounter {
  std::string_view name;
  std::string_view label;  ///< Empty where there is none.
  std::string_view label_value;
  std::uint64_t value = 0;
};

/// Every counter, in a fixed order, zeros included.
[[nodiscard]] std::vector<NamedCounter> named(const GatewayCounters& counters);

}  // namespace clamor::gateway
