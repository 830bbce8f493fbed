#pragma once

#include "server/base/time.hpp"

#include <chrono>
#include <cstdint>

namespace clamor {

/// Reads CLOCK_MONOTONIC, the clock of every Instant of a live run: one for all processes of a
/// host, so that due times may travel in bodies. About 25 ns.
[[nodiscard]] inline Instant monotonic_now() {
  return Instant{std::chrono::steady_clock::now().time_since_epoch()};
}

/// Reads the wall clock in seconds of Unix time, the clock of expiries. About 25 ns.
[[nodiscard]] inline std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace clamor
