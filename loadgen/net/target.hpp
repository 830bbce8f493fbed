#pragma once

#include "server/base/id.hpp"

#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::loadgen {

/// Most servers of one run: each slot keeps its own's index in 16 bits.
inline constexpr std::size_t targets_max = 1000;

/// A server that clients connect to.
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

/// Reads a list of them, one a node, with commas between. Empty on failure: see `error`.
[[nodiscard]] std::vector<Target> parse_targets(std::string_view urls, std::string& error);

/// Which of `targets` nodes the user's devices connect to: the choice that the simulator makes,
/// too.
[[nodiscard]] std::uint16_t target_of(UserId user, std::size_t targets);

}  // namespace clamor::loadgen
