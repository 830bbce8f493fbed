#include "reports/model/crossover.hpp"

#include "reports/model/wording.hpp"

#include <algorithm>
#include <cmath>

namespace clamor::report {
namespace {

std::string factor_text(double factor) {
  return factor >= 1 ? "× " + short_number(factor) : "÷ " + short_number(1 / factor);
}

double distance(const CrossoverPoint& point) { return std::abs(std::log2(point.factor)); }

std::string axes_text(const Crossover& crossover) {
  std::vector<Axis> seen;
  for (const CrossoverPoint& point : crossover.points) {
    if (std::ranges::find(seen, point.axis) == seen.end()) seen.push_back(point.axis);
  }
  std::string text;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == seen.size() ? " and " : ", ") + std::string{name_of(seen[i])};
  }
  return text;
}

}  // namespace

std::vector<std::string> winners_of(const EngineComparison& comparison) {
  std::vector<std::string> winners;
  if (comparison.winner) {
    winners.push_back(label_of(comparison.designs[*comparison.winner].design));
  }
  for (const std::size_t i : comparison.tied) {
    winners.push_back(label_of(comparison.designs[i].design));
  }
  std::ranges::sort(winners);
  return winners;
}

std::vector<std::string> large_winners(const Comparison& comparison) {
  for (const EngineComparison& engine : comparison.engines) {
    if (engine.engine == Engine::sim) return winners_of(engine);
  }
  return {};
}

std::string winners_text(const std::vector<std::string>& winners) {
  if (winners.empty()) return "no design meets the thresholds";
  if (winners.size() == 1) return winners.front() + " wins";
  std::string text;
  for (std::size_t i = 0; i < winners.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == winners.size() ? " and " : ", ") + winners[i];
  }
  return text + " tie";
}

std::string crossover_text(const Crossover& crossover, const std::vector<std::string>& large) {
  std::vector<const CrossoverPoint*> changed;
  for (const CrossoverPoint& point : crossover.points) {
    if (point.winners == crossover.here) continue;
    if (changed.empty() || distance(point) <= distance(*changed.front()) + 1e-9) {
      changed.push_back(&point);
    }
  }
  std::string text;
  if (!changed.empty()) {
    text = "Nearest crossover: ";
    for (std::size_t i = 0; i < changed.size(); ++i) {
      text += (i == 0 ? "" : "; ") + std::string{"at "} +
              place_text(changed[i]->axis, changed[i]->value) + " (" +
              std::string{name_of(changed[i]->axis)} + " " + factor_text(changed[i]->factor) +
              ") " + winners_text(changed[i]->winners);
    }
  } else if (crossover.points.empty()) {
    return "No crossover was looked for: " +
           std::string{crossover.cut_short    ? "the time for it was over."
                       : crossover.users == 0 ? "the scenario cannot be simulated at so small a "
                                                "population; a workload would send nothing, say."
                                              : "the scenario has nothing to vary."};
  } else {
    text = "No crossover found: with " + axes_text(crossover) + " varied one at a time, " +
           (crossover.reach > 1 ? "up to " + factor_text(crossover.reach) + " and " +
                                      factor_text(1 / crossover.reach)
                                : grouped(crossover.points.size()) + " points") +
           ", still " + winners_text(crossover.here);
  }
  text += " (simulated, " + grouped(crossover.users) + " users, " +
          grouped(crossover.points.size()) + (crossover.points.size() == 1 ? " point" : " points") +
          (crossover.cut_short ? ", cut short by time)." : ").");
  if (!large.empty() && large != crossover.here) {
    text += " At that population " + winners_text(crossover.here) +
            " at the scenario itself, not as in the large simulation.";
  }
  return text;
}

}  // namespace clamor::report
