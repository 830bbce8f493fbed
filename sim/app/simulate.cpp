#include "sim/app/simulate.hpp"

#include "reports/model/region.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/render/environment.hpp"
#include "scenarios/model/plan.hpp"
#include "sim/world/topology.hpp"
#include "sim/world/world.hpp"

#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <sys/resource.h>

namespace clamor::sim {
namespace {

using WallClock = std::chrono::steady_clock;

double seconds_since(WallClock::time_point start) {
  return std::chrono::duration<double>(WallClock::now() - start).count();
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// Turns the world's reports, which come by events, into ones by wall time.
class ProgressMeter {
 public:
  ProgressMeter(const SimOptions& options, double duration_seconds)
      : options_{options}, duration_seconds_{duration_seconds} {}

  bool operator()(const WorldProgress& at) {
    if (options_.interrupted && options_.interrupted()) return false;
    const double since = seconds_since(last_);
    if (!options_.progress || since < 0.5) return true;
    const double rate = static_cast<double>(at.events - last_events_) / since;
    options_.progress({.stage = at.roll_call ? "roll call" : "simulating",
                       .simulated_seconds = static_cast<double>(at.now_ns) * 1e-9,
                       .duration_seconds = duration_seconds_,
                       .events = at.events,
                       .events_per_second = rate,
                       .connected = at.connected,
                       .delivery_p99_ms = static_cast<double>(at.delivery_p99_ns) * 1e-6,
                       .wall_seconds = seconds_since(start_)});
    last_ = WallClock::now();
    last_events_ = at.events;
    return true;
  }

 private:
  const SimOptions& options_;
  double duration_seconds_;
  WallClock::time_point start_ = WallClock::now();
  WallClock::time_point last_ = start_;
  std::uint64_t last_events_ = 0;
};

scenario::Scenario prepared(const SimOptions& options, double scale) {
  scenario::Scenario scenario = options.scenario;
  if (options.seed) scenario.seed = *options.seed;
  return scenario::scaled(scenario, scale);
}

std::string placement_of(const report::DeploymentFacts& deployment) {
  return fmt::format("simulated: {} server{} of {} core{}", deployment.servers,
                     deployment.servers == 1 ? "" : "s", deployment.cores_per_server,
                     deployment.cores_per_server == 1 ? "" : "s");
}

}  // namespace

report::RunResult run_sim(const SimOptions& options) {
  const auto started = WallClock::now();
  const double cpu_started = cpu_seconds();
  report::Environment environment = report::current_environment();
  const double scale = options.scale.value_or(options.scenario.simulate_scale);
  if (options.progress) options.progress({.stage = "laying out"});
  const scenario::Plan plan{prepared(options, scale)};
  const Topology topology{plan};

  ProgressMeter meter{options, to_seconds(plan.duration())};
  WorldSettings settings;
  settings.design = options.design;
  settings.costs = options.calibration.costs;
  settings.until = options.until;
  settings.trace_user = options.trace_user;
  settings.trace_channel = options.trace_channel;
  settings.trace = options.trace;
  settings.progress = [&meter](const WorldProgress& at) { return meter(at); };
  World world{topology, settings};
  world.run();

  report::RunResult result = world.result();
  result.scale = scale;
  result.region = report::region_of(plan);
  environment.path = options.calibration.path;
  environment.placement = placement_of(result.deployment);
  result.environment = environment;
  result.sim->cpu_seconds = cpu_seconds() - cpu_started;
  result.sim->peak_rss_bytes = peak_resident_bytes();
  result.sim->calibration = fmt::format("{}, {}: {}", options.calibration.machine,
                                        options.calibration.date, options.calibration.source);
  result.wall_seconds = seconds_since(started);
  result.thresholds = report::evaluate_thresholds(plan.scenario().thresholds, result);
  return result;
}

}  // namespace clamor::sim
