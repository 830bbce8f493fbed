#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace clamor::test {

inline bool is_free(std::uint16_t port) {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(probe);
  return free;
}

/// The first of `nodes` consecutive free ports of the loopback below the range that outgoing
/// connections draw theirs from. A server that is killed and started again under load must come
/// back on its ports: with one of that range a client that knocks meanwhile may be given the port
/// as its own, and connect to itself.
inline std::uint16_t fixed_port(std::uint32_t nodes) {
  constexpr std::uint16_t first = 20'000;
  constexpr std::uint16_t count = 10'000;
  // Tests that run side by side, and begin one after the other, look in different places.
  const auto start = static_cast<std::uint32_t>(getpid()) * 64;
  std::uint32_t free = 0;  // up to the port looked at
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto offset = (start + i) % count;
    const auto port = static_cast<std::uint16_t>(first + offset);
    if (offset == 0) free = 0;
    free = is_free(port) ? free + 1 : 0;
    if (free == nodes) return static_cast<std::uint16_t>(port - nodes + 1);
  }
  throw std::runtime_error("no free ports below the ephemeral range");
}

}  // namespace clamor::test
