#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace clamor::test {

/// A free port of the loopback below the range that outgoing connections draw theirs from. A server
/// that is killed and started again under load must come back on its port: with one of that range a
/// client that knocks meanwhile may be given the port as its own, and connect to itself.
inline std::uint16_t fixed_port() {
  constexpr std::uint16_t first = 20'000;
  constexpr std::uint16_t count = 10'000;
  const auto start = static_cast<std::uint32_t>(getpid());
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first + (start + i) % count);
    const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free = bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    if (free) return port;
  }
  throw std::runtime_error("no free port below the ephemeral range");
}

}  // namespace clamor::test
