#pragma once

#include "scenarios/yaml/reader.hpp"
#include "server/base/queue_design.hpp"

#include <string>
#include <vector>

namespace clamor::scenario {

/// Of every queue design.
[[nodiscard]] const std::vector<std::string>& design_names();

/// Reads a design as files name it: `per_user`, `{hybrid: {threshold: 300}}`, `{adaptive: {window:
/// 32}}`. False where it names none; knobs that are wrong are reported and left as they were.
bool read_design(Faults& faults, const Node& node, DesignSpec& design);

/// The design as read_design reads it.
[[nodiscard]] std::string design_yaml(const DesignSpec& design);

}  // namespace clamor::scenario
