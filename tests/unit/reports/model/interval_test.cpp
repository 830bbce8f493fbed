#include "reports/model/interval.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace clamor::report {
namespace {

TEST(Interval, OfThreeIsTheRangeAndItsConfidenceIsSmall) {
  const std::vector<double> values{14, 10, 11};
  const Estimate e = estimate(values);
  EXPECT_DOUBLE_EQ(e.median, 11);
  EXPECT_DOUBLE_EQ(e.low, 10);
  EXPECT_DOUBLE_EQ(e.high, 14);
  EXPECT_DOUBLE_EQ(e.confidence, 0.75);
}

TEST(Interval, ThereIsNoneOfTwo) {
  const std::vector<double> values{3, 5};
  const Estimate e = estimate(values);
  EXPECT_FALSE(e.has_interval());
  EXPECT_DOUBLE_EQ(e.median, 4);
  EXPECT_DOUBLE_EQ(e.low, e.high);
  EXPECT_FALSE(estimate({}).has_interval());
}

TEST(Interval, MatchesThePublishedTable) {
  // Le Boudec, table A.1: places of the 95 % interval for the median.
  EXPECT_EQ(order_statistics(5).k, 1U);
  EXPECT_NEAR(order_statistics(5).confidence, 0.9375, 1e-9);
  EXPECT_EQ(order_statistics(6).k, 1U);
  EXPECT_NEAR(order_statistics(6).confidence, 0.96875, 1e-9);
  EXPECT_EQ(order_statistics(9).k, 2U);
  EXPECT_NEAR(order_statistics(9).confidence, 0.9609, 1e-4);
  EXPECT_EQ(order_statistics(20).k, 6U);
  EXPECT_NEAR(order_statistics(20).confidence, 0.9586, 1e-4);
}

// Goal: the confidence means what it says. Method: many samples of a skewed distribution whose
// median is known.
TEST(Interval, HoldsTheMedianAsOftenAsItSays) {
  std::mt19937_64 random{7};
  std::exponential_distribution<double> draw{1};
  for (const std::size_t n : {3U, 5U, 9U}) {
    std::size_t held = 0;
    constexpr std::size_t rounds = 20'000;
    double confidence = 0;
    for (std::size_t i = 0; i < rounds; ++i) {
      std::vector<double> values(n);
      std::ranges::generate(values, [&] { return draw(random); });
      const Estimate e = estimate(values);
      confidence = e.confidence;
      held += e.low <= 0.693147 && 0.693147 <= e.high ? 1 : 0;
    }
    EXPECT_NEAR(static_cast<double>(held) / rounds, confidence, 0.015) << n;
  }
}

TEST(Interval, EqualDesignsLieApartAsOftenAsItSays) {
  EXPECT_NEAR(chance_apart(3), 0.1, 1e-9);
  std::mt19937_64 random{8};
  std::normal_distribution<double> draw{10, 2};
  std::size_t apart = 0;
  constexpr std::size_t rounds = 20'000;
  for (std::size_t i = 0; i < rounds; ++i) {
    std::vector<double> a(3);
    std::vector<double> b(3);
    std::ranges::generate(a, [&] { return draw(random); });
    std::ranges::generate(b, [&] { return draw(random); });
    const Estimate left = estimate(a);
    const Estimate right = estimate(b);
    apart += left.high < right.low || right.high < left.low ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(apart) / rounds, 0.1, 0.01);
}

}  // namespace
}  // namespace clamor::report
