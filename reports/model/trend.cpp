#include "reports/model/trend.hpp"

#include "reports/model/interval.hpp"
#include "server/base/assert.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <vector>

namespace clamor::report {
namespace {

constexpr std::size_t points_min = 6;

/// Variance of Mann and Kendall's S under no trend, less what equal values take from it.
double variance_of(std::span<const double> y) {
  const auto term = [](double n) { return n * (n - 1) * (2 * n + 5); };
  std::map<double, double> equal;
  for (const double value : y) equal[value] += 1;
  double variance = term(static_cast<double>(y.size()));
  for (const auto& [value, count] : equal) variance -= term(count);
  return variance / 18;
}

}  // namespace

// H. Theil (1950), P. K. Sen (1968) for the slope; H. B. Mann (1945), M. G. Kendall (1975) for the
// test: neither assumes a distribution, and up to 29 % of the points may be anything.
Trend trend_of(std::span<const double> x, std::span<const double> y) {
  CLAMOR_ASSERT(x.size() == y.size());
  const std::size_t n = y.size();
  if (n < points_min) return {};
  std::vector<double> slopes;
  slopes.reserve(n * (n - 1) / 2);
  double s = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      if (y[j] != y[i]) s += y[j] > y[i] ? 1 : -1;
      if (x[j] > x[i]) slopes.push_back((y[j] - y[i]) / (x[j] - x[i]));
    }
  }
  const double variance = variance_of(y);
  if (slopes.empty() || variance <= 0) return {};
  Trend trend;
  trend.slope = median_of(slopes);
  trend.rise = trend.slope * (x.back() - x.front());
  const double towards_zero = s > 0 ? -1 : s < 0 ? 1 : 0;  // S moves in steps: continuity
  trend.z = (s + towards_zero) / std::sqrt(variance);
  return trend;
}

}  // namespace clamor::report
