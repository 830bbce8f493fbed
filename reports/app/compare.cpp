#include "reports/app/compare.hpp"

#include "reports/app/crossover_search.hpp"
#include "reports/model/comparison.hpp"
#include "reports/model/region.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/model/wording.hpp"
#include "reports/render/environment.hpp"
#include "reports/render/progress.hpp"
#include "reports/render/report.hpp"
#include "reports/render/result_json.hpp"
#include "reports/render/results_folder.hpp"
#include "reports/render/run_files.hpp"
#include "reports/render/summary.hpp"
#include "scenarios/yaml/run_arguments.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "server/base/random.hpp"
#include "sim/app/calibration.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <optional>
#include <tuple>
#include <unistd.h>

namespace clamor::report {
namespace {

namespace fs = std::filesystem;

std::string engine_word(Engine engine) { return engine == Engine::live ? "live" : "sim"; }

std::vector<DesignSpec> chosen_designs(const CompareOptions& options,
                                       const scenario::Scenario& scenario,
                                       scenario::ArgumentReader& read) {
  if (options.designs.empty()) return scenario.designs;
  std::vector<DesignSpec> designs;
  for (const std::string& text : options.designs) {
    const auto design = read.design("--designs", text, scenario);
    if (!design) continue;
    if (std::ranges::find(designs, *design) != designs.end()) {
      read.fault("--designs: '" + text + "' stands there twice");
    } else {
      designs.push_back(*design);
    }
  }
  return designs;
}

std::vector<Engine> chosen_engines(const CompareOptions& options, scenario::ArgumentReader& read) {
  if (options.engines.empty()) return {Engine::live, Engine::sim};
  std::vector<Engine> engines;
  for (const Engine engine : {Engine::live, Engine::sim}) {
    const bool named =
        std::ranges::find(options.engines, engine_word(engine)) != options.engines.end();
    if (named) engines.push_back(engine);
  }
  for (const std::string& text : options.engines) {
    if (text != "live" && text != "sim") {
      read.fault("--engine: '" + text + "' is no engine; expected live, sim or both: live,sim");
    }
  }
  return engines;
}

/// Fisher and Yates, every draw keyed by what it is for.
void shuffle(std::vector<DesignSpec>& designs, std::uint64_t seed, std::uint32_t repetition) {
  for (std::size_t i = designs.size(); i > 1; --i) {
    const std::uint64_t bits =
        draw_bits(seed, DrawPurpose::run_order, repetition, static_cast<std::uint32_t>(i));
    std::swap(designs[i - 1], designs[below_from_bits(bits, i)]);
  }
}

std::string load_details(const loadgen::LoadProgress& p) {
  std::string text = p.duration_seconds > 0
                         ? fmt::format("{:.0f} of {:.0f} s", p.elapsed_seconds, p.duration_seconds)
                         : fmt::format("{:.0f} s", p.elapsed_seconds);
  if (p.to_fill > 0) {
    return text + fmt::format("  {}/{} messages", grouped(p.filled), grouped(p.to_fill));
  }
  text += fmt::format("  {}/{} connected", grouped(p.connected), grouped(p.clients));
  if (p.send_rate > 0 || p.delivery_rate > 0) {
    text += fmt::format("  {} sent/s  {} delivered/s  p99 {}", short_number(p.send_rate),
                        short_number(p.delivery_rate), duration_text(p.delivery_p99_ms * 1e6));
  }
  return text;
}

std::string sim_details(const sim::SimProgress& p) {
  return fmt::format("{:.1f} of {:.0f} s simulated  {} s  {} connected  {} events/s  p99 {}",
                     p.simulated_seconds, p.duration_seconds, short_number(p.wall_seconds),
                     grouped(p.connected), short_number(p.events_per_second),
                     duration_text(p.delivery_p99_ms * 1e6));
}

double fraction_of(double done, double whole) { return whole > 0 ? done / whole : -1; }

/// Everything that the runs of one comparison share.
class Comparer {
 public:
  Comparer(const CompareOptions& options, const scenario::Scenario& scenario,
           const Engines& engines, ProgressLine& progress, const std::function<bool()>& interrupted)
      : options_{options},
        scenario_{scenario},
        engines_{engines},
        progress_{progress},
        interrupted_{interrupted} {
    calibration_ = sim::calibration_argument(options.calibration);
  }

  RunResult run(const Job& job, const std::string& place) {
    RunResult result = job.engine == Engine::live ? run_live(job, place) : run_sim(job, place);
    result.repetition = job.repetition;
    result.repetitions = options_.repetitions;
    result.twin = job.twin;
    if (result.region.groups.empty()) result.region = region_of(plan_of(job));
    return result;
  }

  /// Where the verdict of these runs ends; nothing where fewer than two designs are simulated.
  std::optional<Crossover> crossover_of(const std::vector<Job>& jobs) {
    CrossoverOptions search;
    search.scenario = scenario_;
    search.seed = jobs.front().seed;
    search.calibration = calibration_;
    for (const Job& job : jobs) {
      std::vector<DesignSpec>& designs = search.designs;
      const bool known = std::ranges::find(designs, job.design) != designs.end();
      if (job.engine == Engine::sim && !known) designs.push_back(job.design);
    }
    if (search.designs.size() < 2) return std::nullopt;
    const auto show = [this](double fraction, const std::string& details) {
      progress_.show("looking for the nearest crossover", fraction, details);
    };
    Crossover crossover = search_crossover(search, engines_.simulate, show, interrupted_);
    progress_.print(fmt::format("looked at {} points round the scenario in {} s",
                                crossover.points.size(), short_number(crossover.seconds)));
    return crossover;
  }

  /// The scenario that the job runs, scaled, with every default.
  scenario::Scenario scenario_of(const Job& job) const {
    return job.engine == Engine::live ? loadgen::scenario_of(load_options(job))
                                      : sim::scenario_of(sim_options(job));
  }

 private:
  scenario::Plan plan_of(const Job& job) const { return scenario::Plan{scenario_of(job)}; }

  loadgen::LoadOptions load_options(const Job& job) const {
    loadgen::LoadOptions load;
    load.scenario = scenario_;
    load.design = job.design;
    load.scale = job.scale;
    load.seed = job.seed;
    load.workers = options_.workers;
    load.interrupted = interrupted_;
    return load;
  }

  sim::SimOptions sim_options(const Job& job) const {
    sim::SimOptions simulation;
    simulation.scenario = scenario_;
    simulation.design = job.design;
    simulation.scale = job.scale;
    simulation.seed = job.seed;
    simulation.calibration = calibration_;
    simulation.interrupted = interrupted_;
    return simulation;
  }

  RunResult run_live(const Job& job, const std::string& place) {
    loadgen::LoadOptions load = load_options(job);
    load.progress = [&](const loadgen::LoadProgress& p) {
      progress_.show(place + "  " + std::string{p.stage}, loadgen::fraction_of(p), load_details(p));
    };
    return engines_.live(load);
  }

  RunResult run_sim(const Job& job, const std::string& place) {
    sim::SimOptions simulation = sim_options(job);
    simulation.progress = [&](const sim::SimProgress& p) {
      progress_.show(place + "  " + std::string{p.stage},
                     fraction_of(p.simulated_seconds, p.duration_seconds), sim_details(p));
    };
    return engines_.simulate(simulation);
  }

  const CompareOptions& options_;
  const scenario::Scenario& scenario_;
  const Engines& engines_;
  ProgressLine& progress_;
  const std::function<bool()>& interrupted_;
  sim::Calibration calibration_;
};

std::string done_line(const std::string& place, const RunResult& run) {
  const Histogram delivery = select_histogram(run, "delivery_latency");
  return fmt::format(
      "{}  {} in {} s  delivery p99 {}  lost {}, duplicated {}, reordered {}, "
      "replaced {}",
      place, name_of(verdict_of(run)), short_number(run.wall_seconds),
      duration_text(static_cast<double>(delivery.quantile(0.99))), run.ledger.lost,
      run.ledger.duplicated, run.ledger.reordered, run.ledger.replaced);
}

void write_reports(const fs::path& out, const std::vector<RunResult>& runs,
                   const Crossover* crossover) {
  // First what was found: a disk that is full by now does not take it away.
  std::fputs(comparison_summary(runs, isatty(STDOUT_FILENO) == 1, crossover).c_str(), stdout);
  std::fflush(stdout);
  write_file(out / "report.html", html_report(runs, crossover));
  write_file(out / "report.md", markdown_report(runs, crossover));
  write_file(out / "junit.xml", junit_report(runs));
  std::fputs(fmt::format("\n  report: {}\n", (out / "report.html").string()).c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

std::vector<Job> plan_jobs(const CompareOptions& options, const scenario::Scenario& scenario) {
  scenario::ArgumentReader read;
  const std::vector<DesignSpec> designs = chosen_designs(options, scenario, read);
  const std::vector<Engine> engines = chosen_engines(options, read);
  if (options.repetitions == 0) read.fault("--repetitions: expected at least 1, found 0");
  if (!(options.scale > 0)) read.fault("--scale: expected a number above 0");
  read.throw_if_any();

  const std::uint64_t seed = options.seed.value_or(scenario.seed);
  std::vector<Job> jobs;
  const auto add = [&](Engine engine, double scale, bool twin) {
    for (std::uint32_t repetition = 1; repetition <= options.repetitions; ++repetition) {
      std::vector<DesignSpec> order = designs;
      shuffle(order, seed, repetition);
      for (const DesignSpec& design : order) {
        std::string folder = label_of(design) + "-" + (twin ? "twin" : engine_word(engine));
        if (options.repetitions > 1) folder += "-" + std::to_string(repetition);
        jobs.push_back(
            {engine, design, repetition, seed + repetition - 1, scale, twin, std::move(folder)});
      }
    }
  };
  for (const Engine engine : engines) {
    const bool live = engine == Engine::live;
    add(engine, live ? options.scale : options.scale * scenario.simulate_scale, false);
    if (live && engines.size() > 1 && scenario.simulate_scale != 1) {
      add(Engine::sim, options.scale, true);
    }
  }
  return jobs;
}

std::string reproducing_command(const CompareOptions& options, const std::vector<Job>& jobs) {
  std::vector<std::string> words{"clamor", "compare", options.scenario};
  const auto add = [&](const char* option, const std::string& value) {
    words.emplace_back(option);
    words.push_back(value);
  };
  if (!options.designs.empty())
    add("--designs", fmt::format("{}", fmt::join(options.designs, ",")));
  if (!options.engines.empty()) add("--engine", fmt::format("{}", fmt::join(options.engines, ",")));
  if (options.no_crossover) words.emplace_back("--no-crossover");
  if (options.repetitions != 1) add("--repetitions", std::to_string(options.repetitions));
  if (options.scale != 1) add("--scale", fmt::format("{}", options.scale));
  if (options.workers != 0) add("--workers", std::to_string(options.workers));
  if (!options.calibration.empty()) add("--calibration", options.calibration.string());
  add("--seed", std::to_string(jobs.front().seed));
  return shell_command(words);
}

int compare(const CompareOptions& options, const Engines& engines, ProgressLine& progress,
            const std::function<bool()>& interrupted) {
  const scenario::Scenario scenario = scenario::load_scenario(options.scenario);
  const std::vector<Job> jobs = plan_jobs(options, scenario);
  const std::string command = reproducing_command(options, jobs);
  Comparer comparer{options, scenario, engines, progress, interrupted};
  const ResultsFolder folder{options.out, scenario.name};
  const fs::path& out = folder.path();

  std::vector<RunResult> runs;
  bool stopped = false;
  std::exception_ptr failure;
  for (const Job& job : jobs) {
    stopped = stopped || interrupted();
    if (stopped) break;
    const std::string place =
        fmt::format("[{}/{}] {} {}{}", runs.size() + 1, jobs.size(), label_of(job.design),
                    label_of(job.engine), job.twin ? " at the live population" : "");
    std::optional<RunResult> ran;
    try {
      ran = comparer.run(job, place);
    } catch (const sim::LayOutInterrupted&) {
      stopped = true;
      break;
    } catch (...) {
      failure = std::current_exception();  // what has run stays a result
      break;
    }
    RunResult& run = *ran;
    run.environment.command = command;
    run.order = static_cast<std::uint32_t>(runs.size() + 1);
    progress.print(done_line(place, run));
    write_run_folder(out / job.folder, run);
    write_file(out / job.folder / "scenario.yaml",
               scenario::write_effective(comparer.scenario_of(job)));
    stopped = run.interrupted;
    runs.push_back(std::move(run));
  }
  // runs were made in a drawn order; a reader wants the scenario's
  std::ranges::stable_sort(runs, {}, [&](const RunResult& run) {
    const auto at = std::ranges::find(scenario.designs, run.design);
    return std::tuple{run.engine, run.twin, at - scenario.designs.begin(), run.repetition};
  });
  std::optional<Crossover> crossover;
  try {
    if (!stopped && !failure && !options.no_crossover) crossover = comparer.crossover_of(jobs);
    if (crossover) write_file(out / crossover_file, write_crossover(*crossover));
  } catch (...) {
    failure = std::current_exception();  // as above
  }
  stopped = stopped || interrupted();
  if (!runs.empty()) write_reports(out, runs, crossover ? &*crossover : nullptr);
  if (failure) std::rethrow_exception(failure);
  return exit_code_of(stopped ? Verdict::interrupted : worst_verdict(runs));
}

}  // namespace clamor::report
