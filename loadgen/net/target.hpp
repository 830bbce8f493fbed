#pragma once

#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>

namespace clamor::loadgen {

/// The server that clients connect to.
struct Target {
  std::string host = "127.0.0.1";  ///< As the user wrote it; goes into the handshake.
  std::uint16_t port = 0;
  std::string path = "/ws";  ///< Where the server takes WebSockets; a bare `/` means it too.
  sockaddr_in address{};     ///< Resolved, IPv4.

  /// Whether it is in 127.0.0.0/8, where every source address is ours to choose.
  [[nodiscard]] bool loopback() const;
};

/// Reads `ws://host:port[/path]` and resolves the host. On failure `error` says what was expected.
[[nodiscard]] std::optional<Target> parse_target(std::string_view url, std::string& error);

}  // namespace clamor::loadgen
