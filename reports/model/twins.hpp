#pragma once

#include "reports/model/interval.hpp"
#include "reports/model/measure.hpp"
#include "reports/model/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace clamor::report {

/// One figure of one design, measured live and predicted by the simulator for the same plan.
struct TwinFigure {
  std::string name;
  Quantity quantity = Quantity::count;
  Estimate live;  ///< Of the repetitions.
  Estimate simulated;

  /// (simulated - live) / live of the medians; NaN where live is 0 and simulated is not.
  [[nodiscard]] double error() const;
};

/// One design's live runs beside simulated ones of the same plans: same seed, same population.
struct Twins {
  DesignSpec design;
  std::uint64_t users = 0;
  std::uint32_t pairs = 0;             ///< Repetitions that have both.
  std::uint32_t whole_pairs = 0;       ///< Those of which both ran the whole plan.
  std::vector<TwinFigure> figures;     ///< By Figure.
  std::vector<TwinFigure> operations;  ///< Every counter of `operation_counters`, in its order.
  std::vector<std::string> not_equal;  ///< Logical counters that differ in a whole pair: none must.

  [[nodiscard]] const TwinFigure& figure(Figure f) const {
    return figures.at(static_cast<std::size_t>(f));
  }
};

/// Pairs each design's live runs with the simulated ones at their population, whether made as twins
/// or because the scenario simulates no other. Designs without a pair are left out.
[[nodiscard]] std::vector<Twins> pair_twins(std::span<const RunResult> runs);

/// The simulator's error in a few sentences. Empty where there are no twins.
[[nodiscard]] std::string twins_text(std::span<const Twins> twins);

/// "+12 %", "−3.4 %", "unknown".
[[nodiscard]] std::string error_text(double error);

}  // namespace clamor::report
