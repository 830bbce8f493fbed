#pragma once

#include "reports/model/comparison.hpp"

#include <string>
#include <vector>

namespace clamor::report {

/// Tells who wins under one engine, by what and by how much, who ties, who fails and why.
[[nodiscard]] std::string sentence_of(const EngineComparison& comparison);

/// A few words: "per_group wins, live and simulated".
[[nodiscard]] std::string headline_of(const std::vector<EngineComparison>& engines);

/// What the intervals are and what they are worth, or what cannot be said without them.
[[nodiscard]] std::string interval_text(const std::vector<EngineComparison>& engines);

}  // namespace clamor::report
