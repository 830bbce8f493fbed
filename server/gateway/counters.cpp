#include "server/gateway/counters.hpp"

namespace clamor::gateway {

std::string_view name_of(EndReason reason) {
  switch (reason) {
    case EndReason::peer_closed:
      return "peer_closed";
    case EndReason::peer_reset:
      return "peer_reset";
    case EndReason::protocol_error:
      return "protocol_error";
    case EndReason::slow_consumer:
      return "slow_consumer";
    case EndReason::silent:
      return "silent";
    case EndReason::closed_by_us:
      return "closed_by_us";
  }
  return "?";
}

std::vector<NamedCounter> named(const GatewayCounters& counters) {
  std::vector<NamedCounter> all{
      {"connections", {}, {}, counters.connections},
      {"accept_failures", {}, {}, counters.accept_failures},
      {"sessions_opened", {}, {}, counters.sessions_opened},
      {"pings", {}, {}, counters.pings},
      {"http_answers", {}, {}, counters.http_answers},
      {"http_refused", {}, {}, counters.http_refused},
      {"handshake_timeouts", {}, {}, counters.handshake_timeouts},
      {"sessions_max_refused", {}, {}, counters.sessions_max_refused},
      {"sessions_not_taken", {}, {}, counters.sessions_not_taken},
      {"connections_max_refused", {}, {}, counters.connections_max_refused},
      {"connection_rate_refused", {}, {}, counters.connection_rate_refused},
      {"close_timeouts", {}, {}, counters.close_timeouts},
  };
  all.push_back({"tls_handshakes", "kind", "full", counters.tls_handshakes_full});
  all.push_back({"tls_handshakes", "kind", "resumed", counters.tls_handshakes_resumed});
  for (std::size_t i = 0; i < tls::failure_count; ++i) {
    all.push_back({"tls_failures", "reason", tls::name_of(static_cast<tls::Failure>(i)),
                   counters.tls_failures[i]});
  }
  for (std::size_t i = 0; i < end_reason_count; ++i) {
    all.push_back({"sessions_ended", "reason", name_of(static_cast<EndReason>(i)),
                   counters.sessions_ended[i]});
  }
  for (std::size_t i = 1; i < protocol::frame_error_count; ++i) {
    all.push_back({"frame_errors", "error", name_of(static_cast<protocol::FrameError>(i)),
                   counters.frame_errors[i]});
  }
  return all;
}

}  // namespace clamor::gateway
