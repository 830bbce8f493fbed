#include "reports/model/interval.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace clamor::report {
namespace {

double binomial(std::size_t n, std::size_t k) {
  double value = 1;
  for (std::size_t i = 1; i <= k; ++i) {
    value = value * static_cast<double>(n - k + i) / static_cast<double>(i);
  }
  return value;
}

}  // namespace

// A value lies below the median with probability 1/2, so how many of n do is binomial, and the k-th
// least and greatest enclose it unless fewer than k lie on one side: J.-Y. Le Boudec, Performance
// Evaluation of Computer and Communication Systems (EPFL Press, 2010), theorem 2.1; H. A. David and
// H. N. Nagaraja, Order Statistics (3rd ed., 2003), section 7.1.
OrderStatistics order_statistics(std::size_t n) {
  if (n < repetitions_for_interval) return {};
  constexpr double wanted = 0.95;
  const double all = std::exp2(static_cast<double>(n));
  OrderStatistics best;
  double outside = 0;  // on one side
  for (std::size_t k = 1; 2 * k <= n; ++k) {
    outside += binomial(n, k - 1) / all;
    const double confidence = 1 - 2 * outside;
    if (k > 1 && confidence < wanted) break;
    best = {k, confidence};
  }
  return best;
}

double median_of(std::span<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

Estimate estimate(std::span<const double> values) {
  if (values.empty()) return {};
  std::vector<double> sorted{values.begin(), values.end()};
  const std::size_t n = sorted.size();
  const double median = median_of(sorted);
  std::ranges::sort(sorted);
  const OrderStatistics bounds = order_statistics(n);
  if (bounds.k == 0) return {median, median, median, 0};
  return {median, sorted[bounds.k - 1], sorted[n - bounds.k], bounds.confidence};
}

// Of the orders of 2n equal values two keep the halves apart: the extreme of the rank-sum test
// (H. B. Mann and D. R. Whitney, 1947).
double chance_apart(std::size_t n) { return n == 0 ? 1 : 2 / binomial(2 * n, n); }

}  // namespace clamor::report
