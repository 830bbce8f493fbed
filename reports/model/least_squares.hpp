#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace clamor::report {

/// One observation: `observed` is to be explained as the sum of coefficient[i] * counts[i].
struct Observation {
  std::vector<double> counts;
  double observed = 0;
};

/// What a fit found, by coefficient.
struct Fit {
  std::vector<double> coefficients;  ///< >= 0.
  /// Standard error over the coefficient; infinite for one held at 0 or not told apart.
  std::vector<double> relative_errors;
  /// The largest part of an observation that the coefficient's standard error makes, so that one
  /// which is small everywhere is known to be so; infinite for one not told apart.
  std::vector<double> error_shares;
  double residual = 0;          ///< Root mean square of (predicted - observed) / observed.
  double condition_number = 0;  ///< Of the scaled columns in use: how far the loads tell apart.
  std::vector<double> predicted;
};

/// Fits non-negative coefficients by least squares of the relative error (Lawson and Hanson's
/// active set), so that a short observation weighs as much as a long one. Reweighted by Huber's
/// function (Holland and Welsch, 1977), so that a few disturbed observations do not pull the
/// others along. For a dozen unknowns.
/// @pre every row has as many counts, at least one row, every `observed` > 0.
[[nodiscard]] Fit fit_non_negative(std::span<const Observation> observations);

}  // namespace clamor::report
