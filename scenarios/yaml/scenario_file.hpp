#pragma once

#include "scenarios/model/scenario.hpp"
#include "scenarios/yaml/config_error.hpp"

#include <string>

namespace clamor::scenario {

/// Reads a scenario file: a frozen scenario with every default filled in, or all its faults.
[[nodiscard]] Parsed<Scenario> read_scenario(const std::string& path);

/// As read_scenario, from text. `file` names it in messages; relative paths in it start from
/// `directory`.
[[nodiscard]] Parsed<Scenario> parse_scenario(const std::string& text, const std::string& file,
                                              const std::string& directory);

/// What a SCENARIO argument means: a file, or else a scenario of the catalogue by name.
/// @throws ConfigError with every fault.
[[nodiscard]] Scenario load_scenario(const std::string& path_or_name);

/// The scenario with all its defaults, as YAML that reads back to the same plan.
[[nodiscard]] std::string write_effective(const Scenario& scenario);

}  // namespace clamor::scenario
