// Servers that die: what the world loses with them, and what it does again.

#include "scenarios/model/plan.hpp"
#include "sim/world/world.hpp"
#include "tests/unit/sim/world/small_town.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <rapidcheck/gtest.h>
#include <utility>
#include <vector>

namespace clamor::sim {
namespace {

using scenario::Fault;
using scenario::Plan;
using scenario::Scenario;

struct Ran {
  report::RunResult result;
  std::uint64_t undone = 0;
};

Ran simulate(const Plan& plan, DesignSpec design, const Costs& costs = round_costs()) {
  const Topology topology{plan};
  WorldSettings settings;
  settings.design = design;
  settings.costs = costs;
  World world{topology, settings};
  world.run();
  return {world.result(), world.undone_records()};
}

Fault kill_at(Duration at, double share, Duration restart_after) {
  return {.kind = Fault::Kind::kill, .at = at, .share = share, .restart_after = restart_after};
}

/// Everybody is there, on four servers.
Scenario large_town() {
  Scenario scenario = small_town();
  scenario.population.away.clear();
  scenario.groups[2].online = 1;
  scenario.deployment.clients_per_server = 36;
  scenario.workloads[0].rate = 200;
  return scenario;
}

TEST(Kills, ASharePicksServersAndAtLeastOne) {
  Scenario scenario = large_town();
  scenario.faults = {kill_at(1s, 0.5, 1s),
                     kill_at(3s, 0.01, 1s),
                     {.mode = Fault::Mode::reset, .at = 6s, .share = 1}};
  const Plan plan{scenario};
  const auto killed = [&](std::uint32_t fault) {
    std::uint32_t count = 0;
    for (std::uint32_t server = 0; server < 8; ++server) count += plan.kills(fault, server, 8);
    return count;
  };
  EXPECT_EQ(killed(0), 4U);
  EXPECT_EQ(killed(1), 1U);
  EXPECT_EQ(killed(2), 0U) << "a disconnect kills nothing";
  EXPECT_FALSE(plan.hits(0, 0)) << "whom a kill cuts off the placement says";
}

TEST(Kills, ItsClientsComeBackWhenTheServerIsThereAndNothingIsLost) {
  Scenario scenario = large_town();
  scenario.faults = {kill_at(2s, 0.25, 3s)};
  const Plan plan{scenario};
  const Topology topology{plan};
  ASSERT_EQ(topology.nodes(), 4U);
  std::uint64_t clients = 0;
  for (std::uint32_t node = 0; node < 4; ++node) {
    if (plan.kills(0, node, 4))
      clients += topology.first_slot(node + 1) - topology.first_slot(node);
  }
  for (const DesignSpec& design : all_designs) {
    const auto [result, undone] = simulate(plan, design);
    EXPECT_EQ(result.ledger.lost, 0U);
    EXPECT_EQ(result.ledger.acknowledged, plan.send_count());
    EXPECT_GT(result.ledger.resends, 0U) << "sends to channels of the dead server are refused";
    const Histogram& recovery = result.histograms.at("recovery_latency");
    EXPECT_EQ(recovery.count(), clients) << name_of(design.design);
    EXPECT_GE(recovery.min(), 3'000'000'000U) << "nobody before the server is";
    EXPECT_LT(recovery.max(), 9'000'000'000U) << "back-off of 5 s at most";
    EXPECT_EQ(result.series[3].connected, plan.clients() - clients) << "nobody else is cut off";
    EXPECT_EQ(result.histograms.at("delivery_latency{group:hall,path:live}").min() < 1'000'000,
              true);
  }
}

TEST(Kills, WhatWasNotInTheLogIsSentAgain) {
  Scenario scenario = large_town();
  scenario.durability = scenario::Durability::fsync;
  scenario.faults = {kill_at(2s, 1, 1s)};
  const Plan plan{scenario};
  Costs costs = round_costs();
  costs.commit_fsync_ns = 1e8;
  for (const DesignSpec& design : all_designs) {
    const auto [result, undone] = simulate(plan, design, costs);
    EXPECT_GT(undone, 0U) << "the kill did not bite";
    EXPECT_EQ(result.ledger.lost, 0U);
    EXPECT_EQ(result.ledger.acknowledged, plan.send_count());
    EXPECT_EQ(result.operations.records - result.operations.mode_records, plan.send_count())
        << "nothing twice";
  }
}

TEST(Kills, QueueEntriesInMemoryAreMadeAgain) {
  Scenario scenario = large_town();
  const Plan calm{scenario};
  scenario.faults = {kill_at(2s, 0.5, 2s)};
  const Plan plan{scenario};
  const DesignSpec design{QueueDesign::per_user};
  const report::RunResult without = simulate(calm, design).result;
  const report::RunResult with = simulate(plan, design).result;
  EXPECT_EQ(with.operations.queue_entries, without.operations.queue_entries) << "counted once";
  EXPECT_GT(with.server.fan_out_lag_max, 50U) << "entries for users of the dead servers wait";
  EXPECT_LT(without.server.fan_out_lag_max, 20U);
}

TEST(Kills, TheSameKillGivesTheSameBytes) {
  Scenario scenario = large_town();
  scenario.faults = {kill_at(2s, 0.5, 1s), kill_at(5s, 1, 1s)};
  const Plan plan{scenario};
  EXPECT_EQ(simulate(plan, {QueueDesign::hybrid, 20}).result.result_hash,
            simulate(plan, {QueueDesign::hybrid, 20}).result.result_hash);
}

/// Kills among storms, absences, catch-ups and overload. World::run() checks conservation and
/// Little's law; here it must also lose nothing.
RC_GTEST_PROP(Kills, BalanceUnderRandomPopulationsFaultsAndCosts, ()) {
  Scenario scenario = small_town();
  scenario.seed = *rc::gen::inRange<std::uint64_t>(1, 1'000'000);
  scenario.population.users = *rc::gen::inRange(60U, 200U);
  scenario.population.presence_subscribe = *rc::gen::element(0U, 16U);
  scenario.deployment.clients_per_server = *rc::gen::element(10U, 40U, 1000U);
  scenario.durability = *rc::gen::element(scenario::Durability::os, scenario::Durability::fsync);
  scenario.ack_after = *rc::gen::element(AckAfter::log, AckAfter::fanout);
  scenario.payload = *rc::gen::element(QueuePayload::reference, QueuePayload::copy);
  scenario.prefill_messages = *rc::gen::element(0U, 200U);
  scenario.workloads[0].rate = *rc::gen::element(5.0, 100.0, 2000.0);
  scenario.workloads[0].duration = 4s;
  scenario.reconnect.base = *rc::gen::element<Duration>(1ms, 500ms);
  Duration at{};
  const auto kills = *rc::gen::inRange(1, 3);
  for (int kill = 0; kill < kills; ++kill) {
    at += std::chrono::milliseconds{*rc::gen::inRange(100, 1200)};
    const std::chrono::milliseconds down{*rc::gen::inRange(500, 700)};
    scenario.faults.push_back(kill_at(at, *rc::gen::element(0.1, 0.5, 1.0), down));
    at += down;
  }
  scenario.faults.push_back({.mode = Fault::Mode::reset,
                             .at = std::chrono::milliseconds{*rc::gen::inRange(1, 3999)},
                             .share = 0.3});
  const Plan plan{scenario};
  const DesignSpec design =
      *rc::gen::elementOf(std::vector<DesignSpec>(all_designs.begin(), all_designs.end()));
  Costs costs = round_costs();
  costs.queue_byte_ns = 1;
  const double slow = *rc::gen::element(0.1, 1.0, 40.0);
  for (const CostCoefficient& one : cost_coefficients) costs.*one.member *= slow;
  if (*rc::gen::arbitrary<bool>()) costs.commit_fsync_ns = 2e7;
  const auto [result, undone] = simulate(plan, design, costs);
  RC_ASSERT(result.ledger.lost == 0U);
  // Under ack_after: fanout a resend may be overtaken by 64 later ones while its ack waits.
  const bool overtaken = scenario.ack_after == AckAfter::fanout;
  RC_ASSERT(overtaken || result.ledger.indeterminate == 0U);
  RC_ASSERT(result.ledger.acknowledged + result.ledger.indeterminate == plan.send_count());
  RC_CLASSIFY(undone > 0, "records undone");
  RC_CLASSIFY(result.deployment.servers > 1, "several servers");
}

}  // namespace
}  // namespace clamor::sim
