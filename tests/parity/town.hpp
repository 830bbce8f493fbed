#pragma once

#include "scenarios/model/plan.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/base/queue_design.hpp"
#include "tests/parity/naive_counts.hpp"

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace clamor::parity {

using namespace std::chrono_literals;

/// Of simulated time, around everything that a message must not overlap. (A live run takes the plan
/// in steps, and each step the time that it needs.)
inline constexpr Duration margin = 250ms;
inline constexpr std::uint32_t threshold = 20;

inline const std::vector<DesignSpec> all_designs{{QueueDesign::per_user},
                                                 {QueueDesign::per_member},
                                                 {QueueDesign::per_group},
                                                 {QueueDesign::hybrid, threshold}};

inline scenario::Workload messages(const char* name, double rate, Duration start,
                                   Duration duration) {
  scenario::Workload workload;
  workload.name = name;
  workload.rate = rate;
  workload.start_time = start;
  workload.duration = duration;
  workload.mix = {{"direct", 0.2}, {"pair", 0.1},  {"g19", 0.15},   {"g20", 0.15},
                  {"g21", 0.15},   {"g300", 0.15}, {"archive", 0.1}};
  // message, reply, reaction, edit, deletion
  workload.kinds = {0.5, 0.1, 0.1, 0.15, 0.15};
  workload.kinds_after = 300ms;
  workload.mentions = 0.3;
  return workload;
}

inline scenario::Scenario on_nodes(std::uint32_t nodes, scenario::Scenario scenario) {
  const std::uint32_t clients = scenario::Plan{scenario}.clients();
  scenario.deployment.clients_per_server = (clients + nodes - 1) / nodes;
  return scenario;
}

/// Groups around and far from the threshold, second devices, dormant members, absences that begin
/// and end by a clean close; later everybody is reset, and half of them are closed. Quiet points
/// stand around all of it: messages come while some are away, when all are back, and at the end.
inline scenario::Scenario town(std::uint32_t nodes) {
  scenario::Scenario scenario;
  scenario.name = "town";
  scenario.seed = 7;
  scenario.population.users = 320;
  scenario.population.devices = {{1, 0.8}, {2, 0.2}};
  scenario.population.contacts = 1;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::once, .share = 0.1, .duration = 2500ms, .within = 600ms}};
  scenario.population.typing = 100ms;
  scenario.groups = {{.name = "pair", .count = 6, .members = 2},
                     {.name = "g19", .count = 2, .members = 19},
                     {.name = "g20", .count = 2, .members = 20},
                     {.name = "g21", .count = 2, .members = 21},
                     {.name = "g300", .count = 1, .members = 300},
                     {.name = "archive", .count = 1, .members = 8, .online = 0.5}};
  scenario.deployment = {.cores = 1};
  scenario.workloads = {messages("while some are away", 30, 950ms, 1250ms),
                        messages("when they are back", 30, 3500ms, 750ms),
                        messages("after the faults", 30, 6500ms, 700ms)};
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4600ms, .share = 1},
                     {.mode = scenario::Fault::Mode::close, .at = 5500ms, .share = 0.5}};
  scenario.reconnect = {.base = 40ms, .cap = 200ms};
  return on_nodes(nodes, scenario);
}

/// Fewer users, and only the middle of the town's day: what a deliberate error needs to be seen.
inline scenario::Scenario village(std::uint32_t nodes) {
  scenario::Scenario scenario = town(1);
  scenario.name = "village";
  scenario.population.users = 60;
  std::erase_if(scenario.groups, [](const auto& group) { return group.name == "g300"; });
  scenario.workloads = {messages("while some are away", 40, 950ms, 1250ms),
                        messages("when they are back", 40, 3500ms, 1500ms)};
  for (scenario::Workload& workload : scenario.workloads) {
    workload.mix = {{"direct", 0.2}, {"pair", 0.1}, {"g19", 0.2}, {"g20", 0.2}, {"g21", 0.3}};
  }
  scenario.faults.clear();
  return on_nodes(nodes, scenario);
}

/// The village with messages alone. Before a record that is about another one the plan holds until
/// everybody has that: whoever lacks it would wait for a next one that shows the gap.
inline scenario::Scenario plain_village(std::uint32_t nodes) {
  scenario::Scenario scenario = village(nodes);
  scenario.population.typing = {};
  for (scenario::Workload& workload : scenario.workloads) {
    workload.kinds = scenario::Workload{}.kinds;
    workload.mentions = 0;
  }
  return scenario;
}

/// Under it members' modes change often.
inline constexpr DesignSpec adaptive{.design = QueueDesign::adaptive, .window = window_min};

/// Rooms, some of whose members come and go all the time.
inline scenario::Scenario commuters(std::uint32_t nodes) {
  scenario::Scenario scenario;
  scenario.name = "commuters";
  scenario.population.users = 10;
  scenario.population.devices = {{1, 0.8}, {2, 0.2}};
  scenario.population.contacts = 0;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::repeating, .share = 0.4, .duration = 1500ms, .every = 2500ms}};
  scenario.groups = {{.name = "room", .count = 2, .members = 5}};
  scenario.deployment = {.cores = 1};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 1.6;
  chat.duration = 60s;
  chat.mix = {{"room", 1}};
  scenario.workloads = {chat};
  scenario.reconnect = {.base = 40ms, .cap = 200ms};
  return on_nodes(nodes, scenario);
}

/// The scenario under the first seed that gives a quiet plan in which modes change often.
inline scenario::Plan plan_of_changes(scenario::Scenario scenario) {
  for (scenario.seed = 1; scenario.seed < 20'000; ++scenario.seed) {
    scenario::Plan plan{scenario};
    if (!NaiveCount{plan, adaptive}.quiet(25ms)) continue;
    if (naive_counts(plan, adaptive).mode_records >= 6) return plan;
  }
  throw std::runtime_error{"no seed gives " + scenario.name + " such a plan"};
}

/// Partners who are told of one another: some leave for longer than the second look takes; later
/// everybody is cut off and comes back at once.
inline scenario::Scenario square(std::uint32_t nodes) {
  scenario::Scenario scenario = village(1);
  scenario.name = "square";
  scenario.population.contacts = 3;
  scenario.population.presence_subscribe = 64;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::once, .share = 0.1, .duration = 3s, .within = 400ms}};
  scenario.heartbeat = {.interval = 1s, .offline_after = 4s, .offline_delay = 2s};
  scenario.workloads = {messages("after the faults", 40, 6s, 500ms)};
  scenario.workloads.front().mix = {{"direct", 0.4}, {"g19", 0.2}, {"g20", 0.2}, {"g21", 0.2}};
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4600ms, .share = 1},
                     {.mode = scenario::Fault::Mode::close, .at = 5200ms, .share = 0.5}};
  return on_nodes(nodes, scenario);
}

}  // namespace clamor::parity
