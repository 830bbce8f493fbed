#pragma once

#include <string>

namespace clamor::scenario {

/// A small scenario called `name` in which every key is explained.
[[nodiscard]] std::string starting_scenario(const std::string& name);

}  // namespace clamor::scenario
