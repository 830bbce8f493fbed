#include "server/core/backoff.hpp"

namespace clamor::core {
namespace {

constexpr Duration resend_base = std::chrono::milliseconds{250};
constexpr Duration resend_cap = std::chrono::seconds{2};

Duration doubled(Duration base, std::uint32_t attempt, Duration cap) {
  Duration delay = base;
  for (; attempt > 0 && delay < cap && delay > Duration::zero(); --attempt) {
    delay = delay < cap / 2 ? 2 * delay : cap;
  }
  return delay < cap ? delay : cap;
}

Duration scaled(Duration delay, double factor) {
  return Duration{static_cast<Duration::rep>(static_cast<double>(delay.count()) * factor)};
}

}  // namespace

Duration reconnect_delay(const ReconnectPolicy& policy, std::uint32_t attempt, double unit) {
  const Duration delay = doubled(policy.base, attempt, policy.cap);
  return policy.jitter == Jitter::full ? scaled(delay, unit) : delay;
}

Duration resend_delay(std::uint32_t attempt, double unit) {
  return spread(doubled(resend_base, attempt, resend_cap), unit);
}

Duration spread(Duration delay, double unit) { return scaled(delay, 1 + unit / 2); }

}  // namespace clamor::core
