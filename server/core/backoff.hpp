#pragma once

#include "server/base/time.hpp"

#include <cstdint>

namespace clamor::core {

enum class Jitter : std::uint8_t { none, full };

/// Reconnect delays: attempt 0 waits up to base, each further one doubles, cap bounds it.
struct ReconnectPolicy {
  Duration base = std::chrono::milliseconds{500};
  Duration cap = std::chrono::seconds{5};
  Jitter jitter = Jitter::full;  ///< full: uniform in [0, delay) (AWS Architecture Blog, 2015).
};

/// `unit` is a draw in [0, 1).
[[nodiscard]] Duration reconnect_delay(const ReconnectPolicy& policy, std::uint32_t attempt,
                                       double unit);

/// Resend delays: 250 ms doubling to 2 s, times uniform(1, 1.5). `unit` is a draw in [0, 1).
[[nodiscard]] Duration resend_delay(std::uint32_t attempt, double unit);

}  // namespace clamor::core
