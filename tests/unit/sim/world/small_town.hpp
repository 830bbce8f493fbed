#pragma once

#include "scenarios/model/scenario.hpp"
#include "server/base/queue_design.hpp"
#include "server/core/member_mode.hpp"
#include "sim/world/costs.hpp"

#include <array>

// What the world's tests simulate.
namespace clamor::sim {

using namespace std::chrono_literals;

/// Round figures; what they are matters to no test that names none.
inline Costs round_costs() {
  Costs costs;
  for (const CostCoefficient& one : cost_coefficients) costs.*one.member = 1000;
  costs.flush_ns = 6000;
  costs.frame_in_byte_ns = costs.byte_out_ns = costs.commit_byte_ns = 1;
  costs.client_delay_ns = 20'000;
  costs.node_delay_ns = 50'000;
  return costs;
}

/// Directs, small and large groups, two devices, planned absences, dormant members.
inline scenario::Scenario small_town() {
  scenario::Scenario scenario;
  scenario.name = "small-town";
  scenario.seed = 7;
  scenario.population.users = 120;
  scenario.population.devices = {{1, 0.8}, {2, 0.2}};
  scenario.population.contacts = 2;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::once, .share = 0.3, .duration = 2s, .within = 3s},
      {.kind = scenario::Away::Kind::repeating, .share = 0.2, .duration = 1s, .every = 2500ms}};
  scenario.groups = {{.name = "pair", .count = 20, .members = 3},
                     {.name = "hall", .count = 1, .members = 60},
                     {.name = "archive", .count = 1, .members = 40, .online = 0.25}};
  scenario.deployment = {.cores = 1, .clients_per_server = 1000};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 20;
  chat.duration = 8s;
  chat.mix = {{"direct", 0.4}, {"pair", 0.3}, {"hall", 0.2}, {"archive", 0.1}};
  scenario.workloads = {chat};
  return scenario;
}

inline constexpr std::array all_designs{
    DesignSpec{QueueDesign::per_user}, DesignSpec{QueueDesign::per_member},
    DesignSpec{QueueDesign::per_group}, DesignSpec{QueueDesign::hybrid, 20},
    DesignSpec{.design = QueueDesign::adaptive, .window = window_min}};

}  // namespace clamor::sim
