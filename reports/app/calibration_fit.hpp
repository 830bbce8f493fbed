#pragma once

#include "reports/app/micro_loads.hpp"
#include "reports/model/least_squares.hpp"
#include "sim/world/costs.hpp"

#include <string>
#include <vector>

namespace clamor::report {

/// One regression of the calibration, for people to judge.
struct FitReport {
  std::string name;                       ///< turn, commit, fsync, queue, scan
  std::vector<std::string> coefficients;  ///< In the order of fit.coefficients.
  std::vector<LoadPoint> points;
  std::vector<double> observed;  ///< ns, one a point.
  Fit fit;
};

struct CalibrationResult {
  sim::Calibration calibration;
  std::vector<FitReport> fits;
  std::vector<std::string> carried_over;  ///< Coefficients that keep the base's value, unmeasured.
  /// Coefficients without which there is no calibration, and that the loads did not identify.
  std::vector<std::string> missing;
};

/// Fits the cost model to what was measured. A coefficient is identified where its standard error
/// is below half of it, or makes less than a fifth of every load; others keep the value of `base`
/// and are named. Pure.
[[nodiscard]] CalibrationResult fit_calibration(const Measurements& measured,
                                                const sim::Calibration& base);

/// The fits with their points, as comment lines below a calibration file.
[[nodiscard]] std::string fits_text(const std::vector<FitReport>& fits);

}  // namespace clamor::report
