#include "server/core/drain.hpp"

#include <gtest/gtest.h>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

TEST(Drain, TakesItsPeriodWhereThereAreManySessionsAndNoTimeWhereThereAreFew) {
  const auto slices = [](std::size_t open, Duration period) {
    const std::size_t slice = drain_slice(open, {.period = period});
    return (open + slice - 1) / slice;
  };
  EXPECT_EQ(slices(0, 5s), 0U);
  EXPECT_EQ(slices(64, 5s), 1U);
  EXPECT_EQ(slices(65, 5s), 2U);
  EXPECT_EQ(slices(18'000, 5s), 50U) << "one in 100 ms";
  EXPECT_LE(slices(18'001, 5s), 50U) << "the period is not exceeded";
  EXPECT_EQ(slices(18'000, 0s), 1U);
  EXPECT_EQ(slices(18'000, 30ms), 1U);
}

}  // namespace
}  // namespace clamor::core
