#include "reports/model/comparison.hpp"

#include "reports/model/fairness.hpp"
#include "reports/model/verdict_text.hpp"
#include "reports/model/wording.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace clamor::report {
namespace {

/// The gravest: what is not known, then what was lost, then the scenario's own thresholds.
std::string first_failure(const RunResult& run) {
  if (run.interrupted) return "was interrupted";
  if (!run.ledger_complete) return "leaves the ledger unknown (" + run.ledger_unknown_because + ")";
  const ThresholdOutcome* first = nullptr;
  for (const ThresholdOutcome& outcome : run.thresholds) {
    if (outcome.passed) continue;
    if (first == nullptr || (outcome.implicit && !first->implicit)) first = &outcome;
  }
  if (first == nullptr) return "";
  const std::string what = first->metric + " " + first->expression;
  return std::isnan(first->observed) ? "leaves " + what + " unknown"
                                     : "fails " + what + " (" + short_number(first->observed) + ")";
}

void add_run(DesignFigures& figures, const RunResult& run) {
  figures.runs.push_back(&run);
  if (std::string failure = first_failure(run); !failure.empty()) {
    figures.meets_thresholds = false;
    if (figures.fails.empty()) figures.fails = std::move(failure);
  }
  const Trend lag = fan_out_lag_trend(run);
  figures.lag_growth.push_back(lag.slope);
  if (sustains_load(run, lag)) return;
  figures.sustained = false;
  if (figures.fails.empty()) {
    figures.fails = "does not sustain the load (its fan-out lag grows by " +
                    short_number(lag.slope) + " records a second)";
  }
}

void decide(EngineComparison& comparison) {
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < comparison.designs.size(); ++i) {
    if (comparison.designs[i].candidate()) left.push_back(i);
  }
  for (std::size_t c = 0; c < criteria.size() && left.size() > 1; ++c) {
    const auto cost = [&](std::size_t i) -> const Estimate& {
      return comparison.designs[i].costs[c];
    };
    const std::size_t best =
        *std::ranges::min_element(left, {}, [&](std::size_t i) { return cost(i).median; });
    const std::vector<std::size_t> before = left;
    std::erase_if(
        left, [&](std::size_t i) { return cheaper(cost(best), cost(i), comparison.tolerance); });
    if (left.size() > 1) continue;
    comparison.decided_by = criteria[c];
    std::ranges::copy_if(before, std::back_inserter(comparison.runners_up),
                         [&](std::size_t i) { return i != best; });
  }
  if (left.size() == 1) comparison.winner = left.front();
  if (left.size() > 1) comparison.tied = left;
}

}  // namespace

Estimate estimate_of(std::span<const RunResult* const> runs, Figure figure) {
  std::vector<double> values;
  for (const RunResult* run : runs) values.push_back(value_of(*run, figure));
  return estimate(values);
}

bool tie(const Estimate& a, const Estimate& b, double tolerance) {
  if (a.has_interval() && b.has_interval()) return a.low <= b.high && b.low <= a.high;
  return std::abs(a.median - b.median) <= tolerance * std::max(a.median, b.median);
}

Trend fan_out_lag_trend(const RunResult& run) {
  // A long run is thinned to means: the test looks at all pairs.
  constexpr std::size_t points_max = 600;
  const std::size_t step = run.series.size() / points_max + 1;
  std::vector<double> seconds;
  std::vector<double> lags;
  for (std::size_t from = 0; from < run.series.size(); from += step) {
    const std::size_t to = std::min(from + step, run.series.size());
    double lag = 0;
    for (std::size_t i = from; i < to; ++i) lag += static_cast<double>(run.series[i].fan_out_lag);
    seconds.push_back(run.series[to - 1].t_seconds);
    lags.push_back(lag / static_cast<double>(to - from));
  }
  return trend_of(seconds, lags);
}

bool sustains_load(const RunResult& run, const Trend& lag) {
  if (!lag.upward()) return true;
  double rate = 0;
  for (const SeriesPoint& point : run.series) rate += point.ack_rate;
  rate /= static_cast<double>(run.series.size());
  return lag.rise <= std::max(1.0, 0.5 * rate);
}

Comparison compare_designs(std::span<const RunResult> runs) {
  Comparison result;
  for (const Engine engine : {Engine::live, Engine::sim}) {
    EngineComparison comparison;
    comparison.engine = engine;
    comparison.tolerance = tie_tolerance(engine);
    for (const RunResult& run : runs) {
      if (run.engine != engine || run.twin) continue;
      auto found = std::ranges::find(comparison.designs, run.design, &DesignFigures::design);
      if (found == comparison.designs.end()) {
        found = comparison.designs.emplace(comparison.designs.end());
        found->design = run.design;
      }
      add_run(*found, run);
    }
    if (comparison.designs.empty()) continue;
    comparison.repetitions = ~0U;
    for (DesignFigures& figures : comparison.designs) {
      std::ranges::transform(criteria, figures.costs.begin(),
                             [&](Figure f) { return estimate_of(figures.runs, f); });
      comparison.repetitions =
          std::min(comparison.repetitions, static_cast<std::uint32_t>(figures.runs.size()));
    }
    std::vector<const RunResult*> all;
    for (const DesignFigures& figures : comparison.designs) {
      all.insert(all.end(), figures.runs.begin(), figures.runs.end());
    }
    comparison.unequal = check_same_budget(all);
    comparison.interrupted = std::ranges::any_of(all, &RunResult::interrupted);
    if (comparison.unequal.empty() && !comparison.interrupted) decide(comparison);
    comparison.sentence = sentence_of(comparison);
    result.engines.push_back(std::move(comparison));
  }
  result.headline = headline_of(result.engines);
  result.intervals = interval_text(result.engines);
  if (!runs.empty()) {
    result.region = "This holds for " + region_text(runs.front().region) +
                    "; outside of it nothing was measured.";
  }
  return result;
}

}  // namespace clamor::report
