#include "reports/app/crossover_search.hpp"

#include "reports/model/region.hpp"
#include "reports/model/wording.hpp"
#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/config_error.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <optional>

namespace clamor::report {
namespace {

using Clock = std::chrono::steady_clock;

class CrossoverSearch {
 public:
  CrossoverSearch(const CrossoverOptions& options,
                  const std::function<RunResult(const sim::SimOptions&)>& simulate,
                  const std::function<void(double, const std::string&)>& progress,
                  const std::function<bool()>& interrupted)
      : options_{options},
        simulate_{simulate},
        progress_{progress},
        interrupted_{interrupted},
        deadline_{Clock::now() + options.longest} {
    const double users = std::max(1U, options.scenario.population.users);
    out_.scale = std::min(1.0, options.users / users);
  }

  Crossover run() {
    const auto began = Clock::now();
    if (const auto region = region_at(options_.scenario)) {
      out_.region = *region;
      if (auto winners = winners_at(options_.scenario, "the scenario itself")) {
        out_.here = *std::move(winners);
        for (double factor = 2; factor <= options_.factor_max && !out_.cut_short; factor *= 2) {
          if (ring(factor)) break;
        }
      }
    }
    out_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    return std::move(out_);
  }

 private:
  using Winners = std::vector<std::string>;

  [[nodiscard]] bool over() const { return interrupted_() || Clock::now() >= deadline_; }

  [[nodiscard]] sim::SimOptions simulation_of(const scenario::Scenario& scenario) const {
    sim::SimOptions simulation;
    simulation.scenario = scenario;
    simulation.scale = out_.scale;
    simulation.seed = options_.seed;
    simulation.calibration = options_.calibration;
    simulation.interrupted = [this] { return over(); };
    return simulation;
  }

  /// The world of that scenario; nothing where there is none at this population: a workload makes
  /// no message any more, say.
  [[nodiscard]] std::optional<Region> region_at(const scenario::Scenario& scenario) const {
    try {
      return region_of(scenario::Plan{sim::scenario_of(simulation_of(scenario))});
    } catch (const scenario::ScaleError&) {
      return std::nullopt;
    }
  }

  /// True where the winner changes somewhere on it.
  bool ring(double factor) {
    bool changes = false;
    for (const Axis axis : axes) {
      for (const double f : {factor, 1 / factor}) {
        const auto scenario = vary(options_.scenario, axis, f);
        const auto region = scenario ? region_at(*scenario) : std::nullopt;
        if (!region) continue;
        const std::string value = value_on(axis, *region);
        if (value == last_value(axis, f)) continue;  // it goes no further
        auto winners = winners_at(*scenario, fmt::format("{} {}", name_of(axis), factor_text(f)));
        if (out_.cut_short) return changes;
        if (!winners) continue;
        changes = changes || others_win(out_.here, *winners);
        out_.points.push_back({axis, f, value, *std::move(winners)});
      }
    }
    return changes;
  }

  /// How far the axis has been moved in the direction of `factor`.
  [[nodiscard]] std::string last_value(Axis axis, double factor) const {
    std::string value = value_on(axis, out_.region);
    for (const CrossoverPoint& point : out_.points) {
      if (point.axis == axis && (point.factor > 1) == (factor > 1)) value = point.value;
    }
    return value;
  }

  /// Nothing where the time is over (then `cut_short`), or the simulator does not hold that world.
  std::optional<Winners> winners_at(const scenario::Scenario& scenario, const std::string& what) {
    std::vector<RunResult> runs;
    sim::SimOptions simulation = simulation_of(scenario);
    for (const DesignSpec& design : options_.designs) {
      const double spent = 1 - std::chrono::duration<double>(deadline_ - Clock::now()).count() /
                                   to_seconds(options_.longest);
      progress_(std::clamp(spent, 0.0, 1.0), fmt::format("{}: {}", what, label_of(design)));
      simulation.design = design;
      try {
        if (!over()) runs.push_back(simulate_(simulation));
      } catch (const sim::LayOutInterrupted&) {
      } catch (const scenario::ConfigError&) {
        return std::nullopt;
      }
      if (over() || runs.empty() || runs.back().interrupted) {
        out_.cut_short = true;
        return std::nullopt;
      }
    }
    out_.users = std::max(out_.users, runs.front().deployment.users);
    return winners_of(compare_designs(runs).engines.front());
  }

  const CrossoverOptions& options_;
  const std::function<RunResult(const sim::SimOptions&)>& simulate_;
  const std::function<void(double, const std::string&)>& progress_;
  const std::function<bool()>& interrupted_;
  Clock::time_point deadline_;
  Crossover out_;
};

}  // namespace

Crossover search_crossover(const CrossoverOptions& options,
                           const std::function<RunResult(const sim::SimOptions&)>& simulate,
                           const std::function<void(double, const std::string&)>& progress,
                           const std::function<bool()>& interrupted) {
  return CrossoverSearch{options, simulate, progress, interrupted}.run();
}

}  // namespace clamor::report
