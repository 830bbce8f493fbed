#pragma once

#include "server/gateway/gateway.hpp"
#include "server/tls/context.hpp"

#include <cstddef>
#include <vector>

namespace clamor::gateway {

/// What the TLS connections of one gateway share. Buffers are the connection's at work: one is at a
/// time. Connections that are still HTTP may outlive their gateway, and keep this.
struct TlsEndpoint {
  explicit TlsEndpoint(const GatewayTls& settings)
      : context{tls::Context::server(settings.files, settings.ticket_seed)} {}

  tls::Context context;
  std::vector<std::byte> cipher = std::vector<std::byte>(std::size_t{48} * 1024);
  /// Holds what `cipher` says, and what a connection had of a record before.
  std::vector<std::byte> plain = std::vector<std::byte>(std::size_t{64} * 1024);
};

}  // namespace clamor::gateway
