#include "scenarios/model/scenario.hpp"

#include "server/base/assert.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace clamor::scenario {

namespace {

/// 1e+25, not its digits.
std::string short_text(double number) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general, 6);
  return {text.data(), end.ptr};
}

std::uint32_t scaled_count(std::uint32_t count, double scale, const std::string& what) {
  const double product = std::max(1.0, std::round(count * scale));
  if (product > population_max) {
    throw ScaleError{what + ": " + std::to_string(count) + " times a scale of " +
                     short_text(scale) + " is more than " + std::to_string(population_max) +
                     "; use a smaller scale"};
  }
  return static_cast<std::uint32_t>(product);
}

}  // namespace

bool is_trace(const Scenario& scenario) {
  return std::any_of(scenario.workloads.begin(), scenario.workloads.end(),
                     [](const Workload& w) { return w.executor == Workload::Executor::trace; });
}

bool kills_servers(const Scenario& scenario) {
  return std::any_of(scenario.faults.begin(), scenario.faults.end(),
                     [](const Fault& fault) { return fault.kind == Fault::Kind::kill; });
}

bool sends_about(const Scenario& scenario) {
  return std::any_of(scenario.workloads.begin(), scenario.workloads.end(),
                     [](const Workload& w) { return w.kinds[0] < 1; });
}

Scenario scaled(const Scenario& scenario, double scale) {
  CLAMOR_ASSERT(scale > 0);
  Scenario out = scenario;
  if (scale == 1) return out;
  for (GroupClass& group : out.groups) {
    group.count = scaled_count(group.count, scale, "groups '" + group.name + "'");
  }
  if (is_trace(scenario)) {  // every copy brings its own users
    const GroupClass& channel = out.groups.front();
    out.population.users = scaled_count(channel.count, channel.members, "users");
    for (Workload& workload : out.workloads) workload.copies = channel.count;
    return out;
  }
  out.population.users = scaled_count(scenario.population.users, scale, "users");
  // Group sizes stay, so a small scale must leave enough users to fill the largest group.
  for (const GroupClass& group : out.groups) {
    out.population.users = std::max(out.population.users, group.members);
  }
  out.prefill_messages = static_cast<std::uint64_t>(
      std::llround(static_cast<double>(scenario.prefill_messages) * scale));
  for (Workload& workload : out.workloads) {
    workload.rate *= scale;
    if (planned_sends(workload, workload.duration) >= 1) continue;
    throw ScaleError{"workload '" + workload.name + "' at a scale of " + short_text(scale) +
                     " makes no message; use a larger scale"};
  }
  return out;
}

double planned_sends(const Workload& workload, Duration elapsed) {
  const double due = workload.rate * static_cast<double>(elapsed.count()) /
                     static_cast<double>(workload.time_unit.count());
  // `even` puts arrival k at (k + 0.5) / rate. The hair above undoes 0.3 * 10 = 2.999...
  const double shift = workload.arrivals == Arrivals::even ? 0.5 : 0.0;
  return std::floor(due + shift + 1e-6);
}

Duration measured_duration(const Scenario& scenario) {
  Duration longest{};
  for (const Workload& workload : scenario.workloads) {
    longest = std::max(longest, workload.start_time + workload.duration);
  }
  return longest;
}

}  // namespace clamor::scenario
