#pragma once

#include "reports/model/comparison.hpp"
#include "reports/model/result.hpp"

#include <span>
#include <string>
#include <vector>

namespace clamor::report {

/// Checks that the runs of one engine had the same to work with: scenario, seed, memory budget,
/// servers and cores, durability, acks, payload, pre-fill, network path, machine, placement,
/// population. Answers
/// one sentence a difference; none means that they had. Nobody wins where they had not.
[[nodiscard]] std::vector<std::string> check_same_budget(std::span<const RunResult* const> runs);

/// What all designs had to work with under one engine: "1 server with 1 core, ...".
[[nodiscard]] std::string budget_text(const RunResult& run);

/// What the stores held when the window opened, by design: a sentence.
[[nodiscard]] std::string prefill_text(const EngineComparison& comparison);

/// In which order the runs of one engine were made: "repetition 1: per_group, per_user; ...".
/// Empty where the runs do not say.
[[nodiscard]] std::string order_text(const EngineComparison& comparison);

}  // namespace clamor::report
