#include "reports/model/trend.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace clamor::report {
namespace {

std::vector<double> seconds(std::size_t n) {
  std::vector<double> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<double>(i + 1);
  return x;
}

TEST(Trend, FindsTheSlopeOfALineThroughSpikes) {
  const std::vector<double> x = seconds(30);
  std::vector<double> y(30);
  for (std::size_t i = 0; i < 30; ++i) y[i] = 5 + 3 * x[i];
  for (const std::size_t spike : {4U, 11U, 12U, 20U}) y[spike] += 10'000;
  const Trend trend = trend_of(x, y);
  EXPECT_NEAR(trend.slope, 3, 0.6);
  EXPECT_NEAR(trend.rise, trend.slope * 29, 1e-9);
  EXPECT_TRUE(trend.upward());
}

TEST(Trend, OfAPeakThatComesAndGoesIsNone) {
  const std::vector<double> x = seconds(20);
  std::vector<double> y(20, 12);
  for (std::size_t i = 9; i < 14; ++i) y[i] = 8'000;
  EXPECT_FALSE(trend_of(x, y).upward());
}

TEST(Trend, OfAPlateauAfterTheStartIsNone) {
  const std::vector<double> x = seconds(30);
  std::vector<double> y(30, 400);
  for (std::size_t i = 0; i < 4; ++i) y[i] = 100.0 * static_cast<double>(i);
  EXPECT_FALSE(trend_of(x, y).upward()) << "it rose once, then held";
}

TEST(Trend, FallsAreNotUpwardAndConstantsAreNone) {
  const std::vector<double> x = seconds(12);
  std::vector<double> y(12);
  for (std::size_t i = 0; i < 12; ++i) y[i] = 100 - 2 * x[i];
  EXPECT_LT(trend_of(x, y).z, -2);
  EXPECT_FALSE(trend_of(x, y).upward());
  const std::vector<double> flat(12, 3);
  EXPECT_EQ(trend_of(x, flat).slope, 0);
  EXPECT_FALSE(trend_of(x, flat).upward());
  EXPECT_FALSE(trend_of({}, {}).upward());
}

// Goal: the level is what it says. Method: noise without a trend, many times.
TEST(Trend, CallsNoiseATrendInOneOfAHundred) {
  std::mt19937_64 random{3};
  std::lognormal_distribution<double> draw{2, 1};
  const std::vector<double> x = seconds(30);
  std::size_t upward = 0;
  for (int round = 0; round < 4'000; ++round) {
    std::vector<double> y(30);
    for (double& value : y) value = std::floor(draw(random));
    upward += trend_of(x, y).upward() ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(upward) / 4'000, 0.01, 0.006);
}

}  // namespace
}  // namespace clamor::report
