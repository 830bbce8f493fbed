#include "reports/app/commands.hpp"

#include "reports/app/compare.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/render/interrupt.hpp"
#include "reports/render/progress.hpp"
#include "reports/render/report.hpp"
#include "reports/render/result_json.hpp"
#include "reports/render/run_files.hpp"
#include "reports/render/summary.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/run_arguments.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <unistd.h>

namespace clamor::report {
namespace {

/// What `clamor report` was given.
struct Results {
  std::vector<RunResult> runs;
  std::optional<Crossover> crossover;
};

std::string render(const std::string& format, const Results& results, bool colour) {
  const std::vector<RunResult>& runs = results.runs;
  const Crossover* crossover = results.crossover ? &*results.crossover : nullptr;
  if (format == "html") return html_report(runs, crossover);
  if (format == "md") return markdown_report(runs, crossover);
  if (format == "junit") return junit_report(runs);
  if (format == "json") {
    if (runs.size() == 1) return write_result(runs.front());
    std::string text = "[\n";
    for (const RunResult& run : runs) text += (text.size() > 2 ? ",\n" : "") + write_result(run);
    return text + "]\n";
  }
  if (runs.size() == 1) return run_summary(runs.front(), colour);
  return comparison_summary(runs, colour, crossover);
}

/// A comparison's folder stands for the runs and the crossover in it.
std::vector<std::string> with_folders_opened(const std::vector<std::string>& files) {
  namespace fs = std::filesystem;
  std::vector<std::string> out;
  for (const std::string& file : files) {
    std::error_code ignored;  // Whoever reads the file says what is wrong with it.
    std::vector<std::string> inside;
    if (fs::is_directory(file, ignored) && !fs::exists(fs::path{file} / "result.json", ignored)) {
      for (const fs::directory_entry& entry : fs::directory_iterator{file, ignored}) {
        const bool is_run = fs::exists(entry.path() / "result.json", ignored);
        if (is_run || entry.path().filename() == crossover_file) inside.push_back(entry.path());
      }
    }
    std::ranges::sort(inside);
    if (inside.empty()) inside.push_back(file);
    out.insert(out.end(), inside.begin(), inside.end());
  }
  return out;
}

/// Every file that cannot be read is named, not only the first.
Results read_all(const std::vector<std::string>& files) {
  Results results;
  std::vector<std::string> errors;
  for (const std::string& file : with_folders_opened(files)) {
    try {
      if (std::filesystem::path{file}.filename() == crossover_file) {
        results.crossover = read_crossover_file(file);
      } else {
        results.runs.push_back(read_result_file(file));
        const std::string& first = results.runs.front().scenario;
        const std::string& own = results.runs.back().scenario;
        if (own != first) {
          errors.push_back(file + ": a run of the scenario " + own + ", beside one of " + first +
                           "; expected runs of one scenario, which alone can be compared");
        }
      }
    } catch (const ResultFormatError& error) {
      errors.emplace_back(error.what());
    }
  }
  if (errors.empty() && results.runs.empty()) errors.emplace_back("expected a run's result, too");
  if (!errors.empty()) throw scenario::ConfigError{std::move(errors)};
  // without the live runs that they stand beside, twins are simulated runs as any other
  if (std::ranges::all_of(results.runs, &RunResult::twin)) {
    for (RunResult& run : results.runs) run.twin = false;
  }
  return results;
}

struct TypedComparison {
  CompareOptions options;
  scenario::Typed scale;
  scenario::Typed seed;
  scenario::Typed workers;
  scenario::Typed calibration;
  scenario::Typed out;
};

CompareOptions read_options(const TypedComparison& typed) {
  CompareOptions options = typed.options;
  scenario::ArgumentReader read;
  options.scale = read.scale(typed.scale).value_or(1);
  options.seed = read.seed(typed.seed);
  options.workers = read.workers(typed.workers).value_or(0);
  options.calibration = read.words("--calibration", typed.calibration, "a file");
  options.out = read.words("--out", typed.out, "a folder");
  read.throw_if_any();
  return options;
}

}  // namespace

void add_compare_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* command = root.add_subcommand(
      "compare", "Run every design, live and simulated, and report which one costs least");
  const auto typed = std::make_shared<TypedComparison>();
  CompareOptions& options = typed->options;
  command->add_option("SCENARIO", options.scenario, "Scenario file, or a name of the catalogue")
      ->required();
  command->add_option("--designs", options.designs, "per_user,per_group,... (the scenario's)")
      ->delimiter(',');
  command->add_option("--engine", options.engines, "live, sim or live,sim (both)")->delimiter(',');
  command->add_option("--repetitions", options.repetitions,
                      "Runs of each design and engine (1); three or more give intervals");
  command->add_flag("--no-crossover", options.no_crossover,
                    "Do not look for the nearest point where the winner changes (20 s at most)");
  using scenario::add_text_option;
  add_text_option(*command, "--scale", typed->scale, "Multiplies the population of both engines")
      ->type_name("NUMBER");
  add_text_option(*command, "--seed", typed->seed, "Instead of the scenario's")
      ->type_name("NUMBER");
  add_text_option(*command, "--workers", typed->workers, "Load-generator processes (as needed)")
      ->type_name("NUMBER");
  add_text_option(*command, "--calibration", typed->calibration,
                  "Costs of the simulator (built in)");
  add_text_option(*command, "--out", typed->out,
                  "Folder of the results (clamor-results/<UTC time>-<scenario>)");
  command->callback([typed, &chosen] {
    chosen = [typed] {
      const CompareOptions read = read_options(*typed);
      note_interrupts();
      ProgressLine progress{stderr};
      return compare(read, {loadgen::run_load, sim::run_sim}, progress, interrupted);
    };
  });
}

void add_report_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* command =
      root.add_subcommand("report", "Render the results of runs, or of a comparison, anew");
  const auto files = std::make_shared<std::vector<std::string>>();
  const auto format = std::make_shared<std::string>("text");
  const auto out = std::make_shared<std::string>();
  command
      ->add_option("FILES", *files,
                   "result.json files of one scenario, or folders with them; its crossover.json")
      ->required();
  command->add_option("--format", *format, "text (default), html, md, json or junit")
      ->check(CLI::IsMember({"text", "html", "md", "json", "junit"}));
  command->add_option("--out", *out, "File to write (stdout)");
  command->callback([=, &chosen] {
    chosen = [=] {
      const Results results = read_all(*files);
      const bool colour = out->empty() && isatty(STDOUT_FILENO) == 1;
      const std::string text = render(*format, results, colour);
      if (out->empty()) {
        std::fputs(text.c_str(), stdout);
      } else {
        try {
          write_file(*out, text);
        } catch (const std::system_error& error) {
          throw scenario::ConfigError{{std::string{"--out: "} + error.what()}};
        }
      }
      return exit_code_of(worst_verdict(results.runs));
    };
  });
}

}  // namespace clamor::report
