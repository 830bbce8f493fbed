#include "reports/model/thresholds.hpp"
#include "reports/model/wording.hpp"
#include "reports/render/report.hpp"
#include "reports/render/summary.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace clamor::report {
namespace {

std::string suite_name(const RunResult& run) {
  std::string name = run.scenario + "." + label_of(run.design) + "." +
                     (run.engine == Engine::live ? "live" : "sim");
  if (run.repetitions > 1) name += "." + std::to_string(run.repetition);
  return name;
}

std::string case_xml(const RunResult& run, const ThresholdOutcome& outcome) {
  std::string xml = fmt::format(
      "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", escape_markup(suite_name(run)),
      escape_markup(outcome.metric + " " + outcome.expression), run.wall_seconds);
  if (outcome.passed) return xml + "/>\n";
  const std::string observed = escape_markup(observed_text(outcome));
  return xml + fmt::format(
                   "><failure message=\"observed {}\">{} {}: observed {}</failure>"
                   "</testcase>\n",
                   observed, escape_markup(outcome.metric), escape_markup(outcome.expression),
                   observed);
}

/// A run that ended badly though every threshold held is a failure, too.
std::string ending_xml(const RunResult& run, Verdict verdict) {
  return fmt::format(
      "    <testcase classname=\"{}\" name=\"run\" time=\"{:.3f}\"><error message=\"{}\"/>"
      "</testcase>\n",
      escape_markup(suite_name(run)), run.wall_seconds, name_of(verdict));
}

}  // namespace

std::string junit_report(std::span<const RunResult> runs) {
  std::string suites;
  std::size_t total = 0;
  std::size_t all_failures = 0;
  std::size_t all_errors = 0;
  for (const RunResult& run : runs) {
    if (run.twin) continue;  // it measures the simulator, not a design
    const Verdict verdict = verdict_of(run);
    const std::size_t errors =
        verdict == Verdict::interrupted || verdict == Verdict::generator_saturated ? 1 : 0;
    const auto failures = static_cast<std::size_t>(std::ranges::count_if(
        run.thresholds, [](const ThresholdOutcome& outcome) { return !outcome.passed; }));
    suites += fmt::format(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3f}\" "
        "timestamp=\"{}\">\n",
        escape_markup(suite_name(run)), run.thresholds.size() + errors, failures, errors,
        run.wall_seconds, escape_markup(run.environment.started_utc));
    for (const ThresholdOutcome& outcome : run.thresholds) suites += case_xml(run, outcome);
    if (errors > 0) suites += ending_xml(run, verdict);
    suites += "  </testsuite>\n";
    total += run.thresholds.size() + errors;
    all_failures += failures;
    all_errors += errors;
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"clamor\" tests=\"{}\" "
      "failures=\"{}\" errors=\"{}\">\n{}</testsuites>\n",
      total, all_failures, all_errors, suites);
}

}  // namespace clamor::report
