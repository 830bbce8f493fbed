#include "reports/model/crossover.hpp"

#include "reports/model/wording.hpp"

#include <algorithm>
#include <cmath>

namespace clamor::report {
namespace {

double distance(const CrossoverPoint& point) { return std::abs(std::log2(point.factor)); }

/// How far each axis was varied: "group size ÷ 16 to × 4 and messages ÷ 16 to × 16".
std::string spans_text(const Crossover& crossover) {
  std::vector<std::string> spans;
  for (const Axis axis : axes) {
    double least = 1;
    double most = 1;
    for (const CrossoverPoint& point : crossover.points) {
      if (point.axis != axis) continue;
      least = std::min(least, point.factor);
      most = std::max(most, point.factor);
    }
    if (least == most) continue;
    spans.push_back(std::string{name_of(axis)} + " " + factor_text(least) + " to " +
                    factor_text(most));
  }
  return listed(spans);
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
  return listed(winners) + (winners.size() == 1 ? " wins" : " tie");
}

bool others_win(const std::vector<std::string>& here, const std::vector<std::string>& there) {
  return here != there && std::ranges::none_of(there, [&](const std::string& winner) {
           return std::ranges::find(here, winner) != here.end();
         });
}

std::string crossover_text(const Crossover& crossover, const std::vector<std::string>& large) {
  std::vector<const CrossoverPoint*> changed;
  for (const CrossoverPoint& point : crossover.points) {
    if (!others_win(crossover.here, point.winners)) continue;
    if (changed.empty() || distance(point) <= distance(*changed.front()) + 1e-9) {
      changed.push_back(&point);
    }
  }
  std::string text;
  if (!changed.empty()) {
    std::vector<std::string> places;
    for (const CrossoverPoint* point : changed) {
      places.push_back("at " + place_text(point->axis, point->value) + " (" +
                       std::string{name_of(point->axis)} + " " + factor_text(point->factor) + ") " +
                       winners_text(point->winners));
    }
    text = "Nearest crossover: " + joined(places, "; ");
  } else if (crossover.points.empty()) {
    return "No crossover was looked for: " +
           std::string{crossover.cut_short    ? "the time for it was over."
                       : crossover.users == 0 ? "the scenario cannot be simulated at so small a "
                                                "population; a workload would send nothing, say."
                                              : "the scenario has nothing to vary."};
  } else {
    const auto ties = std::ranges::count_if(crossover.points, [&](const CrossoverPoint& point) {
      return point.winners != crossover.here;
    });
    text = "No crossover found: with " + spans_text(crossover) + ", one at a time, still " +
           winners_text(crossover.here);
    if (ties > 0) {
      text += ", but for ties that gain or lose a design at " +
              grouped(static_cast<std::uint64_t>(ties)) + (ties == 1 ? " point" : " points");
    }
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
