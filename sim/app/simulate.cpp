#include "sim/app/simulate.hpp"

#include "reports/model/region.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/render/environment.hpp"
#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "sim/world/topology.hpp"
#include "sim/world/world.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

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

double scale_of(const SimOptions& options) {
  return options.scale.value_or(options.scenario.simulate_scale);
}

constexpr std::uint64_t clients_max = 100'000'000;
constexpr std::uint64_t servers_max = 60'000;
// What a client, a membership and a channel take at least, before anything happens.
constexpr double client_bytes = 200;
constexpr double membership_bytes = 8;
constexpr double channel_bytes = 30;

double gibibytes_of_memory() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) /
         (1U << 30U);
}

double gibibytes_needed(const scenario::Plan& plan) {
  const scenario::Scenario& scenario = plan.scenario();
  double memberships = static_cast<double>(scenario.population.users) *
                       static_cast<double>(scenario.population.contacts);
  for (const scenario::GroupClass& group : scenario.groups) {
    memberships += static_cast<double>(group.count) * static_cast<double>(group.members);
  }
  return (plan.clients() * client_bytes + memberships * membership_bytes +
          plan.channels() * channel_bytes) /
         (1U << 30U);
}

/// Before anything is allocated: a population that cannot fit would end in swapping or a kill.
void check_size(const scenario::Plan& plan) {
  const scenario::Scenario& scenario = plan.scenario();
  const auto refuse = [&scenario](const std::string& what) {
    throw scenario::ConfigError{{scenario.name + ": " + what + "; use a smaller --scale"}};
  };
  if (plan.clients() > clients_max) {
    refuse(
        fmt::format("{} clients, but the simulator holds at most {}", plan.clients(), clients_max));
  }
  const std::uint32_t servers = scenario::servers_of(plan);
  if (servers > servers_max) {
    refuse(
        fmt::format("{} clients on servers of {} are {} servers, but the simulator holds at "
                    "most {}; raise deployment.clients_per_server",
                    plan.clients(), scenario.deployment.clients_per_server, servers, servers_max));
  }
  const double needed = gibibytes_needed(plan);
  const double there = gibibytes_of_memory();
  if (needed > there) {
    refuse(
        fmt::format("{} clients in {} channels take more than {:.1f} GiB of memory, but this "
                    "machine has {:.1f} GiB",
                    plan.clients(), plan.channels(), needed, there));
  }
}

std::string placement_of(const report::DeploymentFacts& deployment) {
  return fmt::format("simulated: {} server{} of {} core{}", deployment.servers,
                     deployment.servers == 1 ? "" : "s", deployment.cores_per_server,
                     deployment.cores_per_server == 1 ? "" : "s");
}

}  // namespace

scenario::Scenario scenario_of(const SimOptions& options) {
  scenario::Scenario scenario = scenario::scaled(options.scenario, scale_of(options));
  if (options.seed) scenario.seed = *options.seed;
  scenario.simulate_scale = 1;  // done
  return scenario;
}

report::RunResult run_sim(const SimOptions& options) {
  const auto started = WallClock::now();
  const double cpu_started = cpu_seconds();
  report::Environment environment = report::current_environment();
  if (options.progress) options.progress({.stage = "laying out"});
  const scenario::Plan plan{scenario_of(options)};
  check_size(plan);
  const Topology topology{plan, options.interrupted};

  ProgressMeter meter{options, to_seconds(plan.duration())};
  WorldSettings settings;
  settings.design = options.design;
  settings.costs = options.calibration.costs;
  settings.until = options.until;
  settings.trace_user = options.trace_user;
  settings.trace_channel = options.trace_channel;
  settings.trace = options.trace;
  settings.interrupted = options.interrupted;
  settings.progress = [&meter](const WorldProgress& at) { return meter(at); };
  World world{topology, settings};
  if (options.progress) {
    options.progress({.stage = "simulating", .duration_seconds = to_seconds(plan.duration())});
  }
  world.run();

  report::RunResult result = world.result();
  result.scale = scale_of(options);
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
