#include "reports/model/verdict_text.hpp"

#include "reports/model/wording.hpp"

#include <algorithm>
#include <cstdint>

namespace clamor::report {
namespace {

/// How a sentence gives the figures of a criterion.
struct Unit {
  double divisor;
  const char* text;
};

Unit unit_of(Figure criterion) {
  switch (criterion) {
    case Figure::server_cpu:
      return {1, " CPU-seconds per user-hour"};
    case Figure::device_bytes:
      return {1024, " KiB written to disk per user-hour"};
    case Figure::catch_up_p99:
      return {1e6, " ms at the 99th percentile of catch-up"};
    default:
      break;
  }
  return {1, ""};
}

/// "0.12", or "0.12 (0.11–0.14)".
std::string figure_text(const Estimate& cost, Figure criterion) {
  const double divisor = unit_of(criterion).divisor;
  std::string text = short_number(cost.median / divisor);
  if (cost.has_interval()) {
    text += " (" + short_number(cost.low / divisor) + "–" + short_number(cost.high / divisor) + ")";
  }
  return text;
}

std::string cost_text(const Estimate& cost, Figure criterion) {
  return figure_text(cost, criterion) + unit_of(criterion).text;
}

/// Their labels: "per_user, per_member and hybrid(500)".
std::string designs_text(const EngineComparison& comparison,
                         const std::vector<std::size_t>& which) {
  std::vector<std::string> labels;
  for (const std::size_t i : which) labels.push_back(label_of(comparison.designs[i].design));
  return listed(labels);
}

std::string scene(const EngineComparison& comparison) {
  const DeploymentFacts& d = comparison.designs.front().runs.front()->deployment;
  return (comparison.engine == Engine::live ? "Live, with " : "Simulated, with ") +
         grouped(d.users) + " users on " + grouped(d.servers) +
         (d.servers == 1 ? " server" : " servers") + ": ";
}

std::string win_text(const EngineComparison& comparison) {
  const DesignFigures& winner = comparison.designs[*comparison.winner];
  const Figure criterion = comparison.decided_by.value_or(Figure::server_cpu);
  std::string text;
  if (!comparison.decided_by) {
    return label_of(winner.design) +
           (comparison.designs.size() > 1
                ? " alone meets every threshold and sustains the load, at "
                : " meets every threshold, at ") +
           cost_text(winner.cost(criterion), criterion);
  }
  std::vector<std::size_t> against;
  if (criterion == Figure::server_cpu) {
    for (std::size_t i = 0; i < comparison.designs.size(); ++i) {
      if (i != *comparison.winner && comparison.designs[i].candidate()) against.push_back(i);
    }
  } else {
    against = comparison.runners_up;
    std::vector<std::size_t> equal = against;
    equal.push_back(*comparison.winner);
    std::ranges::sort(equal);
    text = designs_text(comparison, equal) + " tie in server CPU" +
           (criterion == Figure::catch_up_p99 ? " and device bytes; " : "; ");
  }
  text += label_of(winner.design) + " costs least: " + cost_text(winner.cost(criterion), criterion);
  std::vector<std::string> others;
  for (const std::size_t i : against) {
    const DesignFigures& other = comparison.designs[i];
    others.push_back(figure_text(other.cost(criterion), criterion) + " for " +
                     label_of(other.design));
  }
  return text + (others.empty() ? "" : ", against " + listed(others));
}

std::string failures_text(const EngineComparison& comparison) {
  std::vector<std::string> failures;
  for (const DesignFigures& figures : comparison.designs) {
    if (!figures.candidate()) failures.push_back(label_of(figures.design) + " " + figures.fails);
  }
  return joined(failures, "; ");
}

std::string short_verdict(const EngineComparison& comparison) {
  if (comparison.interrupted) return "not decided, since a run was interrupted";
  if (comparison.designs.size() == 1) {
    const DesignFigures& only = comparison.designs.front();
    return label_of(only.design) +
           (only.candidate() ? " meets every threshold" : " does not meet the thresholds");
  }
  if (comparison.winner) return label_of(comparison.designs[*comparison.winner].design) + " wins";
  if (!comparison.tied.empty()) return designs_text(comparison, comparison.tied) + " tie";
  if (!comparison.unequal.empty()) return "not comparable";
  return "no design meets the thresholds";
}

/// "live", or "live and simulated": who has that many repetitions.
std::string engines_with(const std::vector<EngineComparison>& engines, std::uint32_t repetitions) {
  std::vector<std::string> labels;
  for (const EngineComparison& engine : engines) {
    if (engine.repetitions == repetitions) labels.emplace_back(label_of(engine.engine));
  }
  return listed(labels);
}

std::string without_interval(const std::vector<EngineComparison>& engines, std::uint32_t n) {
  std::vector<std::string> tolerances;
  for (const EngineComparison& engine : engines) {
    if (engine.repetitions != n) continue;
    tolerances.push_back(short_number(engine.tolerance * 100) + " % " +
                         std::string{label_of(engine.engine)});
  }
  return (n == 1 ? std::string{"One repetition"} : "Only " + grouped(n) + " repetitions") + ", " +
         engines_with(engines, n) +
         ": how far a figure would move if the run were made again is not known, so no interval is "
         "given. By convention a difference below " +
         joined(tolerances, " or ") +
         " is called a tie. A figure to publish wants three repetitions or more (--repetitions 3).";
}

std::string with_interval(const std::vector<EngineComparison>& engines, std::uint32_t n) {
  const OrderStatistics bounds = order_statistics(n);
  const std::string place = grouped(bounds.k);
  std::string text =
      grouped(n) + " repetitions, " + engines_with(engines, n) +
      ": figures are medians with the range from the " +
      (bounds.k == 1 ? "least to the greatest value"
                     : "value in place " + place + " from below to the one in place " + place +
                           " from above") +
      ", which holds the true median with " + short_number(bounds.confidence * 100) +
      " % confidence. A design wins only where the ranges do not overlap; else it is a tie.";
  if (bounds.k == 1) {
    text +=
        " Were the repetitions of two equal designs independent of each other, their ranges "
        "would lie apart by chance in " +
        short_number(chance_apart(n) * 100) +
        " % of comparisons; they share their seeds, which makes that a guide only.";
  }
  return text;
}

}  // namespace

std::string sentence_of(const EngineComparison& comparison) {
  std::string text = scene(comparison);
  if (!comparison.unequal.empty()) {
    text += "the designs cannot be compared, since they did not have the same to work with (" +
            joined(comparison.unequal, "; ") + ")";
  } else if (comparison.interrupted) {
    text += "nothing is decided";
  } else if (comparison.winner) {
    text += win_text(comparison);
  } else if (!comparison.tied.empty()) {
    text +=
        designs_text(comparison, comparison.tied) + " tie in server CPU, device bytes and catch-up";
  } else {
    text += "no design meets the thresholds";
  }
  if (const std::string failures = failures_text(comparison); !failures.empty()) {
    text += "; " + failures;
  }
  text += ".";
  return text;
}

std::string interval_text(const std::vector<EngineComparison>& engines) {
  std::string text;
  for (std::size_t i = 0; i < engines.size(); ++i) {
    const EngineComparison& engine = engines[i];
    const auto same = [&](const EngineComparison& other) {
      return other.repetitions == engine.repetitions;
    };
    if (std::ranges::any_of(engines.begin(), engines.begin() + static_cast<std::ptrdiff_t>(i),
                            same))
      continue;
    if (!text.empty()) text += " ";
    text += engine.repetitions < repetitions_for_interval
                ? without_interval(engines, engine.repetitions)
                : with_interval(engines, engine.repetitions);
  }
  return text;
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

}  // namespace clamor::report
