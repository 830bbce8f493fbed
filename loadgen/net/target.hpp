#pragma once

#include "server/base/id.hpp"
#include "server/tls/context.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
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
  /// Whom its certificate is judged by; nothing where it is plain. One for all targets of a thread.
  std::shared_ptr<tls::Context> trust;

  /// Whether it is in 127.0.0.0/8, where every source address is ours to choose.
  [[nodiscard]] bool loopback() const;
};

/// Reads `ws://host:port[/path]` or `wss://…` and resolves the host. `authority_file` is trusted to
/// have signed the certificate of a wss one, empty: the system's. On failure `error` says what was
/// expected.
[[nodiscard]] std::optional<Target> parse_target(std::string_view url, std::string& error,
                                                 const std::string& authority_file = {});

/// Reads a list of them, one a node, with commas between. Empty on failure: see `error`.
[[nodiscard]] std::vector<Target> parse_targets(std::string_view urls, std::string& error,
                                                const std::string& authority_file = {});

/// Which of `targets` nodes the user's devices connect to: the choice that the simulator makes,
/// too.
[[nodiscard]] std::uint16_t target_of(UserId user, std::size_t targets);

}  // namespace clamor::loadgen
