#pragma once

#include "reports/app/compare.hpp"
#include "reports/model/crossover.hpp"
#include "server/base/time.hpp"
#include "sim/world/costs.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace clamor::report {

/// What is simulated round a scenario.
struct CrossoverOptions {
  scenario::Scenario scenario;
  std::vector<DesignSpec> designs;
  std::uint64_t seed = 0;
  sim::Calibration calibration;
  std::uint32_t users = 2'000;  ///< Reduced to about so many; never below the largest group.
  double factor_max = 16;       ///< Rings at 2, 4, ... up to it.
  Duration longest = std::chrono::seconds{20};
};

/// Finds the nearest point where the winner changes: simulates every design at each axis times two
/// and by two, then four, and so on to `factor_max`; stops after the ring that holds a change, or
/// when the time is over. A point of which no world can be made at this population is passed over;
/// where that is the scenario itself, `users` stays 0. Bounded by `longest`, whatever a simulation
/// takes.
[[nodiscard]] Crossover search_crossover(
    const CrossoverOptions& options,
    const std::function<RunResult(const sim::SimOptions&)>& simulate,
    const std::function<void(double fraction, const std::string& details)>& progress,
    const std::function<bool()>& interrupted);

}  // namespace clamor::report
