#pragma once

#include "reports/model/result.hpp"
#include "scenarios/model/scenario.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::report {

/// Judges the scenario's thresholds, then those of every run: lost, duplicated, reordered,
/// replaced, double_accepted `count==0`. What was not measured, or what the roll call left open,
/// is unknown, and an unknown threshold has failed.
[[nodiscard]] std::vector<ThresholdOutcome> evaluate_thresholds(
    const std::vector<scenario::Threshold>& thresholds, const RunResult& run);

/// The metric with its tags as written: `delivery_latency{group:hall}`.
[[nodiscard]] std::string metric_text(const scenario::Threshold& threshold);

/// How a run ended, worst last.
enum class Verdict : std::uint8_t {
  passed,
  generator_saturated,  ///< What failed may be the generator's doing, or it was often the limit.
  threshold_failed,
  interrupted,
};

/// Judges a run whose thresholds are evaluated. Wrong messages are never excused by the generator.
/// A failed latency threshold in a run with marked intervals, and more than 5 % of them marked,
/// says nothing about the server: saturated (a passed one stands: the generator only adds time).
/// `strict`: any marked interval does.
[[nodiscard]] Verdict verdict_of(const RunResult& run, bool strict = false);

/// How a comparison ended. A twin measures the simulator, and what it predicts is no verdict on a
/// design: only its interruption counts.
[[nodiscard]] Verdict worst_verdict(std::span<const RunResult> runs);

/// 0, 120, 99, 105.
[[nodiscard]] int exit_code_of(Verdict verdict);
[[nodiscard]] std::string_view name_of(Verdict verdict);

}  // namespace clamor::report
