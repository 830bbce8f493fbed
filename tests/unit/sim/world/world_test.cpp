#include "sim/world/world.hpp"

#include "scenarios/model/plan.hpp"
#include "server/core/limits.hpp"
#include "tests/parity/differences.hpp"
#include "tests/parity/naive_counts.hpp"
#include "tests/parity/town.hpp"
#include "tests/unit/sim/world/small_town.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <rapidcheck/gtest.h>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace clamor::sim {
namespace {

using namespace std::chrono_literals;
using parity::naive_counts;
using scenario::Plan;
using scenario::Scenario;

/// The scenario under the first seed that gives a quiet plan (NaiveCount::quiet).
Plan quiet_plan(Scenario scenario, Duration margin) {
  for (scenario.seed = 1; scenario.seed < 20'000; ++scenario.seed) {
    Plan plan{scenario};
    if (parity::NaiveCount{plan, {QueueDesign::per_group}}.quiet(margin)) return plan;
  }
  throw std::runtime_error{"no seed gives this scenario a quiet plan"};
}

report::RunResult simulate(const Plan& plan, DesignSpec design) {
  const Topology topology{plan};
  WorldSettings settings;
  settings.design = design;
  settings.costs = round_costs();
  World world{topology, settings};
  world.run();
  return world.result();
}

TEST(World, CountsWhatANaiveLoopOverThePlanCountsUnderEveryDesign) {
  Scenario scenario = small_town();
  scenario.workloads[0].rate = 4;  // few enough for quiet points
  scenario.population.away[0].share = 0.08;
  scenario.population.away[1].share = 0.04;
  scenario.population.typing = 10ms;
  scenario.workloads[0].kinds = {0.5, 0.1, 0.1, 0.15, 0.15};
  scenario.workloads[0].kinds_after = 700ms;
  scenario.workloads[0].mentions = 0.3;
  for (const std::uint32_t clients_per_server : {1000U, 20U}) {
    scenario.deployment.clients_per_server = clients_per_server;
    const Plan plan = quiet_plan(scenario, 5ms);
    for (const DesignSpec& design : all_designs) {
      const report::RunResult simulated = simulate(plan, design);
      EXPECT_EQ(simulated.deployment.servers, clients_per_server == 20 ? 8U : 1U);
      const Operations naive = naive_counts(plan, design);
      EXPECT_GT(naive.catch_up_deliveries, 0U);
      EXPECT_GT(naive.edits * naive.deletions * naive.reactions * naive.replies, 0U);
      EXPECT_GT(naive.mentions * naive.typing_notices * naive.typing_deliveries, 0U);
      EXPECT_EQ(parity::joined(parity::differences(simulated.operations, naive)), "")
          << name_of(design.design);
      EXPECT_EQ(simulated.operations.typing_notices, naive.typing_notices);
      EXPECT_EQ(simulated.operations.typing_deliveries, naive.typing_deliveries);
    }
  }
}

TEST(World, UnderAdaptiveQueuesFollowWhoComesBackAsANaiveLoopOverThePlanSays) {
  const DesignSpec adaptive{.design = QueueDesign::adaptive, .window = window_min};
  Scenario scenario = parity::commuters(1);
  for (const std::uint32_t clients_per_server : {1000U, 4U}) {
    scenario.deployment.clients_per_server = clients_per_server;
    scenario.ack_after = AckAfter::log;
    const Plan plan = quiet_plan(scenario, 25ms);  // Entries are applied within them.
    const Operations naive = naive_counts(plan, adaptive);
    EXPECT_GT(naive.mode_records, 1U);
    EXPECT_GT(naive.queue_entries, naive.mode_records);
    EXPECT_GT(naive.queue_scans, 0U);
    EXPECT_GT(naive.log_scans, 0U);
    const report::RunResult simulated = simulate(plan, adaptive);
    EXPECT_EQ(parity::joined(parity::differences(simulated.operations, naive)), "")
        << clients_per_server;
    EXPECT_EQ(simulated.ledger.delivered, naive.expected_deliveries);

    // What has entries goes to its sender as well, before its ack.
    scenario.ack_after = AckAfter::fanout;
    const report::RunResult late = simulate(Plan{scenario}, adaptive);
    EXPECT_GT(late.ledger.echoed, 0U);
    EXPECT_EQ(late.ledger.delivered, late.ledger.expected);
    EXPECT_GT(late.operations.mode_records, 0U);
  }
}

/// Three servers; a hall above the threshold of 20 and rooms below it. While some are away every
/// channel gets messages.
Scenario campus() {
  Scenario scenario = small_town();
  scenario.population.users = 60;
  scenario.population.devices = {{1, 1.0}};
  scenario.population.contacts = 0;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::once, .share = 0.3, .duration = 2s, .within = 500ms}};
  scenario.groups = {{.name = "hall", .count = 1, .members = 40},
                     {.name = "room", .count = 12, .members = 8}};
  scenario.deployment.clients_per_server = 20;
  scenario.workloads[0].start_time = 800ms;
  scenario.workloads[0].duration = 1s;
  scenario.workloads[0].rate = 600;
  scenario.workloads[0].mix = {{"hall", 0.1}, {"room", 0.9}};
  return scenario;
}

TEST(World, OperationsDifferBetweenTheDesignsAsTheirDefinitionsSay) {
  const Plan plan{campus()};
  const Topology topology{plan};
  ASSERT_EQ(topology.nodes(), 3U);
  const auto members = [&](std::uint32_t channel) { return topology.members_of(channel).size(); };
  std::vector<scenario::Send> sends;
  for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends);
  std::vector<std::uint64_t> messages(topology.channels());
  for (const scenario::Send& send : sends) ++messages[send.channel];
  ASSERT_EQ(std::count(messages.begin(), messages.end(), 0U), 0) << "each has news for a reconnect";

  for (const DesignSpec& design : all_designs) {
    const auto queued = [&](std::uint32_t channel) {
      if (design.design == QueueDesign::hybrid) return members(channel) <= design.threshold;
      if (design.design == QueueDesign::adaptive) return false;  // Everybody comes back once.
      return design.design != QueueDesign::per_group;
    };
    Operations expected;
    for (std::uint32_t channel = 0; channel < topology.channels(); ++channel) {
      for (std::uint32_t node = 0; node < topology.nodes(); ++node) {
        const bool interested = !topology.members_on(channel, node).empty();
        expected.record_node_pairs += interested ? messages[channel] : 0;
      }
      if (!queued(channel)) continue;
      expected.queue_entries += messages[channel] * members(channel);
      expected.record_user_partition_pairs +=
          messages[channel] * topology.user_partitions_of(channel);
    }
    for (std::uint32_t slot = 0; slot < topology.slots(); ++slot) {
      std::vector<scenario::Absence> absences;
      plan.absences(topology.user_of(slot), absences);
      const auto channels = topology.channels_of(slot);
      const auto with_queue = std::count_if(channels.begin(), channels.end(), queued);
      if (absences.empty()) continue;
      ++expected.logins;
      expected.head_comparisons += channels.size();
      const bool a_scan_a_channel = design.design == QueueDesign::per_member;
      expected.queue_scans += static_cast<std::uint64_t>(
          a_scan_a_channel ? with_queue : std::min<std::ptrdiff_t>(with_queue, 1));
      expected.log_scans += channels.size() - static_cast<std::size_t>(with_queue);
    }
    const Operations counted = simulate(plan, design).operations;
    for (const auto counter :
         {&Operations::queue_entries, &Operations::record_node_pairs,
          &Operations::record_user_partition_pairs, &Operations::logins,
          &Operations::head_comparisons, &Operations::queue_scans, &Operations::log_scans}) {
      const auto* const named =
          std::find_if(operation_counters.begin(), operation_counters.end(),
                       [&](const OperationCounter& one) { return one.member == counter; });
      EXPECT_EQ(counted.*counter, expected.*counter)
          << named->name << " under " << name_of(design.design);
    }
  }
}

TEST(World, TheSameSeedGivesTheSameBytesAndAnotherSeedDoesNot) {
  Scenario scenario = small_town();
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4s, .share = 0.5}};
  const Plan plan{scenario};
  scenario.seed = 8;
  const Plan other{scenario};
  for (const DesignSpec& design : all_designs) {
    const std::uint64_t hash = simulate(plan, design).result_hash;
    EXPECT_EQ(simulate(plan, design).result_hash, hash) << name_of(design.design);
    EXPECT_NE(simulate(other, design).result_hash, hash) << name_of(design.design);
  }
  EXPECT_NE(simulate(plan, all_designs[0]).result_hash, simulate(plan, all_designs[2]).result_hash);
}

TEST(World, APreFillIsHeldByEverybodyAndCountsForNothing) {
  Scenario scenario = small_town();
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4s, .share = 0.5}};
  const Plan empty{scenario};
  scenario.prefill_messages = 5'000;
  const Plan filled{scenario};
  for (const DesignSpec& design : all_designs) {
    const report::RunResult a = simulate(empty, design);
    const report::RunResult b = simulate(filled, design);
    for (const OperationCounter& counter : operation_counters) {
      // who filled has registered before the window, and is a server's to wake
      if (counter.counter_class != CounterClass::logical) continue;
      // With other ids its windows end at other messages.
      if (design.design == QueueDesign::adaptive) continue;
      EXPECT_EQ(a.operations.*counter.member, b.operations.*counter.member) << counter.name;
    }
    if (design.design != QueueDesign::adaptive) {
      EXPECT_EQ(a.operations.catch_up_deliveries, b.operations.catch_up_deliveries);
      EXPECT_EQ(a.ledger.delivered, b.ledger.delivered);
    }
    EXPECT_EQ(a.prefill, report::Prefill{});
    EXPECT_EQ(b.prefill.records, 5'000U);
    EXPECT_EQ(b.prefill.queue_entries, (parity::NaiveCount{filled, design}.prefill_entries()));
  }
}

TEST(World, CopiesInTheQueuesTakeTheLogOutOfACatchUpAndCostBytes) {
  Scenario scenario = small_town();
  const Operations named = simulate(Plan{scenario}, {QueueDesign::per_user}).operations;
  scenario.payload = QueuePayload::copy;
  const Operations copied = simulate(Plan{scenario}, {QueueDesign::per_user}).operations;
  EXPECT_GT(named.log_gets, 0U);
  EXPECT_GT(named.log_seeks, 0U);
  EXPECT_EQ(copied.log_gets, 0U);
  EXPECT_EQ(copied.log_seeks, 0U);
  EXPECT_EQ(copied.queue_entries, named.queue_entries);
  EXPECT_GT(copied.queue_bytes, named.queue_bytes + copied.queue_entries * 40);
}

std::uint64_t ack_p50_ns(const report::RunResult& run) {
  return report::select_histogram(run, "ack_latency", {}).quantile(0.5);
}

TEST(World, AcksAfterTheFanOutFollowTheQueuesAndChangeNothingElse) {
  Scenario scenario = small_town();
  for (const std::uint32_t clients_per_server : {1000U, 20U}) {
    scenario.deployment.clients_per_server = clients_per_server;
    for (const DesignSpec& design : all_designs) {
      if (design.design == QueueDesign::adaptive) continue;  // Few have a queue: see above.
      scenario.ack_after = AckAfter::log;
      const report::RunResult log = simulate(Plan{scenario}, design);
      scenario.ack_after = AckAfter::fanout;
      const report::RunResult fanout = simulate(Plan{scenario}, design);
      EXPECT_EQ(fanout.ledger.acknowledged, log.ledger.acknowledged);
      EXPECT_EQ(fanout.ledger.delivered, log.ledger.delivered);
      EXPECT_EQ(fanout.operations.queue_entries, log.operations.queue_entries);
      if (design.design == QueueDesign::per_group) {
        EXPECT_EQ(fanout.result_hash, log.result_hash);
        continue;
      }
      // A sender's session gets its record before the ack does.
      EXPECT_GT(fanout.ledger.echoed, fanout.ledger.acknowledged / 2) << name_of(design.design);
      EXPECT_GT(ack_p50_ns(fanout), ack_p50_ns(log) + 10'000'000) << name_of(design.design);
    }
  }
}

TEST(World, QueuesKeepRowsOnlyForMembersOfWhomADeviceIsAway) {
  Scenario scenario = small_town();
  const Operations some_away = simulate(Plan{scenario}, {QueueDesign::per_user}).operations;
  EXPECT_GT(some_away.queue_bytes_trimmed, 0U);
  EXPECT_LT(some_away.queue_bytes_trimmed, some_away.queue_bytes);
  EXPECT_GT(some_away.device_acks, some_away.logins);
  scenario.population.away.clear();
  scenario.groups.pop_back();  // Its members are away all the time.
  scenario.workloads[0].mix = {{"direct", 0.4}, {"pair", 0.3}, {"hall", 0.3}};
  const Operations nobody_away = simulate(Plan{scenario}, {QueueDesign::per_user}).operations;
  EXPECT_GT(nobody_away.queue_bytes, 0U);
  EXPECT_EQ(nobody_away.queue_bytes_trimmed, nobody_away.queue_bytes);
}

TEST(World, AQueueBeyondItsBoundIsReadFromTheLog) {
  Scenario scenario = small_town();
  scenario.population.devices = {{1, 1.0}};
  scenario.groups = {{.name = "hall", .count = 1, .members = 60, .online = 0.25}};
  scenario.workloads[0].mix = {{"hall", 1}};
  scenario.workloads[0].rate = 12'000;
  scenario.workloads[0].duration = 6s;
  const Operations below = simulate(Plan{scenario}, {QueueDesign::per_user}).operations;
  EXPECT_GT(below.log_gets, 45 * below.records / 2);
  scenario.workloads[0].duration = 9s;
  const Operations above = simulate(Plan{scenario}, {QueueDesign::per_user}).operations;
  EXPECT_GT(above.records, core::queue_entries_max);
  EXPECT_GE(above.log_scans, 45U) << "each of those who come at the end";
  EXPECT_LT(above.log_gets, above.records) << "no queue names what they lack";
}

TEST(World, LogicalCountsDoNotDependOnTheNumberOfServers) {
  Scenario scenario = small_town();
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4s, .share = 0.5}};
  const report::RunResult one = simulate(Plan{scenario}, {QueueDesign::per_group});
  scenario.deployment.clients_per_server = 20;
  const report::RunResult many = simulate(Plan{scenario}, {QueueDesign::per_group});
  EXPECT_EQ(one.deployment.servers, 1U);
  EXPECT_EQ(many.deployment.servers, 8U);
  EXPECT_EQ(one.operations.records, many.operations.records);
  EXPECT_EQ(one.ledger.expected, many.ledger.expected);
  EXPECT_EQ(one.ledger.delivered, many.ledger.delivered);
  EXPECT_EQ(one.operations.bus_frames, 0U);
  EXPECT_GT(many.operations.bus_frames, many.operations.records);
}

TEST(World, ADisconnectedClientReconnectsWithBackOffAndLosesNothing) {
  Scenario scenario = small_town();
  scenario.population.away.clear();
  scenario.groups[2].online = 1;
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4s, .share = 0.5}};
  const Plan plan{scenario};
  const report::RunResult result = simulate(plan, {QueueDesign::per_user});
  std::uint64_t hit = 0;
  for (std::uint32_t client = 0; client < plan.clients(); ++client) hit += plan.hits(0, client);
  EXPECT_EQ(result.operations.logins, hit);
  EXPECT_EQ(result.ledger.lost, 0U);
  EXPECT_EQ(result.ledger.acknowledged, plan.send_count());
  const Histogram& catch_up = result.histograms.at("catch_up_latency");
  EXPECT_EQ(catch_up.count(), hit);
  EXPECT_LT(catch_up.max(), 100'000'000U) << "measured from the attempt, not from the outage";
  EXPECT_LT(result.series[3].connected, plan.clients() + 1);
  EXPECT_EQ(result.series[7].connected, plan.clients()) << "everybody is back";
}

// The server's own decision: 300 messages a second at a committer that takes 125.
TEST(World, AnOverloadedServerRefusesSendsWhichComeAgainAndLosesNothing) {
  Scenario scenario = small_town();
  scenario.population.away.clear();
  scenario.workloads[0].rate = 300;
  scenario.workloads[0].duration = 12s;
  const Plan plan{scenario};
  const Topology topology{plan};
  WorldSettings settings;
  settings.design = {QueueDesign::per_group};
  settings.costs = round_costs();
  settings.costs.commit_record_ns = 8e6;
  World world{topology, settings};
  world.run();
  const report::RunResult result = world.result();
  EXPECT_GT(result.operations.messages_refused, 0U);
  EXPECT_EQ(result.operations.logins_refused, 0U) << "all were there before";
  EXPECT_EQ(result.ledger.lost, 0U);
  EXPECT_EQ(result.ledger.acknowledged, plan.send_count());
}

// Logins that take 10 ms each, all at once: those that come while it is behind are turned away.
TEST(World, AStormOfLoginsIsTurnedAwayUntilTheServerHasCaughtUp) {
  Scenario scenario = small_town();
  scenario.population.away.clear();
  scenario.population.users = 600;
  scenario.groups[2].online = 1;
  scenario.workloads[0].duration = 20s;
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4s, .share = 1}};
  const Plan plan{scenario};
  const Topology topology{plan};
  WorldSettings settings;
  settings.design = {QueueDesign::per_group};
  settings.costs = round_costs();
  settings.costs.accept_ns = 5e6;
  settings.costs.login_ns = 5e6;
  World world{topology, settings};
  world.run();
  const report::RunResult result = world.result();
  EXPECT_GT(result.operations.logins_refused, 0U);
  EXPECT_EQ(result.series[18].connected, plan.clients()) << "everybody is back";
  EXPECT_EQ(result.ledger.lost, 0U);
  EXPECT_EQ(result.ledger.acknowledged, plan.send_count());
}

TEST(World, ABusyServerSleepsLessOftenThanItTurns) {
  Scenario scenario = small_town();
  const auto wakes_a_turn = [&](double rate) {
    scenario.workloads[0].rate = rate;
    const Operations counted = simulate(Plan{scenario}, {QueueDesign::per_group}).operations;
    return static_cast<double>(counted.wakes) / static_cast<double>(counted.turns);
  };
  EXPECT_GT(wakes_a_turn(2), 0.9) << "idle: it sleeps before almost every turn";
  EXPECT_LT(wakes_a_turn(20'000), 0.5) << "each turn finds what came in during the last one";
}

TEST(World, TheLastOfALargeGroupWaitsForTheFlushesBeforeIt) {
  for (const std::uint32_t members : {50U, 500U}) {
    Scenario scenario = small_town();
    scenario.population = {.users = members};
    scenario.groups = {{.name = "hall", .count = 1, .members = members}};
    scenario.workloads[0].rate = 2;
    scenario.workloads[0].mix = {{"hall", 1}};
    const report::RunResult result = simulate(Plan{scenario}, {QueueDesign::per_group});
    const Histogram& latency = result.histograms.at("delivery_latency{group:hall,path:live}");
    const double flushes_ns = (members - 1) * 6000.0;
    EXPECT_GT(static_cast<double>(latency.max()), flushes_ns);
    EXPECT_LT(static_cast<double>(latency.max()), flushes_ns * 1.5 + 200'000);
    EXPECT_GT(result.operations.flushes, result.ledger.delivered);
  }
}

TEST(World, TheFanOutLagIsThatOfTheWorstServer) {
  Scenario scenario = small_town();
  scenario.workloads[0].rate = 2000;
  scenario.workloads[0].duration = 2s;
  const std::uint64_t one =
      simulate(Plan{scenario}, {QueueDesign::per_user}).server.fan_out_lag_max;
  scenario.deployment.clients_per_server = 20;
  const report::RunResult many = simulate(Plan{scenario}, {QueueDesign::per_user});
  EXPECT_GT(many.server.fan_out_lag_max, 0U);
  EXPECT_LT(many.server.fan_out_lag_max, one);
  for (const report::SeriesPoint& point : many.series) {
    EXPECT_LE(point.fan_out_lag, many.server.fan_out_lag_max);
  }
}

TEST(World, ACatchUpThatCannotHoldWhatComesMeanwhileReadsAnotherRound) {
  Scenario scenario = small_town();
  scenario.population = {.users = 30, .contacts = 0};
  scenario.groups = {{.name = "hall", .count = 1, .members = 30}};
  scenario.workloads[0].rate = 2000;
  scenario.workloads[0].mix = {{"hall", 1}};
  scenario.workloads[0].duration = 4s;
  scenario.reconnect.base = 2s;  // 2,000 records and more: several pages, far between
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 500ms, .share = 0.3},
                     {.mode = scenario::Fault::Mode::reset, .at = 2600ms, .share = 0.5}};
  for (const std::uint32_t clients_per_server : {1000U, 10U}) {
    scenario.deployment.clients_per_server = clients_per_server;
    const Plan plan{scenario};
    ASSERT_EQ(plan.channels(), 1U);
    const Topology topology{plan};
    WorldSettings settings;
    settings.design = {QueueDesign::per_group};
    settings.costs = round_costs();
    for (const CostCoefficient& one : cost_coefficients) settings.costs.*one.member *= 0.01;
    settings.costs.client_delay_ns = 100'000'000;
    World world{topology, settings};
    world.run();  // checks that everybody got everything once
    const report::RunResult result = world.result();
    EXPECT_EQ(result.ledger.lost, 0U);
    EXPECT_GT(result.operations.head_comparisons, result.operations.logins)
        << "no second round over the one channel";
  }
}

TEST(World, AnInterruptEndsTheLayOut) {
  const Plan plan{small_town()};
  EXPECT_THROW(Topology(plan, [] { return true; }), LayOutInterrupted);
  const Topology topology{plan};
  WorldSettings settings;
  settings.costs = round_costs();
  settings.interrupted = [] { return true; };
  World world{topology, settings};
  world.run();
  const report::RunResult result = world.result();
  EXPECT_TRUE(result.interrupted);
  EXPECT_FALSE(result.ledger_complete);
  EXPECT_EQ(result.sim->events, 0U);
}

TEST(World, AnEarlyEndStillBalances) {
  const Plan plan{small_town()};
  const Topology topology{plan};
  WorldSettings settings;
  settings.design = {QueueDesign::per_user};
  settings.costs = round_costs();
  settings.until = 3s;
  World world{topology, settings};
  world.run();
  const report::RunResult result = world.result();
  EXPECT_EQ(result.duration_seconds, 3);
  EXPECT_EQ(result.series.size(), 3U);
  EXPECT_LT(result.ledger.sent, plan.send_count());
  EXPECT_EQ(result.ledger.expected, result.ledger.delivered);
}

TEST(World, TracesTheTimelineOfOneUser) {
  const Plan plan{small_town()};
  const Topology topology{plan};
  std::vector<std::string> lines;
  WorldSettings settings;
  settings.costs = round_costs();
  settings.trace_user = 3;
  settings.trace = [&lines](std::string_view line) { lines.emplace_back(line); };
  World world{topology, settings};
  world.run();
  ASSERT_FALSE(lines.empty());
  for (const std::string& line : lines) EXPECT_NE(line.find("user 3 "), std::string::npos) << line;
}

/// Everything at once: several servers, overload, storms in the middle of catch-ups and absences.
/// World::run() checks conservation and Little's law; here it must also lose nothing.
RC_GTEST_PROP(World, BalancesUnderRandomPopulationsFaultsAndCosts, ()) {
  Scenario scenario = small_town();
  scenario.seed = *rc::gen::inRange<std::uint64_t>(1, 1'000'000);
  scenario.population.users = *rc::gen::inRange(60U, 200U);
  scenario.deployment.clients_per_server = *rc::gen::element(10U, 40U, 1000U);
  scenario.durability = *rc::gen::element(scenario::Durability::os, scenario::Durability::fsync);
  scenario.ack_after = *rc::gen::element(AckAfter::log, AckAfter::fanout);
  scenario.workloads[0].rate = *rc::gen::element(5.0, 100.0, 2000.0);
  scenario.workloads[0].duration = 3s;
  scenario.reconnect.base = *rc::gen::element<Duration>(1ms, 500ms);
  const auto faults = *rc::gen::inRange(0, 4);
  for (int fault = 0; fault < faults; ++fault) {
    const auto at_ms = *rc::gen::inRange(1, 2999);
    scenario.faults.push_back({.mode = scenario::Fault::Mode::reset,
                               .at = std::chrono::milliseconds{at_ms},
                               .share = *rc::gen::element(0.1, 0.5, 1.0)});
  }
  const Plan plan{scenario};
  const Topology topology{plan};
  WorldSettings settings;
  settings.design =
      *rc::gen::elementOf(std::vector<DesignSpec>(all_designs.begin(), all_designs.end()));
  settings.costs = round_costs();
  // Up to 40 times: servers that fall behind by seconds.
  const double slow = *rc::gen::element(0.1, 1.0, 40.0);
  for (const CostCoefficient& one : cost_coefficients) settings.costs.*one.member *= slow;
  World world{topology, settings};
  world.run();
  const report::RunResult result = world.result();
  RC_ASSERT(result.ledger.lost == 0U);
  RC_ASSERT(result.ledger.acknowledged == plan.send_count());
  RC_CLASSIFY(result.ledger.resends > 0, "resends");
  RC_CLASSIFY(result.ledger.echoed > 0, "echoes");
  RC_CLASSIFY(result.deployment.servers > 1, "several servers");
  RC_CLASSIFY(result.operations.duplicate_sends > 0, "duplicate sends");
}

}  // namespace
}  // namespace clamor::sim
