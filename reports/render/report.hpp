#pragma once

#include "reports/model/crossover.hpp"
#include "reports/model/result.hpp"

#include <span>
#include <string>
#include <string_view>

namespace clamor::report {

/// Renders runs of one scenario as one self-contained page: no request leaves it, tables read
/// without JavaScript, light and dark, fit to print. Charts by uPlot, carried inside.
/// @pre a run that is no twin.
/// `crossover`: where the verdict ends, if that was looked for.
[[nodiscard]] std::string html_report(std::span<const RunResult> runs,
                                      const Crossover* crossover = nullptr);

/// Renders the same document as Markdown: for a terminal, a wiki, a pull request.
[[nodiscard]] std::string markdown_report(std::span<const RunResult> runs,
                                          const Crossover* crossover = nullptr);

/// Renders every threshold of every run as a JUnit test case: for CI.
[[nodiscard]] std::string junit_report(std::span<const RunResult> runs);

/// The data behind the charts, as JSON: percentile curves and series by arm.
[[nodiscard]] std::string chart_data(std::span<const RunResult> runs);

/// Text for HTML and XML: & < > " ' escaped, control characters that XML forbids dropped.
[[nodiscard]] std::string escape_markup(std::string_view text);

}  // namespace clamor::report
