#include "reports/model/twins.hpp"

#include "reports/model/comparison.hpp"
#include "reports/model/wording.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

namespace clamor::report {
namespace {

using Pair = std::pair<const RunResult*, const RunResult*>;  // live, simulated

template <class Value>
TwinFigure figure_of(std::span<const Pair> pairs, std::string_view name, Quantity quantity,
                     const Value& value) {
  std::vector<double> live;
  std::vector<double> simulated;
  for (const auto& [left, right] : pairs) {
    live.push_back(value(*left));
    simulated.push_back(value(*right));
  }
  return {std::string{name}, quantity, estimate(live), estimate(simulated)};
}

void compare_counters(std::span<const Pair> pairs, Twins& out) {
  std::vector<Pair> whole;
  std::ranges::copy_if(pairs, std::back_inserter(whole), [](const Pair& pair) {
    return ran_whole_plan(*pair.first) && ran_whole_plan(*pair.second);
  });
  out.whole_pairs = static_cast<std::uint32_t>(whole.size());
  for (const OperationCounter& counter : operation_counters) {
    const auto value = [&](const RunResult& run) {
      return static_cast<double>(run.operations.*counter.member);
    };
    out.operations.push_back(figure_of(pairs, counter.name, Quantity::count, value));
    if (counter.counter_class != CounterClass::logical) continue;
    for (const auto& [live, simulated] : whole) {
      if (value(*live) == value(*simulated)) continue;
      // Modes follow from the order of logins and messages, which is each run's own; and with them
      // records and entries.
      const bool by_modes = live->design.design == QueueDesign::adaptive &&
                            counter.member != &Operations::membership_intervals;
      if (by_modes) continue;
      out.not_equal.push_back(std::string{counter.name} + " = " +
                              grouped(live->operations.*counter.member) + " live, " +
                              grouped(simulated->operations.*counter.member) + " simulated");
      break;
    }
  }
}

/// "−12 % to +3.1 %", or one figure where they agree.
std::string errors_text(std::span<const Twins> twins, Figure figure) {
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  for (const Twins& t : twins) {
    const double error = t.figure(figure).error();
    if (std::isnan(error)) return "unknown";
    least = std::min(least, error);
    most = std::max(most, error);
  }
  const std::string low = error_text(least);
  const std::string high = error_text(most);
  return low == high ? low : low + " to " + high;
}

/// Whether the simulator ranks the designs that live runs tell apart as those do, by the rule of
/// the verdict on either side; nothing where live runs tell none apart.
std::optional<bool> ranks_alike(std::span<const Twins> twins) {
  bool any_apart = false;
  for (const Twins& a : twins) {
    for (const Twins& b : twins) {
      const TwinFigure& left = a.figure(Figure::server_cpu);
      const TwinFigure& right = b.figure(Figure::server_cpu);
      if (!cheaper(left.live, right.live, tie_tolerance(Engine::live))) continue;
      any_apart = true;
      if (!cheaper(left.simulated, right.simulated, tie_tolerance(Engine::sim))) return false;
    }
  }
  return any_apart ? std::optional{true} : std::nullopt;
}

/// Whether the counters that follow from the plan agree, as far as pairs ran all of it.
std::string counters_text(std::span<const Twins> twins) {
  std::vector<std::string> unequal;
  std::uint32_t pairs = 0;
  std::uint32_t whole = 0;
  for (const Twins& t : twins) {
    pairs += t.pairs;
    whole += t.whole_pairs;
    for (const std::string& finding : t.not_equal) {
      unequal.push_back(label_of(t.design) + ": " + finding);
    }
  }
  if (!unequal.empty()) {
    return " Counters that follow from the plan are not equal: " + joined(unequal, "; ") + ".";
  }
  if (whole == 0) {
    return " Whether the counters that follow from the plan are equal is unknown: every pair of "
           "runs lacks a part of it.";
  }
  return " Every counter that follows from the plan is equal, live and simulated" +
         (whole == pairs ? "."
                         : ", in the " + grouped(whole) + " of " + grouped(pairs) +
                               " pairs of runs that ran all of it.");
}

}  // namespace

double TwinFigure::error() const {
  if (live.median == simulated.median) return 0;
  return live.median == 0 ? std::numeric_limits<double>::quiet_NaN()
                          : (simulated.median - live.median) / live.median;
}

std::vector<Twins> pair_twins(std::span<const RunResult> runs) {
  std::vector<Twins> all;
  std::vector<DesignSpec> seen;
  for (const RunResult& first : runs) {
    if (first.engine != Engine::live || std::ranges::find(seen, first.design) != seen.end())
      continue;
    seen.push_back(first.design);
    std::vector<Pair> pairs;
    for (const RunResult& live : runs) {
      if (live.engine != Engine::live || live.design != first.design) continue;
      const auto twin = std::ranges::find_if(runs, [&](const RunResult& run) {
        return run.engine == Engine::sim && run.design == live.design && run.seed == live.seed &&
               run.scale == live.scale;
      });
      if (twin != runs.end()) pairs.emplace_back(&live, &*twin);
    }
    if (pairs.empty()) continue;
    Twins twins;
    twins.design = first.design;
    twins.users = first.deployment.users;
    twins.pairs = static_cast<std::uint32_t>(pairs.size());
    for (const Measure& m : measures()) {
      twins.figures.push_back(figure_of(pairs, m.name, m.quantity, m.value));
    }
    compare_counters(pairs, twins);
    all.push_back(std::move(twins));
  }
  return all;
}

std::string error_text(double error) {
  if (std::isnan(error)) return "unknown";
  const double percent = error * 100;
  if (std::abs(percent) < 0.05) return "0 %";
  return (percent > 0 ? "+" : "") + short_number(percent) + " %";
}

std::string twins_text(std::span<const Twins> twins) {
  if (twins.empty()) return "";
  std::string text = "The simulator's error, simulated against live at the same " +
                     grouped(twins.front().users) + " users and plan: server CPU " +
                     errors_text(twins, Figure::server_cpu) + ", delivery p50 " +
                     errors_text(twins, Figure::delivery_p50) + ", delivery p99 " +
                     errors_text(twins, Figure::delivery_p99) + " over the designs.";
  if (const auto alike = ranks_alike(twins)) {
    text += *alike
                ? " It ranks every two designs that differ live in server CPU as the live runs do."
                : " It does not rank the designs by server CPU as the live runs do.";
  }
  return text + counters_text(twins);
}

}  // namespace clamor::report
