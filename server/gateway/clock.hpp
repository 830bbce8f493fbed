#pragma once

#include "server/base/time.hpp"

#include <chrono>

namespace clamor::gateway {

/// Reads CLOCK_MONOTONIC, the clock of every Instant in a live server. About 25 ns.
[[nodiscard]] inline Instant monotonic_now() {
  return Instant{std::chrono::steady_clock::now().time_since_epoch()};
}

}  // namespace clamor::gateway
