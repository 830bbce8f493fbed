#pragma once

#include <chrono>
#include <cstdint>

namespace clamor {

/// Time as pure code sees it: integer nanoseconds since the run (or the process) began, handed in
/// by the caller. It is no std clock on purpose: there is deliberately no now().
struct RunClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<RunClock>;
  static constexpr bool is_steady = true;
};
using Duration = RunClock::duration;
using Instant = RunClock::time_point;

[[nodiscard]] constexpr std::int64_t to_ns(Duration d) { return d.count(); }
[[nodiscard]] constexpr std::int64_t to_ns(Instant t) { return t.time_since_epoch().count(); }
[[nodiscard]] constexpr Instant instant_from_ns(std::int64_t ns) { return Instant{Duration{ns}}; }
[[nodiscard]] constexpr double to_seconds(Duration d) {
  return static_cast<double>(d.count()) * 1e-9;
}

}  // namespace clamor
