#include "reports/model/comparison.hpp"

#include "reports/model/wording.hpp"

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace clamor::report {
namespace {

double user_hours(const RunResult& run) {
  return static_cast<double>(run.deployment.users) * run.duration_seconds / 3600;
}

double cost_of(const RunResult& run, Criterion criterion) {
  const double hours = user_hours(run);
  switch (criterion) {
    case Criterion::server_cpu:
      return hours > 0 ? run.server.cpu_seconds / hours : 0;
    case Criterion::device_bytes:
      return hours > 0 ? static_cast<double>(run.server.device_write_bytes) / hours : 0;
    case Criterion::catch_up_p99:
      return static_cast<double>(select_histogram(run, "catch_up_latency").quantile(0.99));
  }
  return 0;
}

double mean_lag(const RunResult& run, std::size_t from, std::size_t to) {
  double sum = 0;
  for (std::size_t i = from; i < to; ++i) sum += static_cast<double>(run.series[i].fan_out_lag);
  return to > from ? sum / static_cast<double>(to - from) : 0;
}

std::string first_failure(const RunResult& run) {
  if (run.interrupted) return "was interrupted";
  for (const ThresholdOutcome& outcome : run.thresholds) {
    if (outcome.passed) continue;
    const std::string what = outcome.metric + " " + outcome.expression;
    return std::isnan(outcome.observed)
               ? "leaves " + what + " unknown"
               : "fails " + what + " (" + short_number(outcome.observed) + ")";
  }
  return "";
}

void add_run(DesignFigures& figures, const RunResult& run) {
  figures.runs.push_back(&run);
  if (std::string failure = first_failure(run); !failure.empty()) {
    figures.meets_thresholds = false;
    if (figures.fails.empty()) figures.fails = std::move(failure);
  }
  if (!sustains_load(run)) {
    figures.sustained = false;
    if (figures.fails.empty()) figures.fails = "lets its fan-out lag grow";
  }
  for (std::size_t c = 0; c < criteria.size(); ++c) {
    figures.values[c].push_back(cost_of(run, criteria[c]));
  }
}

/// Whether a's and b's costs cannot be told apart.
bool tie(const DesignFigures& a, const DesignFigures& b, std::size_t criterion, double tolerance) {
  const std::vector<double>& left = a.values[criterion];
  const std::vector<double>& right = b.values[criterion];
  const std::size_t pairs = std::min(left.size(), right.size());
  if (pairs < 2) {
    const double x = a.costs[criterion].mean;
    const double y = b.costs[criterion].mean;
    return std::abs(x - y) <= tolerance * std::max(x, y);
  }
  // Repetition i of every design draws the same arrivals: pairs are sharper than two means.
  std::vector<double> differences(pairs);
  for (std::size_t i = 0; i < pairs; ++i) differences[i] = left[i] - right[i];
  const Estimate difference = estimate(differences);
  return std::abs(difference.mean) <= difference.half_width;
}

void decide(EngineComparison& comparison) {
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < comparison.designs.size(); ++i) {
    if (comparison.designs[i].candidate()) left.push_back(i);
  }
  for (std::size_t c = 0; c < criteria.size() && left.size() > 1; ++c) {
    const auto cheaper = [&](std::size_t a, std::size_t b) {
      return comparison.designs[a].costs[c].mean < comparison.designs[b].costs[c].mean;
    };
    const std::size_t best = *std::ranges::min_element(left, cheaper);
    std::erase_if(left, [&](std::size_t i) {
      return i != best &&
             !tie(comparison.designs[best], comparison.designs[i], c, comparison.tolerance);
    });
    if (left.size() == 1) comparison.decided_by = criteria[c];
  }
  if (left.size() == 1) comparison.winner = left.front();
  if (left.size() > 1) comparison.tied = left;
}

std::string cost_text(Criterion criterion, double value) {
  switch (criterion) {
    case Criterion::server_cpu:
      return short_number(value) + " CPU-seconds per user-hour";
    case Criterion::device_bytes:
      return short_number(value / 1024) + " KiB written to disk per user-hour";
    case Criterion::catch_up_p99:
      return short_number(value / 1e6) + " ms at the 99th percentile of catch-up";
  }
  return "";
}

std::string listed(const EngineComparison& comparison, const std::vector<std::size_t>& which) {
  std::string text;
  for (std::size_t i = 0; i < which.size(); ++i) {
    if (i > 0) text += i + 1 == which.size() ? " and " : ", ";
    text += label_of(comparison.designs[which[i]].design);
  }
  return text;
}

std::string scene(const EngineComparison& comparison) {
  const DeploymentFacts& d = comparison.designs.front().runs.front()->deployment;
  return (comparison.engine == Engine::live ? "Live, with " : "Simulated, with ") +
         grouped(d.users) + " users on " + grouped(d.servers) +
         (d.servers == 1 ? " server" : " servers") + ": ";
}

std::string win_text(const EngineComparison& comparison) {
  const DesignFigures& winner = comparison.designs[*comparison.winner];
  const Criterion criterion = comparison.decided_by.value_or(Criterion::server_cpu);
  const double cost = winner.cost(criterion).mean;
  std::string text = label_of(winner.design);
  if (!comparison.decided_by) {
    text += comparison.designs.size() > 1 ? " alone meets every threshold, at "
                                          : " meets every threshold, at ";
    return text + cost_text(criterion, cost);
  }
  text += " costs least: " + cost_text(criterion, cost);
  std::string separator = ", against ";
  for (const DesignFigures& other : comparison.designs) {
    if (&other == &winner || !other.candidate()) continue;
    text +=
        separator +
        short_number(other.cost(criterion).mean / (criterion == Criterion::device_bytes   ? 1024
                                                   : criterion == Criterion::catch_up_p99 ? 1e6
                                                                                          : 1)) +
        " for " + label_of(other.design);
    separator = " and ";
  }
  return text;
}

std::string failures_text(const EngineComparison& comparison) {
  std::string text;
  for (const DesignFigures& figures : comparison.designs) {
    if (figures.candidate()) continue;
    text += (text.empty() ? "" : "; ") + label_of(figures.design) + " " + figures.fails;
  }
  return text;
}

std::string sentence_of(const EngineComparison& comparison) {
  std::string text = scene(comparison);
  if (comparison.winner) {
    text += win_text(comparison);
  } else if (!comparison.tied.empty()) {
    text += listed(comparison, comparison.tied) + " tie in server CPU, device bytes and catch-up";
  } else {
    text += "no design meets the thresholds";
  }
  if (const std::string failures = failures_text(comparison); !failures.empty()) {
    text += "; " + failures;
  }
  text += ".";
  const bool judged = comparison.decided_by || !comparison.tied.empty();
  if (comparison.repetitions < 2 && judged) {
    text += " One repetition: a difference below " + short_number(comparison.tolerance * 100) +
            " % would count as a tie.";
  }
  return text;
}

std::string short_verdict(const EngineComparison& comparison) {
  if (comparison.designs.size() == 1) {
    const DesignFigures& only = comparison.designs.front();
    return label_of(only.design) +
           (only.candidate() ? " meets every threshold" : " does not meet the thresholds");
  }
  if (comparison.winner) return label_of(comparison.designs[*comparison.winner].design) + " wins";
  if (!comparison.tied.empty()) return listed(comparison, comparison.tied) + " tie";
  return "no design meets the thresholds";
}

std::string headline_of(const std::vector<EngineComparison>& engines) {
  if (engines.empty()) return "nothing ran";
  if (engines.size() == 1) {
    return short_verdict(engines[0]) + ", " + std::string{label_of(engines[0].engine)};
  }
  const std::string live = short_verdict(engines[0]);
  const std::string sim = short_verdict(engines[1]);
  return live == sim ? live + ", live and simulated" : "live: " + live + "; simulated: " + sim;
}

}  // namespace

Estimate estimate(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() < 2) return {mean, 0};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double error = std::sqrt(squares / (n - 1) / n);
  const boost::math::students_t_distribution<double> t{n - 1};
  return {mean, boost::math::quantile(t, 0.975) * error};
}

std::string_view name_of(Criterion criterion) {
  switch (criterion) {
    case Criterion::server_cpu:
      return "server CPU";
    case Criterion::device_bytes:
      return "device bytes";
    case Criterion::catch_up_p99:
      return "catch-up p99";
  }
  return "?";
}

bool sustains_load(const RunResult& run) {
  const std::size_t n = run.series.size();
  if (n < 6) return true;
  const double middle = mean_lag(run, n / 3, 2 * n / 3);
  const double last = mean_lag(run, 2 * n / 3, n);
  double rate = 0;
  for (const SeriesPoint& point : run.series) rate += point.ack_rate / static_cast<double>(n);
  return last <= 1.5 * middle + 0.5 * rate + 1;
}

Comparison compare_designs(std::span<const RunResult> runs) {
  Comparison result;
  for (const Engine engine : {Engine::live, Engine::sim}) {
    EngineComparison comparison;
    comparison.engine = engine;
    comparison.tolerance = tie_tolerance(engine);
    for (const RunResult& run : runs) {
      if (run.engine != engine) continue;
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
      for (std::size_t c = 0; c < criteria.size(); ++c) {
        figures.costs[c] = estimate(figures.values[c]);
      }
      comparison.repetitions =
          std::min(comparison.repetitions, static_cast<std::uint32_t>(figures.runs.size()));
    }
    decide(comparison);
    comparison.sentence = sentence_of(comparison);
    result.engines.push_back(std::move(comparison));
  }
  result.headline = headline_of(result.engines);
  if (!runs.empty()) {
    result.region = "This holds for " + region_text(runs.front().region) +
                    "; outside of it nothing was measured.";
  }
  return result;
}

}  // namespace clamor::report
