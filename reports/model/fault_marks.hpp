#pragma once

#include "scenarios/model/scenario.hpp"

#include <string>
#include <utility>
#include <vector>

namespace clamor::report {

/// The scenario's faults for RunResult::marks: seconds of the window, and what happens then in a
/// few words. A kill has a second mark for the start after it.
[[nodiscard]] std::vector<std::pair<double, std::string>> fault_marks(
    const scenario::Scenario& scenario);

}  // namespace clamor::report
