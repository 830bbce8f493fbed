#pragma once

#include <string>

namespace clamor::scenario {

/// Writes a whole text file, replacing what was there.
/// @throws ConfigError that says what stands in the way.
void write_text_file(const std::string& path, const std::string& text);

/// The scenario's name that a file's name suggests: its stem, other characters replaced by -.
[[nodiscard]] std::string name_for(const std::string& path);

}  // namespace clamor::scenario
