#include "loadgen/app/commands.hpp"
#include "loadgen/app/load.hpp"
#include "loadgen/app/worker.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/model/wording.hpp"
#include "reports/render/interrupt.hpp"
#include "reports/render/progress.hpp"
#include "reports/render/results_folder.hpp"
#include "reports/render/run_files.hpp"
#include "reports/render/summary.hpp"
#include "scenarios/yaml/run_arguments.hpp"
#include "scenarios/yaml/scenario_file.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <unistd.h>

namespace clamor::loadgen {
namespace {

constexpr int control_fd = 3;  // ChildProcess hands it over there

struct Arguments {
  std::string scenario;
  scenario::Typed design;
  scenario::Typed target;
  scenario::Typed secret;
  scenario::Typed authority;
  scenario::Typed scale;
  scenario::Typed seed;
  scenario::Typed workers;
  scenario::Typed out;
  bool strict = false;
  bool tls = false;
};

LoadOptions options_of(const Arguments& arguments, std::filesystem::path& out) {
  LoadOptions options;
  options.scenario = scenario::load_scenario(arguments.scenario);
  scenario::ArgumentReader read;
  options.design = read.design_or_first("--design", arguments.design, options.scenario);
  options.scale = read.scale(arguments.scale).value_or(1);
  options.seed = read.seed(arguments.seed);
  options.workers = read.workers(arguments.workers).value_or(0);
  options.target = arguments.target;
  options.secret = read.words("--secret", arguments.secret, "the secret of the target's tokens");
  if (arguments.target && !arguments.secret) {
    read.fault("--target needs --secret (or CLAMOR_SECRET): the secret of that server's tokens");
  }
  options.authority_file = read.words("--ca", arguments.authority, "a file of certificates");
  if (arguments.authority && (!arguments.target || !arguments.target->starts_with("wss://"))) {
    read.fault("--ca is for a wss:// target: it names what signs that server's certificate");
  }
  options.tls = arguments.tls;
  if (arguments.tls && arguments.target) {
    read.fault("--tls is for the embedded server; a target's URL says wss:// or ws://");
  }
  out = read.words("--out", arguments.out, "a folder");
  read.throw_if_any();
  return options;
}

std::string details_of(const LoadProgress& progress) {
  std::string text = fmt::format("{:.0f} s", progress.elapsed_seconds);
  if (progress.duration_seconds > 0) text += fmt::format(" of {:.0f} s", progress.duration_seconds);
  if (progress.to_fill > 0) {
    return text + fmt::format("  {} of {} messages", progress.filled, progress.to_fill);
  }
  text += fmt::format("  {} of {} clients connected", progress.connected, progress.clients);
  if (progress.send_rate > 0 || progress.delivery_rate > 0) {
    text += fmt::format("  {:.0f} sent/s  {:.0f} delivered/s  p99 {:.1f} ms", progress.send_rate,
                        progress.delivery_rate, progress.delivery_p99_ms);
  }
  return text;
}

int load(const Arguments& arguments) {
  std::filesystem::path out;
  LoadOptions options = options_of(arguments, out);
  const report::ResultsFolder folder{out, options.scenario.name,
                                     report::label_of(options.design) + "-live"};
  options.interrupted = report::interrupted;
  report::note_interrupts();

  report::RunResult result;
  {
    report::ProgressLine line{stderr};
    const std::string design = report::label_of(options.design);
    options.progress = [&line, &design](const LoadProgress& progress) {
      line.show(design + "  " + std::string{progress.stage}, fraction_of(progress),
                details_of(progress));
    };
    result = run_load(options);
  }
  // First what was measured: a disk that is full by now does not take it away.
  fmt::print("{}\n", report::run_summary(result, isatty(STDOUT_FILENO) == 1));
  std::fflush(stdout);
  report::write_run_folder(folder.path(), result);
  report::write_file(folder.path() / "scenario.yaml",
                     scenario::write_effective(scenario_of(options)));
  fmt::print("results: {}\n", folder.path().string());
  return report::exit_code_of(report::verdict_of(result, arguments.strict));
}

}  // namespace

void add_load_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* command = root.add_subcommand(
      "load", "Run a scenario live: real connections against a real server, one design");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("SCENARIO", arguments->scenario, "Scenario file, or a name of the catalogue")
      ->required();
  using scenario::add_text_option;
  Arguments& typed = *arguments;
  add_text_option(*command, "--design", typed.design,
                  std::string{scenario::design_choices} + " (default: the scenario's first)");
  add_text_option(
      *command, "--target", typed.target,
      "ws://host:port or wss://host:port of a running server with an empty store, several nodes "
      "with commas "
      "between (default: an embedded one is started and stopped)");
  add_text_option(*command, "--secret", typed.secret, "Secret of the target's login tokens")
      ->envname("CLAMOR_SECRET");
  add_text_option(*command, "--ca", typed.authority,
                  "Certificates (PEM) that may sign a wss:// target's (default: the system's)");
  command->add_flag("--tls", arguments->tls, "The embedded server speaks TLS");
  add_text_option(*command, "--scale", typed.scale, "Multiplies the population")
      ->type_name("NUMBER");
  add_text_option(*command, "--seed", typed.seed, "Seed of the plan (default: the scenario's)")
      ->type_name("NUMBER");
  add_text_option(*command, "--workers", typed.workers,
                  "Worker processes (default: as the clients and cores ask)")
      ->type_name("NUMBER");
  add_text_option(*command, "--out", typed.out,
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
