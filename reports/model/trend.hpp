#pragma once

#include <span>

namespace clamor::report {

/// The slope of a series, robust against spikes and gaps.
struct Trend {
  double slope = 0;  ///< Per unit of x: the median of the slopes of all pairs (Theil and Sen).
  double rise = 0;   ///< slope times the series' length.
  double z = 0;      ///< Mann and Kendall's statistic, standard normal where there is no trend.

  /// Whether it rises at the 1 % level.
  [[nodiscard]] bool upward() const { return slope > 0 && z > 2.326; }
};

/// Trend of y over x. Fewer than six points, or no spread: none. O(n²).
/// @pre as many y as x, x ascending.
[[nodiscard]] Trend trend_of(std::span<const double> x, std::span<const double> y);

}  // namespace clamor::report
