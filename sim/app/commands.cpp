#include "sim/app/commands.hpp"

#include "reports/model/thresholds.hpp"
#include "reports/model/wording.hpp"
#include "reports/render/interrupt.hpp"
#include "reports/render/results_folder.hpp"
#include "reports/render/run_files.hpp"
#include "reports/render/summary.hpp"
#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/run_arguments.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "sim/app/calibration.hpp"
#include "sim/app/simulate.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>

namespace clamor::sim {
namespace {

/// What was typed.
struct Arguments {
  std::string scenario;
  scenario::Typed design;
  scenario::Typed scale;
  scenario::Typed seed;
  scenario::Typed until;
  std::optional<std::uint32_t> trace_user;
  std::optional<std::uint32_t> trace_channel;
  scenario::Typed calibration;
  scenario::Typed out;
};

[[noreturn]] void refuse(const std::string& what) { throw scenario::ConfigError{{what}}; }

SimOptions options_of(const Arguments& arguments, std::filesystem::path& out) {
  SimOptions options;
  options.scenario = scenario::load_scenario(arguments.scenario);
  scenario::ArgumentReader read;
  options.design = read.design_or_first("--design", arguments.design, options.scenario);
  options.scale = read.scale(arguments.scale);
  options.seed = read.seed(arguments.seed);
  options.until = read.until(arguments.until, scenario::measured_duration(options.scenario));
  out = read.words("--out", arguments.out, "a folder");
  const std::string file = read.words("--calibration", arguments.calibration, "a file");
  read.throw_if_any();
  options.calibration = calibration_argument(file);
  options.trace_user = arguments.trace_user;
  options.trace_channel = arguments.trace_channel;
  return options;
}

void check_traced(const Arguments& arguments, const SimOptions& options) {
  if (!arguments.trace_user && !arguments.trace_channel) return;
  const scenario::Plan plan{scenario_of(options)};
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

int simulate(const Arguments& arguments) {
  report::note_interrupts();
  std::filesystem::path out;
  SimOptions options = options_of(arguments, out);
  check_traced(arguments, options);
  const report::ResultsFolder folder{out, options.scenario.name,
                                     report::label_of(options.design) + "-sim"};
  options.trace = [](std::string_view line) { fmt::print("{}\n", line); };
  const bool terminal = isatty(STDERR_FILENO) != 0;
  options.progress = [terminal](const SimProgress& at) { print_progress(at, terminal); };
  options.interrupted = report::interrupted;

  std::optional<report::RunResult> ran;
  try {
    ran = run_sim(options);
  } catch (const LayOutInterrupted&) {
    fmt::print(stderr, "\nclamor sim: interrupted before the simulation began\n");
    return report::exit_code_of(report::Verdict::interrupted);
  }
  const report::RunResult& result = *ran;
  if (terminal) fmt::print(stderr, "\r\033[K");
  // First what was found: a disk that is full by now does not take it away.
  fmt::print("{}", report::run_summary(result, isatty(STDOUT_FILENO) != 0));
  print_speed(result);
  std::fflush(stdout);
  report::write_run_folder(folder.path(), result);
  report::write_file(folder.path() / "scenario.yaml",
                     scenario::write_effective(scenario_of(options)));
  fmt::print("{}\n", (folder.path() / "result.json").string());
  return report::exit_code_of(report::verdict_of(result));
}

}  // namespace

void add_sim_command(CLI::App& root, std::function<int()>& chosen) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sim = root.add_subcommand("sim", "Simulate one design of a scenario in virtual time");
  sim->add_option("SCENARIO", arguments->scenario, "Scenario file, or a name of the catalogue")
      ->required();
  using scenario::add_text_option;
  add_text_option(*sim, "--design", arguments->design,
                  std::string{scenario::design_choices} + " (default: the scenario's first)");
  add_text_option(*sim, "--scale", arguments->scale,
                  "Times the scenario's population (default: its simulate.scale)")
      ->type_name("NUMBER");
  add_text_option(*sim, "--seed", arguments->seed, "Default: the scenario's")->type_name("NUMBER");
  add_text_option(*sim, "--until", arguments->until, "End the measured window early, e.g. 5s")
      ->type_name("DURATION");
  sim->add_option("--trace-user", arguments->trace_user, "Print the timeline of a user, from 0");
  sim->add_option("--trace-channel", arguments->trace_channel,
                  "Print the timeline of a channel, from 0");
  add_text_option(*sim, "--calibration", arguments->calibration,
                  "Costs (default: sim/calibration.yaml as built in)");
  add_text_option(*sim, "--out", arguments->out,
                  "Result folder (default: clamor-results/<UTC time>-<scenario>)");
  sim->callback([arguments, &chosen] { chosen = [arguments] { return simulate(*arguments); }; });
}

}  // namespace clamor::sim
