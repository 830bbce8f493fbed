#include "server/base/histogram.hpp"

#include "server/base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace clamor {
namespace {

constexpr double precision = 1.0 / 64;  // one bucket's width over its lower edge

/// Values over many magnitudes, as latencies are: 2^u for uniform u in [0, 40).
std::vector<std::uint64_t> drawn_values(std::size_t count, std::uint32_t ordinal) {
  std::vector<std::uint64_t> values;
  for (std::size_t i = 0; i < count; ++i) {
    const double u = unit_from_bits(draw_bits(7, DrawPurpose::test, i, ordinal));
    values.push_back(static_cast<std::uint64_t>(std::exp2(40 * u)));
  }
  return values;
}

Histogram histogram_of(const std::vector<std::uint64_t>& values) {
  Histogram histogram;
  for (const std::uint64_t value : values) histogram.record(value);
  return histogram;
}

void expect_same(const Histogram& a, const Histogram& b) {
  EXPECT_EQ(a.buckets(), b.buckets());
  EXPECT_EQ(a.count(), b.count());
  EXPECT_EQ(a.sum(), b.sum());
  EXPECT_EQ(a.min(), b.min());
  EXPECT_EQ(a.max(), b.max());
}

// Method: the nearest rank in a sorted vector is the truth.
TEST(Histogram, QuantilesAreWithinABucketAboveThoseOfTheSortedValues) {
  for (const std::size_t count : {1U, 2U, 3U, 10U, 999U, 20'000U}) {
    std::vector<std::uint64_t> values = drawn_values(count, static_cast<std::uint32_t>(count));
    const Histogram histogram = histogram_of(values);
    std::sort(values.begin(), values.end());
    for (const double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(count)));
      const std::uint64_t exact = values[std::max<std::size_t>(rank, 1) - 1];
      const std::uint64_t estimate = histogram.quantile(q);
      EXPECT_GE(estimate, exact) << "q " << q << " of " << count;
      EXPECT_LE(static_cast<double>(estimate), static_cast<double>(exact) * (1 + precision))
          << "q " << q << " of " << count;
    }
    EXPECT_EQ(histogram.min(), values.front());
    EXPECT_EQ(histogram.max(), values.back());
  }
}

TEST(Histogram, NoQuantileIsAboveTheMaximumOrBelowTheMinimum) {
  Histogram histogram;
  histogram.record(1'000'001, 3);
  for (const double q : {0.0, 0.5, 0.99, 1.0}) EXPECT_EQ(histogram.quantile(q), 1'000'001U);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 64; ++value) histogram.record(value);
  EXPECT_EQ(histogram.quantile(0.5), 31U);
  EXPECT_EQ(histogram.quantile(1), 63U);
  EXPECT_EQ(histogram.quantile(0), 0U);
}

TEST(Histogram, MergedPartsEqualTheWholeInAnyOrder) {
  const auto first = drawn_values(500, 1);
  const auto second = drawn_values(700, 2);
  std::vector<std::uint64_t> both = first;
  both.insert(both.end(), second.begin(), second.end());
  Histogram forward = histogram_of(first);
  forward.merge(histogram_of(second));
  Histogram backward = histogram_of(second);
  backward.merge(histogram_of(first));
  expect_same(forward, histogram_of(both));
  expect_same(backward, histogram_of(both));
}

TEST(Histogram, MergingAnEmptyOneChangesNothing) {
  Histogram histogram = histogram_of({5, 10});
  histogram.merge(Histogram{});
  expect_same(histogram, histogram_of({5, 10}));
  Histogram empty;
  empty.merge(histogram);
  expect_same(empty, histogram);
}

TEST(Histogram, EmptyOneAnswersZeroAndHoldsNoMemory) {
  const Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.99), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.mean(), 0.0);
  EXPECT_EQ(histogram.buckets().capacity(), 0U);
}

TEST(Histogram, ValuesBeyondTheRangeShareTheLastBucketAndKeepAnExactMaximum) {
  Histogram histogram;
  histogram.record(std::uint64_t{1} << 50U);
  histogram.record(std::uint64_t{1} << 60U);
  EXPECT_EQ(histogram.buckets().back(), 2U);
  EXPECT_EQ(histogram.max(), std::uint64_t{1} << 60U);
}

TEST(Histogram, RebuiltFromItsPartsIsTheSame) {
  const Histogram histogram = histogram_of(drawn_values(300, 3));
  expect_same(
      Histogram::from_parts(histogram.buckets(), histogram.sum(), histogram.min(), histogram.max()),
      histogram);
  expect_same(Histogram::from_parts({}, 0, 0, 0), Histogram{});
}

// Method: walk all buckets; each edge falls into its bucket and the next value into the next.
TEST(Histogram, BucketsTileTheRangeWithoutGapOrOverlap) {
  for (std::size_t i = 0; i + 1 < Histogram::bucket_count; ++i) {
    EXPECT_EQ(Histogram::bucket_of(Histogram::upper_edge(i)), i);
    EXPECT_EQ(Histogram::bucket_of(Histogram::upper_edge(i) + 1), i + 1);
  }
}

}  // namespace
}  // namespace clamor
