#pragma once

#include "scenarios/model/plan.hpp"
#include "server/base/time.hpp"

#include <span>

namespace clamor::loadgen {

/// How long the recipient of a message was kept waiting: from `from` to `received`, less its
/// planned absences in between. Where `from` lies in an absence, that is the time since the
/// absence's end; a message due just before an absence does not count the absence either, and an
/// outage before or after one is never hidden. Absences are ascending and disjoint. O(absences).
[[nodiscard]] Duration waiting_time(std::span<const scenario::Absence> absences, Instant from,
                                    Instant received);

}  // namespace clamor::loadgen
