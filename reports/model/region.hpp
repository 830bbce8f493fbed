#pragma once

#include "reports/model/result.hpp"
#include "scenarios/model/plan.hpp"

namespace clamor::report {

/// Describes the world that a plan makes, so that a verdict can name where it holds. Large plans
/// are sampled evenly (by user, channel and block of sends): O(10^5) look-ups.
[[nodiscard]] Region region_of(const scenario::Plan& plan);

/// The population side of a deployment; servers and partitions stay as they are.
void describe_population(const scenario::Plan& plan, DeploymentFacts& out);

}  // namespace clamor::report
