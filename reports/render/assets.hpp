#pragma once

#include <string_view>

namespace clamor::report {

// What the page carries inside; embed.cmake makes the definitions from the files at build time.
extern const std::string_view uplot_js;    ///< node_modules/uplot
extern const std::string_view uplot_css;   ///< node_modules/uplot
extern const std::string_view report_js;   ///< report.js
extern const std::string_view report_css;  ///< report.css

}  // namespace clamor::report
