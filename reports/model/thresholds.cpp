#include "reports/model/thresholds.hpp"

#include "scenarios/model/metric.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

namespace clamor::report {
namespace {

using scenario::latency_metrics;
using scenario::Threshold;
using Aggregate = Threshold::Aggregate;

// These are complete before the roll call; every other ledger counter needs it.
constexpr std::array known_without_roll_call{"sent", "acknowledged", "resends"};

struct Observation {
  double value = std::numeric_limits<double>::quiet_NaN();
  std::string unknown_because;
};

Observation unknown(std::string because) {
  return {std::numeric_limits<double>::quiet_NaN(), std::move(because)};
}

Observation observe_latency(const Threshold& threshold, const RunResult& run) {
  constexpr double ns_per_ms = 1e6;
  const Histogram h = select_histogram(run, threshold.metric, threshold.tags);
  if (threshold.aggregate == Aggregate::count) return {static_cast<double>(h.count()), {}};
  if (h.count() == 0) return unknown("no " + metric_text(threshold) + " was recorded");
  const auto ms = [](double ns) { return Observation{ns / ns_per_ms, {}}; };
  switch (threshold.aggregate) {
    case Aggregate::avg:
      return ms(h.mean());
    case Aggregate::min:
      return ms(static_cast<double>(h.min()));
    case Aggregate::med:
      return ms(static_cast<double>(h.quantile(0.5)));
    case Aggregate::max:
      return ms(static_cast<double>(h.max()));
    case Aggregate::percentile:
      return ms(static_cast<double>(h.quantile(threshold.percentile / 100)));
    case Aggregate::count:
    case Aggregate::rate:
      break;
  }
  return unknown("a latency has no rate; use avg, min, med, max, p(N) or count");
}

Observation observe_counter(const Threshold& threshold, std::uint64_t count, const RunResult& run) {
  if (threshold.aggregate == Aggregate::count) return {static_cast<double>(count), {}};
  if (threshold.aggregate == Aggregate::rate && run.duration_seconds > 0) {
    return {static_cast<double>(count) / run.duration_seconds, {}};
  }
  return unknown("a counter has only count and rate");
}

Observation observe_share(const Threshold& threshold, std::uint64_t part, std::uint64_t whole) {
  if (threshold.aggregate != Aggregate::rate) return unknown("a share has only rate");
  if (whole == 0) return unknown("nothing to take a share of");
  return {static_cast<double>(part) / static_cast<double>(whole), {}};
}

std::string open_ledger(const RunResult& run) {
  return "the roll call did not finish" +
         (run.ledger_unknown_because.empty() ? "" : ": " + run.ledger_unknown_because);
}

Observation observe(const Threshold& threshold, const RunResult& run) {
  const std::string& metric = threshold.metric;
  if (std::ranges::find(latency_metrics, metric) != latency_metrics.end()) {
    return observe_latency(threshold, run);
  }
  if (!threshold.tags.empty()) return unknown(metric + " carries no tags");
  for (const LedgerCounter& counter : ledger_counters) {
    if (counter.name != metric) continue;
    const bool early =
        std::ranges::find(known_without_roll_call, metric) != known_without_roll_call.end();
    if (!run.ledger_complete && !early) return unknown(open_ledger(run));
    return observe_counter(threshold, run.ledger.*counter.member, run);
  }
  for (const OperationCounter& counter : operation_counters) {
    if (counter.name == metric) {
      return observe_counter(threshold, run.operations.*counter.member, run);
    }
  }
  if (metric == "reach") {
    if (!run.ledger_complete) return unknown(open_ledger(run));
    return observe_share(threshold, run.ledger.delivered, run.ledger.expected);
  }
  if (metric == "sessions_opened") {
    if (run.engine == Engine::sim) return unknown("a simulated run asks for no sessions");
    return observe_share(threshold, run.generator.sessions_opened, run.generator.sessions_asked);
  }
  return unknown("no metric of that name");
}

bool holds(double observed, Threshold::Comparison comparison, double bound) {
  switch (comparison) {  // NaN fails every one of them, ne included
    case Threshold::Comparison::lt:
      return observed < bound;
    case Threshold::Comparison::le:
      return observed <= bound;
    case Threshold::Comparison::gt:
      return observed > bound;
    case Threshold::Comparison::ge:
      return observed >= bound;
    case Threshold::Comparison::eq:
      return observed == bound;
    case Threshold::Comparison::ne:
      return !std::isnan(observed) && observed != bound;
  }
  return false;
}

ThresholdOutcome judge(const Threshold& threshold, const RunResult& run, bool implicit) {
  Observation seen = observe(threshold, run);
  return {.metric = metric_text(threshold),
          .expression = threshold.text,
          .observed = seen.value,
          .unknown_because = std::move(seen.unknown_because),
          .passed = holds(seen.value, threshold.comparison, threshold.bound),
          .implicit = implicit};
}

bool is_latency(const std::string& metric_with_tags) {
  const std::string metric = parse_metric_key(metric_with_tags).first;
  return std::ranges::find(latency_metrics, metric) != latency_metrics.end();
}

}  // namespace

std::string metric_text(const Threshold& threshold) {
  return metric_key(threshold.metric, threshold.tags);
}

std::vector<ThresholdOutcome> evaluate_thresholds(const std::vector<Threshold>& thresholds,
                                                  const RunResult& run) {
  std::vector<ThresholdOutcome> outcomes;
  for (const Threshold& threshold : thresholds) outcomes.push_back(judge(threshold, run, false));
  for (const LedgerCounter& counter : ledger_counters) {
    if (!counter.must_be_zero) continue;
    Threshold zero;
    zero.metric = counter.name;
    zero.aggregate = Aggregate::count;
    zero.comparison = Threshold::Comparison::eq;
    zero.text = "count==0";
    outcomes.push_back(judge(zero, run, true));
  }
  return outcomes;
}

Verdict verdict_of(const RunResult& run, bool strict) {
  if (run.interrupted) return Verdict::interrupted;
  bool failed = false;
  bool failed_latency = false;
  for (const ThresholdOutcome& outcome : run.thresholds) {
    if (outcome.passed) continue;
    if (outcome.implicit) return Verdict::threshold_failed;
    failed = true;
    failed_latency = failed_latency || is_latency(outcome.metric);
  }
  const std::uint64_t marked = run.generator.intervals_marked;
  const bool too_many = marked * 20 > run.generator.intervals || (strict && marked > 0);
  if (too_many || (failed_latency && marked > 0)) return Verdict::generator_saturated;
  return failed ? Verdict::threshold_failed : Verdict::passed;
}

Verdict worst_verdict(std::span<const RunResult> runs) {
  Verdict worst = Verdict::passed;
  for (const RunResult& run : runs) {
    const Verdict verdict = verdict_of(run);
    if (!run.twin || verdict == Verdict::interrupted) worst = std::max(worst, verdict);
  }
  return worst;
}

int exit_code_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return 0;
    case Verdict::generator_saturated:
      return 120;
    case Verdict::threshold_failed:
      return 99;
    case Verdict::interrupted:
      return 105;
  }
  return 1;
}

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "passed";
    case Verdict::generator_saturated:
      return "generator saturated";
    case Verdict::threshold_failed:
      return "threshold failed";
    case Verdict::interrupted:
      return "interrupted";
  }
  return "?";
}

}  // namespace clamor::report
