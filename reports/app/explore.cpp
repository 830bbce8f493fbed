#include "reports/app/explore.hpp"

#include "reports/model/wording.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <optional>

namespace clamor::report {
namespace {

using Clock = std::chrono::steady_clock;

class Explorer {
 public:
  Explorer(const ExploreOptions& options,
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

  Neighbourhood run() {
    const auto began = Clock::now();
    if (const auto here = winners_at(options_.scenario, "the scenario itself")) {
      out_.here = here->winners;
      out_.region = here->region;
      for (double factor = 2; factor <= options_.factor_max && !out_.cut_short; factor *= 2) {
        if (ring(factor)) break;
      }
    }
    out_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    return std::move(out_);
  }

 private:
  struct Found {
    std::vector<std::string> winners;
    Region region;
  };

  [[nodiscard]] bool over() const { return interrupted_() || Clock::now() >= deadline_; }

  /// True where the winner changes somewhere on it.
  bool ring(double factor) {
    bool changes = false;
    for (const Axis axis : axes) {
      for (const double f : {factor, 1 / factor}) {
        const auto scenario = vary(options_.scenario, axis, f);
        if (!scenario) continue;
        const std::string what = fmt::format("{} {} {}", name_of(axis), f > 1 ? "times" : "by",
                                             short_number(f > 1 ? f : 1 / f));
        const auto found = winners_at(*scenario, what);
        if (!found) return changes;
        const std::string value = value_on(axis, found->region);
        if (value == last_value(axis, f)) continue;  // it goes no further
        changes = changes || found->winners != out_.here;
        out_.points.push_back({axis, f, value, found->winners});
      }
    }
    if (!out_.points.empty()) out_.reach = factor;
    return changes;
  }

  /// How far the axis has been moved in the direction of `factor`.
  [[nodiscard]] std::string last_value(Axis axis, double factor) const {
    std::string value = value_on(axis, out_.region);
    for (const GridPoint& point : out_.points) {
      if (point.axis == axis && (point.factor > 1) == (factor > 1)) value = point.value;
    }
    return value;
  }

  /// Nothing: the time is over.
  std::optional<Found> winners_at(const scenario::Scenario& scenario, const std::string& what) {
    std::vector<RunResult> runs;
    for (const DesignSpec& design : options_.designs) {
      const double spent = 1 - std::chrono::duration<double>(deadline_ - Clock::now()).count() /
                                   to_seconds(options_.longest);
      progress_(std::clamp(spent, 0.0, 1.0), fmt::format("{}: {}", what, label_of(design)));
      sim::SimOptions simulation;
      simulation.scenario = scenario;
      simulation.design = design;
      simulation.scale = out_.scale;
      simulation.seed = options_.seed;
      simulation.calibration = options_.calibration;
      simulation.interrupted = [this] { return over(); };
      try {
        if (!over()) runs.push_back(simulate_(simulation));
      } catch (const sim::LayOutInterrupted&) {
      }
      if (over() || runs.empty() || runs.back().interrupted) {
        out_.cut_short = true;
        return std::nullopt;
      }
    }
    out_.users = std::max(out_.users, runs.front().deployment.users);
    const Comparison comparison = compare_designs(runs);
    return Found{winners_of(comparison.engines.front()), runs.front().region};
  }

  const ExploreOptions& options_;
  const std::function<RunResult(const sim::SimOptions&)>& simulate_;
  const std::function<void(double, const std::string&)>& progress_;
  const std::function<bool()>& interrupted_;
  Clock::time_point deadline_;
  Neighbourhood out_;
};

}  // namespace

Neighbourhood explore(const ExploreOptions& options,
                      const std::function<RunResult(const sim::SimOptions&)>& simulate,
                      const std::function<void(double, const std::string&)>& progress,
                      const std::function<bool()>& interrupted) {
  return Explorer{options, simulate, progress, interrupted}.run();
}

}  // namespace clamor::report
