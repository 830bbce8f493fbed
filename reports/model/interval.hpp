#pragma once

#include <cstddef>
#include <span>

namespace clamor::report {

/// Fewer repetitions than this give no interval: two values say nothing about their spread.
inline constexpr std::size_t repetitions_for_interval = 3;

/// Median of repetitions with an interval for it.
struct Estimate {
  double median = 0;
  double low = 0;  ///< == median where there is no interval.
  double high = 0;
  double confidence = 0;  ///< That the interval holds the true median; 0: there is none.

  [[nodiscard]] bool has_interval() const { return confidence > 0; }
};

/// Which values, in ascending order, bound the interval for the median of `n`, and how likely it is
/// that they do: the k-th least and the k-th greatest.
struct OrderStatistics {
  std::size_t k = 0;  ///< From 1; 0: no interval.
  double confidence = 0;
};

/// The narrowest pair that holds the median with 95 % confidence; below six repetitions, where none
/// does, least and greatest (three: 75 %, four: 87.5 %, five: 93.8 %). It assumes no distribution.
[[nodiscard]] OrderStatistics order_statistics(std::size_t n);

/// O(n); reorders the values. @pre there are some.
[[nodiscard]] double median_of(std::span<double> values);

/// O(n log n).
[[nodiscard]] Estimate estimate(std::span<const double> values);

/// How likely it is that the ranges of two times `n` independent values of one distribution do not
/// overlap: a difference by chance. 0.1 at three.
[[nodiscard]] double chance_apart(std::size_t n);

}  // namespace clamor::report
