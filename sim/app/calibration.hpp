#pragma once

#include "sim/world/costs.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace clamor::sim {

/// The calibration that was in sim/calibration.yaml when this program was built.
[[nodiscard]] Calibration default_calibration();

/// Reads a calibration file. Throws std::runtime_error that lists every error of the file as
/// `name:line:column: what was expected`: an unknown, missing, negative or non-numeric
/// coefficient, or another format.
[[nodiscard]] Calibration read_calibration(const std::filesystem::path& file);
/// The same for text; `name` stands in the errors.
[[nodiscard]] Calibration parse_calibration(std::string_view yaml, const std::string& name);

/// What an option --calibration means: the built-in one where `file` is empty.
/// @throws scenario::ConfigError that names the option and the file.
[[nodiscard]] Calibration calibration_argument(const std::filesystem::path& file);

/// Writes the format that parse_calibration reads.
[[nodiscard]] std::string to_yaml(const Calibration& calibration);

}  // namespace clamor::sim
