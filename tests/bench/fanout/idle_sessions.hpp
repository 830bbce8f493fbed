#pragma once

#include <cstdint>
#include <string>

namespace clamor::bench {

/// Memory of a server before and after its sessions came.
struct IdleMemory {
  std::uint32_t sessions = 0;
  std::uint64_t fresh_bytes = 0;     ///< RSS of the started server.
  std::uint64_t channels_bytes = 0;  ///< Once all channels exist, nobody logged in.
  std::uint64_t idle_bytes = 0;      ///< All logged in, idle.
};

/// Starts `clamor serve`, logs `sessions` users in, five channels of ten members each; each has
/// sent one message and received some; reads the server's memory after `idle_seconds` of silence.
[[nodiscard]] IdleMemory measure_idle_sessions(const std::string& binary, std::uint32_t sessions,
                                               std::uint32_t idle_seconds);

}  // namespace clamor::bench
