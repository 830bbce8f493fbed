#pragma once

#include "reports/model/comparison.hpp"
#include "reports/model/variation.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace clamor::report {

/// One simulated world beside the scenario's: one axis, multiplied.
struct CrossoverPoint {
  Axis axis = Axis::group_size;
  double factor = 1;
  std::string value;                 ///< value_on(axis, its region).
  std::vector<std::string> winners;  ///< Labels; more than one tie; none: no design qualifies.
};

/// Who wins round the scenario, simulated at a reduced population: where the verdict's region ends.
struct Crossover {
  std::uint64_t users = 0;  ///< 0: the scenario itself could not be simulated.
  double scale = 1;
  std::vector<std::string> here;       ///< Winners at the scenario itself, at this population.
  Region region;                       ///< Of the scenario itself.
  std::vector<CrossoverPoint> points;  ///< By distance: twice and half first. Only where it moves.
  bool cut_short = false;              ///< The time for it was over before the grid was.
  double seconds = 0;                  ///< It took.
};

/// Those who win or tie in a comparison, sorted.
[[nodiscard]] std::vector<std::string> winners_of(const EngineComparison& comparison);

/// Those of the comparison's simulation; empty without one.
[[nodiscard]] std::vector<std::string> large_winners(const Comparison& comparison);

/// "per_group wins", "hybrid(500) and per_user tie", "no design meets the thresholds".
[[nodiscard]] std::string winners_text(const std::vector<std::string>& winners);

/// Whether other designs win there than here: none of those who win or tie here does. A tie that
/// gains or loses a member at the tolerance is no crossover.
[[nodiscard]] bool others_win(const std::vector<std::string>& here,
                              const std::vector<std::string>& there);

/// Where the winner changes nearest to the scenario, or that it changes nowhere on the grid.
/// `large`: the verdict of the large simulation, in case the small one does not agree with it.
[[nodiscard]] std::string crossover_text(const Crossover& crossover,
                                         const std::vector<std::string>& large);

}  // namespace clamor::report
