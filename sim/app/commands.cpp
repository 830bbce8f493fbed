#include "sim/app/commands.hpp"

#include "reports/model/thresholds.hpp"
#include "reports/render/environment.hpp"
#include "reports/render/run_files.hpp"
#include "reports/render/summary.hpp"
#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "sim/app/calibration.hpp"
#include "sim/app/simulate.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <unistd.h>

namespace clamor::sim {
namespace {

volatile std::sig_atomic_t interrupt_seen = 0;
void on_interrupt(int) { interrupt_seen = 1; }

/// What was typed.
struct Arguments {
  std::string scenario;
  std::string design;
  double scale = 0;  ///< 0: the scenario's.
  std::optional<std::uint64_t> seed;
  std::string until;
  std::optional<std::uint32_t> trace_user;
  std::optional<std::uint32_t> trace_channel;
  std::string calibration;
  std::string out;
};

[[noreturn]] void refuse(const std::string& what) { throw scenario::ConfigError{{what}}; }

/// `12s`, `500ms`, `1m30s`, ...
Duration duration_of(const std::string& text) {
  Duration sum{};
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    double number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    const char* unit_end = std::find_if(next, end, [](char c) { return c >= '0' && c <= '9'; });
    const std::string_view unit{next, static_cast<std::size_t>(unit_end - next)};
    const double ns = unit == "ms"  ? 1e6
                      : unit == "s" ? 1e9
                      : unit == "m" ? 60e9
                      : unit == "h" ? 3600e9
                                    : 0;
    if (error != std::errc{} || ns == 0 || number < 0) {
      refuse(fmt::format("--until {}: expected a duration such as 500ms, 12s or 1m30s", text));
    }
    sum += Duration{static_cast<std::int64_t>(number * ns)};
    at = unit_end;
  }
  return sum;
}

DesignSpec design_of(const Arguments& arguments, const scenario::Scenario& scenario) {
  if (arguments.design.empty()) return scenario.designs.front();
  const auto design = design_from_name(arguments.design);
  if (!design) {
    refuse(fmt::format("--design {}: expected per_user, per_member, per_group or hybrid",
                       arguments.design));
  }
  for (const DesignSpec& spec : scenario.designs) {  // with the knobs that the scenario gives it
    if (spec.design == *design) return spec;
  }
  return {*design};
}

void check_traced(const Arguments& arguments, const SimOptions& options) {
  if (!arguments.trace_user && !arguments.trace_channel) return;
  const double scale = options.scale.value_or(options.scenario.simulate_scale);
  const scenario::Plan plan{scenario::scaled(options.scenario, scale)};
  if (arguments.trace_user && *arguments.trace_user >= plan.users()) {
    refuse(fmt::format("--trace-user {}: expected a user from 0 to {}", *arguments.trace_user,
                       plan.users() - 1));
  }
  if (arguments.trace_channel && *arguments.trace_channel >= plan.channels()) {
    refuse(fmt::format("--trace-channel {}: expected a channel from 0 to {}",
                       *arguments.trace_channel, plan.channels() - 1));
  }
}

void print_progress(const SimProgress& at, bool terminal) {
  const std::string line =
      at.stage == "laying out"
          ? std::string{"laying out the population"}
          : fmt::format(
                "{}: {:.2f} of {:.0f} simulated seconds, {:.2f} M events/s, {} clients "
                "online, delivery p99 {:.1f} ms, {:.0f} s elapsed",
                at.stage, std::min(at.simulated_seconds, at.duration_seconds), at.duration_seconds,
                at.events_per_second * 1e-6, at.connected, at.delivery_p99_ms, at.wall_seconds);
  fmt::print(stderr, "{}{}{}", terminal ? "\r\033[K" : "", line, terminal ? "" : "\n");
  std::fflush(stderr);
}

void print_speed(const report::RunResult& result) {
  const report::SimFacts& sim = *result.sim;
  const double cpu = std::max(sim.cpu_seconds, 1e-9);
  fmt::print(
      "\nsimulated {} clients on {} servers: {} events, {:.2f} M events/s, {:.2f} simulated "
      "seconds per CPU-second\n",
      result.deployment.clients, result.deployment.servers, sim.events,
      static_cast<double>(sim.events) / cpu * 1e-6, result.duration_seconds / cpu);
  fmt::print(
      "{} recipients and {} heartbeats computed, {:.1f} CPU-seconds, {:.2f} GiB peak "
      "memory, result hash {:016x}\n",
      sim.computed_recipients, sim.computed_heartbeats, sim.cpu_seconds,
      static_cast<double>(sim.peak_rss_bytes) / (1U << 30U), result.result_hash);
}

std::filesystem::path folder_of(const Arguments& arguments, const report::RunResult& result) {
  std::string stamp = result.environment.started_utc;
  std::erase_if(stamp, [](char c) { return c == ':' || c == '-'; });
  const std::filesystem::path base =
      arguments.out.empty()
          ? std::filesystem::path{"clamor-results"} / (stamp + "-" + result.scenario)
          : std::filesystem::path{arguments.out};
  return base / (std::string{name_of(result.design.design)} + "-sim");
}

int simulate(const Arguments& arguments) {
  SimOptions options;
  options.scenario = scenario::load_scenario(arguments.scenario);
  options.design = design_of(arguments, options.scenario);
  if (arguments.scale > 0) options.scale = arguments.scale;
  options.seed = arguments.seed;
  if (!arguments.until.empty()) options.until = duration_of(arguments.until);
  try {
    options.calibration = arguments.calibration.empty() ? default_calibration()
                                                        : read_calibration(arguments.calibration);
  } catch (const std::runtime_error& error) {
    refuse(error.what());
  }
  check_traced(arguments, options);
  options.trace_user = arguments.trace_user;
  options.trace_channel = arguments.trace_channel;
  options.trace = [](std::string_view line) { fmt::print("{}\n", line); };
  const bool terminal = isatty(STDERR_FILENO) != 0;
  options.progress = [terminal](const SimProgress& at) { print_progress(at, terminal); };
  options.interrupted = [] { return interrupt_seen != 0; };
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);

  report::RunResult result = run_sim(options);
  if (terminal) fmt::print(stderr, "\r\033[K");
  const std::filesystem::path folder = folder_of(arguments, result);
  report::write_run_folder(folder, result);
  report::write_file(folder / "scenario.yaml", scenario::write_effective(options.scenario));
  fmt::print("{}", report::run_summary(result, isatty(STDOUT_FILENO) != 0));
  print_speed(result);
  fmt::print("{}\n", (folder / "result.json").string());
  return report::exit_code_of(report::verdict_of(result));
}

}  // namespace

void add_sim_command(CLI::App& root, std::function<int()>& chosen) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sim = root.add_subcommand("sim", "Simulate one design of a scenario in virtual time");
  sim->add_option("SCENARIO", arguments->scenario, "Scenario file, or a name of the catalogue")
      ->required();
  sim->add_option("--design", arguments->design,
                  "per_user, per_member, per_group or hybrid (default: the scenario's first)");
  sim->add_option("--scale", arguments->scale,
                  "Times the scenario's population (default: its simulate.scale)")
      ->check(CLI::PositiveNumber);
  sim->add_option("--seed", arguments->seed, "Default: the scenario's");
  sim->add_option("--until", arguments->until, "End the measured window early, e.g. 5s");
  sim->add_option("--trace-user", arguments->trace_user, "Print the timeline of a user, from 0");
  sim->add_option("--trace-channel", arguments->trace_channel,
                  "Print the timeline of a channel, from 0");
  sim->add_option("--calibration", arguments->calibration,
                  "Costs (default: sim/calibration.yaml as built in)");
  sim->add_option("--out", arguments->out,
                  "Result folder (default: clamor-results/<UTC time>-<scenario>)");
  sim->callback([arguments, &chosen] { chosen = [arguments] { return simulate(*arguments); }; });
}

}  // namespace clamor::sim
