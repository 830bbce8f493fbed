#pragma once

#include "loadgen/app/load.hpp"
#include "reports/model/result.hpp"
#include "scenarios/model/scenario.hpp"
#include "sim/app/simulate.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::report {

class ProgressLine;

/// What to compare, as the command line says it.
struct CompareOptions {
  std::string scenario;               ///< A file, or a name of the catalogue.
  std::vector<std::string> designs;   ///< per_user, hybrid(500), ...; empty: the scenario's.
  std::vector<std::string> engines;   ///< live, sim; empty: both.
  std::uint32_t repetitions = 1;      ///< Each draws anew: seed, seed + 1, ...
  double scale = 1;                   ///< Of both engines' population.
  std::optional<std::uint64_t> seed;  ///< Default: the scenario's.
  bool no_crossover = false;          ///< Do not look where the winner changes.
  std::uint32_t workers = 0;          ///< Of the load generator; 0: as many as needed.
  std::filesystem::path calibration;  ///< Empty: the built-in one.
  std::filesystem::path out;          ///< Empty: clamor-results/<UTC time>-<scenario>.
};

/// One run to make.
struct Job {
  Engine engine = Engine::live;
  DesignSpec design;
  std::uint32_t repetition = 1;
  std::uint64_t seed = 0;
  double scale = 1;
  bool twin = false;   ///< A simulation at the live population, to measure the simulator's error.
  std::string folder;  ///< Below the output folder: per_user-live, per_user-live-2.
};

/// How runs are made; replaced in tests.
struct Engines {
  std::function<RunResult(const loadgen::LoadOptions&)> live;
  std::function<RunResult(const sim::SimOptions&)> simulate;
};

/// Lists the runs: live, then their twins where the scenario simulates another population, then
/// simulated. Within every repetition the designs come in an order drawn from the seed, so that a
/// drift of the machine favours none.
/// @throws scenario::ConfigError naming every fault of the options.
[[nodiscard]] std::vector<Job> plan_jobs(const CompareOptions& options,
                                         const scenario::Scenario& scenario);

/// The command that does the same comparison again, seed included.
[[nodiscard]] std::string reproducing_command(const CompareOptions& options,
                                              const std::vector<Job>& jobs);

/// Makes every run, writes a folder for each, looks round the scenario for the nearest crossover
/// (crossover_search.hpp; crossover.json) where two designs or more are simulated, then writes
/// report.html, report.md and junit.xml; prints the summary and, last, the path to stdout. What has
/// run is reported even when interrupted, or when a later run or the search throws. Returns the
/// exit code of stopping or of worst_verdict(). @throws scenario::ConfigError,
/// scenario::ScaleError, loadgen::LoadError, std::system_error.
int compare(const CompareOptions& options, const Engines& engines, ProgressLine& progress,
            const std::function<bool()>& interrupted);

}  // namespace clamor::report
