#include "reports/model/variation.hpp"

#include "reports/model/wording.hpp"
#include "server/base/assert.hpp"

#include <algorithm>
#include <cmath>

namespace clamor::report {
namespace {

using scenario::Away;
using scenario::GroupClass;
using scenario::Scenario;

std::uint32_t times(std::uint32_t n, double factor, std::uint32_t least, std::uint32_t most) {
  const double product = std::round(static_cast<double>(n) * factor);
  if (product <= static_cast<double>(least)) return least;
  return product >= static_cast<double>(most) ? std::max(least, most)
                                              : static_cast<std::uint32_t>(product);
}

Duration times(Duration d, double factor) {
  return Duration{
      static_cast<Duration::rep>(std::max(1.0, static_cast<double>(d.count()) * factor))};
}

bool vary_group_size(Scenario& s, double factor) {
  for (GroupClass& group : s.groups) {
    const std::uint32_t members = times(group.members, factor, 2, s.population.users);
    group.count = times(group.count, static_cast<double>(group.members) / members, 1,
                        scenario::population_max);
    group.members = members;
  }
  return !s.groups.empty();
}

bool vary_away(Scenario& s, double factor) {
  bool any = false;
  for (Away& away : s.population.away) {
    any = true;
    away.duration = times(away.duration, factor);
    // a period needs a moment online, or it would be no return
    if (away.kind == Away::Kind::repeating) {
      away.duration = std::min(away.duration, times(away.every, 0.95));
    }
  }
  for (GroupClass& group : s.groups) {
    any = any || group.online < 1;
    group.online = std::max(0.0, 1 - (1 - group.online) * factor);
  }
  return any;
}

bool vary_channels(Scenario& s, double factor) {
  for (GroupClass& group : s.groups) {
    group.count = times(group.count, factor, 1, scenario::population_max);
  }
  if (s.population.contacts > 0) {
    s.population.contacts = times(s.population.contacts, factor, 1, s.population.users - 1);
  }
  return !s.groups.empty() || s.population.contacts > 0;
}

bool vary_reconnects(Scenario& s, double factor) {
  const Duration end = measured_duration(s);
  bool any = false;
  for (Away& away : s.population.away) {
    any = true;
    if (away.kind == Away::Kind::repeating) {
      away.duration = times(away.duration, 1 / factor);
      away.every = std::max(times(away.every, 1 / factor), away.duration + Duration{1});
    } else if (factor < 1) {  // fewer leave, for longer
      away.share *= factor;
      away.duration = times(away.duration, 1 / factor);
    } else {  // as many leave, so many times, for as much shorter
      away = {Away::Kind::repeating,
              away.share,
              times(away.duration, 1 / factor),
              {},
              times(end, 1 / factor)};
      away.every = std::max(away.every, away.duration + Duration{1});
    }
  }
  for (scenario::Fault& fault : s.faults) {
    any = true;
    fault.share = std::min(1.0, fault.share * factor);
  }
  return any;
}

bool vary_messages(Scenario& s, double factor) {
  for (scenario::Workload& workload : s.workloads) workload.rate *= factor;
  return !s.workloads.empty();
}

}  // namespace

std::string_view name_of(Axis axis) {
  switch (axis) {
    case Axis::group_size:
      return "group size";
    case Axis::away:
      return "time away";
    case Axis::channels:
      return "channels a user";
    case Axis::reconnects:
      return "reconnects";
    case Axis::messages:
      return "messages";
  }
  return "?";
}

std::string value_on(Axis axis, const Region& region) {
  switch (axis) {
    case Axis::group_size:
      return sizes_text(region);
    case Axis::away:
      return short_number(region.online * 100) + " %";
    case Axis::channels:
      return short_number(region.channels_per_user);
    case Axis::reconnects:
      return short_number(region.reconnects_per_user_hour);
    case Axis::messages:
      return short_number(region.messages_per_user_hour);
  }
  return "";
}

std::string place_text(Axis axis, const std::string& value) {
  switch (axis) {
    case Axis::group_size:
      return "groups of " + value + " members";
    case Axis::away:
      return value + " of users online";
    case Axis::channels:
      return value + " channels a user";
    case Axis::reconnects:
      return value + " reconnects per user and hour";
    case Axis::messages:
      return value + " messages per user and hour";
  }
  return "";
}

std::optional<Scenario> vary(const Scenario& scenario, Axis axis, double factor) {
  CLAMOR_ASSERT(factor > 0);
  if (is_trace(scenario)) return std::nullopt;
  Scenario out = scenario;
  const bool any = axis == Axis::group_size   ? vary_group_size(out, factor)
                   : axis == Axis::away       ? vary_away(out, factor)
                   : axis == Axis::channels   ? vary_channels(out, factor)
                   : axis == Axis::reconnects ? vary_reconnects(out, factor)
                                              : vary_messages(out, factor);
  if (!any) return std::nullopt;
  return out;
}

}  // namespace clamor::report
