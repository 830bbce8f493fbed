#pragma once

#include "server/base/time.hpp"

#include <chrono>
#include <cstdint>

namespace clamor::core {

enum class Jitter : std::uint8_t { none, full };

/// Reconnect delays: attempt 0 waits up to base, each further one doubles, cap bounds it.
struct ReconnectPolicy {
  Duration base = std::chrono::milliseconds{500};
  Duration cap = std::chrono::seconds{5};
  Jitter jitter = Jitter::full;  ///< full: uniform in [0, delay) (AWS Architecture Blog, 2015).
};

/// Says how long to wait before connecting again. `unit` is a draw in [0, 1). Any `attempt` is
/// safe: the doubling stops at the cap.
[[nodiscard]] Duration reconnect_delay(const ReconnectPolicy& policy, std::uint32_t attempt,
                                       double unit);

/// Says how long to wait for an ack before sending again: 250 ms doubling to 2 s, times
/// uniform(1, 1.5). `unit` is a draw in [0, 1).
[[nodiscard]] Duration resend_delay(std::uint32_t attempt, double unit);

/// A time that many were told alike, times uniform(1, 1.5). `unit` is a draw in [0, 1).
[[nodiscard]] Duration spread(Duration delay, double unit);

}  // namespace clamor::core
