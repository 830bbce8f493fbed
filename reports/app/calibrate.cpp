#include "reports/app/calibration_fit.hpp"
#include "reports/app/commands.hpp"
#include "reports/app/micro_loads.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/render/environment.hpp"
#include "reports/render/interrupt.hpp"
#include "reports/render/progress.hpp"
#include "reports/render/run_files.hpp"
#include "sim/app/calibration.hpp"

#include <CLI/App.hpp>
#include <CLI/Option.hpp>
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <memory>

namespace clamor::report {
namespace {

struct CalibrateOptions {
  std::string out = "calibration.yaml";
  bool quick = false;
};

std::string list(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string report_text(const CalibrationResult& result) {
  std::string text = "\n  cost                       value   residual\n";
  for (std::size_t i = 0; i < sim::cost_coefficients.size(); ++i) {
    const double residual = result.calibration.residuals[i];
    text += fmt::format("  {:<20} {:>12.6g}   {}\n", sim::cost_coefficients[i].name,
                        result.calibration.costs.*sim::cost_coefficients[i].member,
                        residual < 0 ? "not measured" : fmt::format("{:.1f} %", residual * 100));
  }
  return text;
}

int calibrate(const CalibrateOptions& options) {
  expect_writable(options.out);
  ProgressLine progress{stderr};
  MicroLoadOptions loads;
  loads.quick = options.quick;
  loads.progress = [&](const std::string& what, double fraction) {
    progress.show("calibrating", fraction, what);
  };
  note_interrupts();
  loads.interrupted = interrupted;
  Measurements measured;
  try {
    measured = measure(loads);
  } catch (const MicroLoadError&) {
    if (!interrupted()) throw;
    std::fprintf(stderr, "clamor calibrate: interrupted; %s was not written\n",
                 options.out.c_str());
    return exit_code_of(Verdict::interrupted);
  }
  CalibrationResult result = fit_calibration(measured, sim::default_calibration());

  const Environment environment = current_environment();
  result.calibration.machine = environment.machine + ", " + environment.kernel;
  result.calibration.date = environment.started_utc;
  result.calibration.path = "loopback";
  result.calibration.source =
      fmt::format("clamor calibrate {}{}; carried over: {}", environment.clamor_version,
                  options.quick ? " --quick" : "", list(result.carried_over));
  std::fputs(report_text(result).c_str(), stdout);
  std::fputs(fits_text(result.fits).c_str(), stdout);
  if (!result.missing.empty()) {
    std::fprintf(stderr,
                 "clamor calibrate: not identified: %s; %s was not written. Neighbours on this "
                 "machine disturb the loads: try again when it is idle, without --quick.\n",
                 list(result.missing).c_str(), options.out.c_str());
    return 1;
  }
  write_file(options.out, sim::to_yaml(result.calibration) + fits_text(result.fits));
  std::printf("\n  calibration: %s\n", options.out.c_str());
  return 0;
}

}  // namespace

void add_calibrate_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* command = root.add_subcommand(
      "calibrate", "Measure what the server's operations cost on this machine, for the simulator");
  const auto options = std::make_shared<CalibrateOptions>();
  command->add_option("--out", options->out, "File to write (calibration.yaml)");
  command->add_flag("--quick", options->quick, "Fewer windows: less time, less exact");
  command->callback([=, &chosen] { chosen = [=] { return calibrate(*options); }; });
}

}  // namespace clamor::report
