#include "loadgen/app/commands.hpp"
#include "loadgen/app/load.hpp"
#include "loadgen/app/worker.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/render/environment.hpp"
#include "reports/render/progress.hpp"
#include "reports/render/run_files.hpp"
#include "reports/render/summary.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "scenarios/yaml/values.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace clamor::loadgen {
namespace {

constexpr int control_fd = 3;  // ChildProcess hands it over there

std::atomic<bool> interrupt_asked{false};

/// The first Ctrl-C ends the window, and the roll call and the report follow; the second one ends
/// the program.
extern "C" void on_interrupt(int) {
  interrupt_asked = true;
  std::signal(SIGINT, SIG_DFL);
}

struct Arguments {
  std::string scenario;
  std::string design;
  std::string target;
  std::string secret;
  double scale = 1;
  std::uint64_t seed = 0;
  std::uint32_t workers = 0;
  std::string out;
  bool strict = false;
  CLI::Option* seed_given = nullptr;
};

DesignSpec design_of(const Arguments& arguments, const scenario::Scenario& scenario) {
  if (arguments.design.empty()) return scenario.designs.front();
  const auto design = design_from_name(arguments.design);
  if (!design) {
    const std::vector<std::string> names{"per_user", "per_member", "per_group", "hybrid"};
    throw scenario::ConfigError{
        {fmt::format("--design {}: expected one of {}{}", arguments.design, scenario::listed(names),
                     scenario::did_you_mean(arguments.design, names))}};
  }
  // The scenario may name the design's knobs.
  const auto named = std::find_if(scenario.designs.begin(), scenario.designs.end(),
                                  [&](const DesignSpec& spec) { return spec.design == *design; });
  return named == scenario.designs.end() ? DesignSpec{*design} : *named;
}

std::filesystem::path out_folder(const Arguments& arguments, const std::string& scenario) {
  if (!arguments.out.empty()) return arguments.out;
  std::string stamp = report::utc_timestamp();
  std::erase(stamp, ':');
  return std::filesystem::path{"clamor-results"} / (stamp + "-" + scenario);
}

std::string secret_of(const Arguments& arguments) {
  if (!arguments.target.empty() && arguments.secret.empty()) {
    throw scenario::ConfigError{
        {"--target needs --secret (or CLAMOR_SECRET): the secret of that server's login tokens"}};
  }
  return arguments.secret;
}

std::string details_of(const LoadProgress& progress) {
  std::string text = fmt::format("{:.0f} s", progress.elapsed_seconds);
  if (progress.duration_seconds > 0) text += fmt::format(" of {:.0f} s", progress.duration_seconds);
  text += fmt::format("  {} of {} clients connected", progress.connected, progress.clients);
  if (progress.send_rate > 0 || progress.delivery_rate > 0) {
    text += fmt::format("  {:.0f} sent/s  {:.0f} delivered/s  p99 {:.1f} ms", progress.send_rate,
                        progress.delivery_rate, progress.delivery_p99_ms);
  }
  return text;
}

int load(const Arguments& arguments) {
  LoadOptions options;
  options.scenario = scenario::load_scenario(arguments.scenario);
  options.design = design_of(arguments, options.scenario);
  options.scale = arguments.scale;
  if (arguments.seed_given->count() > 0) options.seed = arguments.seed;
  if (!arguments.target.empty()) options.target = arguments.target;
  options.secret = secret_of(arguments);
  options.workers = arguments.workers;
  options.interrupted = [] { return interrupt_asked.load(); };
  std::signal(SIGINT, on_interrupt);

  report::RunResult result;
  {
    report::ProgressLine line{stderr};
    const std::string design{name_of(options.design.design)};
    options.progress = [&line, &design](const LoadProgress& progress) {
      const double share =
          progress.duration_seconds > 0 ? progress.elapsed_seconds / progress.duration_seconds : -1;
      line.show(design + "  " + std::string{progress.stage}, share, details_of(progress));
    };
    result = run_load(options);
  }
  const std::filesystem::path out = out_folder(arguments, options.scenario.name);
  const std::filesystem::path folder = out / fmt::format("{}-live", name_of(options.design.design));
  report::write_run_folder(folder, result);
  report::write_file(folder / "scenario.yaml", scenario::write_effective(options.scenario));
  fmt::print("{}\nresults: {}\n", report::run_summary(result, isatty(STDOUT_FILENO) == 1),
             folder.string());
  return report::exit_code_of(report::verdict_of(result, arguments.strict));
}

}  // namespace

void add_load_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* command = root.add_subcommand(
      "load", "Run a scenario live: real connections against a real server, one design");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("SCENARIO", arguments->scenario, "Scenario file, or a name of the catalogue")
      ->required();
  command->add_option("--design", arguments->design,
                      "per_user, per_member, per_group or hybrid (default: the scenario's first)");
  command->add_option("--target", arguments->target,
                      "ws://host:port of a running server with an empty store (default: an "
                      "embedded one is started and stopped)");
  command->add_option("--secret", arguments->secret, "Secret of the target's login tokens")
      ->envname("CLAMOR_SECRET");
  command->add_option("--scale", arguments->scale, "Multiplies the population")
      ->check(CLI::PositiveNumber);
  arguments->seed_given =
      command->add_option("--seed", arguments->seed, "Seed of the plan (default: the scenario's)");
  command->add_option("--workers", arguments->workers,
                      "Worker processes (default: as the clients and cores ask)");
  command->add_option("--out", arguments->out,
                      "Folder of the results (default: clamor-results/<UTC time>-<scenario>)");
  command->add_flag("--strict", arguments->strict,
                    "Any interval in which the generator was the limit fails the run (exit 120)");
  command->callback([arguments, &chosen] { chosen = [arguments] { return load(*arguments); }; });
}

void add_load_worker_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* command = root.add_subcommand("load-worker", "A worker process of `load`");
  command->group("");  // not in the help: only `load` starts it
  command->callback([&chosen] { chosen = [] { return run_worker(control_fd); }; });
}

}  // namespace clamor::loadgen
