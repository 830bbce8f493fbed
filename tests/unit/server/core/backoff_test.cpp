#include "server/core/backoff.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

constexpr double almost_one = 1 - 1e-9;

TEST(ReconnectDelay, DoublesFromBaseToCap) {
  constexpr ReconnectPolicy policy{.base = 500ms, .cap = 5s, .jitter = Jitter::none};
  EXPECT_EQ(reconnect_delay(policy, 0, 0.3), 500ms);
  EXPECT_EQ(reconnect_delay(policy, 1, 0.3), 1s);
  EXPECT_EQ(reconnect_delay(policy, 3, 0.3), 4s);
  EXPECT_EQ(reconnect_delay(policy, 4, 0.3), 5s);
  EXPECT_EQ(reconnect_delay(policy, std::numeric_limits<std::uint32_t>::max(), 0.3), 5s);
}

TEST(ReconnectDelay, FullJitterSpreadsOverTheWholeDelay) {
  constexpr ReconnectPolicy policy;
  EXPECT_EQ(reconnect_delay(policy, 2, 0), 0s);
  EXPECT_EQ(reconnect_delay(policy, 2, 0.5), 1s);
  EXPECT_LT(reconnect_delay(policy, 2, almost_one), 2s);
  EXPECT_GT(reconnect_delay(policy, 2, almost_one), 1999ms);
}

TEST(ReconnectDelay, ExtremePoliciesDoNotOverflow) {
  const ReconnectPolicy huge{
      .base = Duration::max() / 3, .cap = Duration::max(), .jitter = Jitter::none};
  EXPECT_EQ(reconnect_delay(huge, 5, 0), Duration::max());
  EXPECT_EQ(reconnect_delay({.base = 0s, .cap = 5s}, 1'000'000'000, 0.9), 0s);
  EXPECT_EQ(reconnect_delay({.base = 9s, .cap = 5s, .jitter = Jitter::none}, 0, 0), 5s);
}

TEST(ResendDelay, DoublesToTwoSecondsAndStretchesByUpToAHalf) {
  EXPECT_EQ(resend_delay(0, 0), 250ms);
  EXPECT_EQ(resend_delay(1, 0), 500ms);
  EXPECT_EQ(resend_delay(3, 0), 2s);
  EXPECT_EQ(resend_delay(40, 0), 2s);
  EXPECT_EQ(resend_delay(0, 0.5), 312'500us);
  EXPECT_LT(resend_delay(40, almost_one), 3s);
}

}  // namespace
}  // namespace clamor::core
