#pragma once

#include "reports/model/crossover.hpp"
#include "reports/model/result.hpp"
#include "reports/model/twins.hpp"

#include <span>
#include <string>
#include <string_view>

namespace clamor::report {

/// Renders one run for a terminal, as k6's users know it: verdict, thresholds with ✓/✗, ledger,
/// latency, connections, server, then the generator's health or the simulator's speed.
/// `colour`: with ANSI colours.
[[nodiscard]] std::string run_summary(const RunResult& run, bool colour = false);

/// Renders a comparison: the verdict, one line a design and engine, the simulator's error, what the
/// figures are worth, the region and where it ends.
[[nodiscard]] std::string comparison_summary(std::span<const RunResult> runs, bool colour = false,
                                             const Crossover* crossover = nullptr);

/// A figure with its unit.
[[nodiscard]] std::string quantity_text(Quantity quantity, double value);
/// "1.57–32.2 ms": the unit once where it is the same.
[[nodiscard]] std::string range_text(std::string low, const std::string& high,
                                     std::string_view between);
/// "34.2 ms", "0", "unknown: the roll call did not finish".
[[nodiscard]] std::string observed_text(const ThresholdOutcome& outcome);

}  // namespace clamor::report
