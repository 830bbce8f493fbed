#pragma once

#include "reports/model/result.hpp"
#include "scenarios/model/scenario.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clamor::report {

/// What a verdict may depend on: the directions in which a crossover is looked for.
enum class Axis : std::uint8_t { group_size, away, channels, reconnects, messages };
inline constexpr std::array axes{Axis::group_size, Axis::away, Axis::channels, Axis::reconnects,
                                 Axis::messages};

/// "group size", "time away", "channels a user", "reconnects", "messages".
[[nodiscard]] std::string_view name_of(Axis axis);

/// Where a region stands on the axis: "2–600", "43 %".
[[nodiscard]] std::string value_on(Axis axis, const Region& region);
/// Such a value in a sentence: "groups of 2–600 members", "43 % of users online".
[[nodiscard]] std::string place_text(Axis axis, const std::string& value);

/// The scenario with one thing multiplied by about `factor`, all others kept as far as they can be:
///  group_size  members of every group, their number shrinking as much, so that a user stays in as
///              many; no group outgrows the population
///  away        time that users spend away, at the same number of returns, and the members of a
///              class that never connect
///  channels    groups and contacts
///  reconnects  returns, at the same time away, and the share that a fault disconnects
///  messages    the rate of every workload
/// Nothing where the scenario has nothing there to multiply, or replays a trace.
/// @pre factor > 0.
[[nodiscard]] std::optional<scenario::Scenario> vary(const scenario::Scenario& scenario, Axis axis,
                                                     double factor);

}  // namespace clamor::report
