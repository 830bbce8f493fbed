// One scenario in which a server dies, live and simulated.

#include "loadgen/app/load.hpp"
#include "reports/model/thresholds.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "sim/app/calibration.hpp"
#include "sim/app/simulate.hpp"
#include "tests/designs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <gmock/gmock.h>
#include <string>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;
using scenario::Fault;
using testing::HasSubstr;

constexpr Duration down = 1s;

/// Three servers, one of which is killed; later all of them.
scenario::Scenario two_kills() {
  scenario::Scenario scenario;
  scenario.name = "kills";
  scenario.seed = 5;
  scenario.population.users = 120;
  scenario.population.contacts = 2;
  scenario.groups = {{"team", 6, 20, 1.0}};
  scenario.deployment.clients_per_server = 40;
  scenario.durability = scenario::Durability::os;
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 150;
  chat.duration = 5s;
  chat.mix = {{"direct", 0.5}, {"team", 0.5}};
  scenario.workloads = {chat};
  scenario.heartbeat = {1s, 30s};
  scenario.reconnect = {10ms, 100ms, true};
  scenario.faults = {
      {.kind = Fault::Kind::kill, .at = 500ms, .share = 0.34, .restart_after = down},
      {.kind = Fault::Kind::kill, .at = 3s, .share = 1, .restart_after = down}};
  return scenario;
}

class Kills : public testing::TestWithParam<DesignSpec> {};

TEST_P(Kills, CutOffTheSameClientsLiveAndSimulatedAndLoseNothing) {
  LoadOptions load;
  load.scenario = two_kills();
  load.design = GetParam();
  load.program = CLAMOR_BINARY;
  sim::SimOptions simulation;
  simulation.scenario = load.scenario;
  simulation.design = GetParam();
  simulation.scale = 1;
  simulation.calibration = sim::default_calibration();

  const report::RunResult live = run_load(load);
  const report::RunResult simulated = sim::run_sim(simulation);
  EXPECT_TRUE(live.ledger_complete) << live.ledger_unknown_because;
  for (const report::RunResult* const run : {&live, &simulated}) {
    EXPECT_EQ(run->ledger.sent, 750U);
    EXPECT_EQ(run->ledger.acknowledged, run->ledger.sent);
    EXPECT_EQ(run->ledger.delivered, run->ledger.expected);
    EXPECT_EQ(run->ledger.lost + run->ledger.duplicated + run->ledger.reordered +
                  run->ledger.replaced + run->ledger.double_accepted,
              0U);
    EXPECT_GT(run->ledger.resends, 0U) << "the kills hit nobody's sends";
    const Histogram recovery = report::select_histogram(*run, "recovery_latency");
    EXPECT_GE(recovery.min(), static_cast<std::uint64_t>(to_ns(down))) << "before it is there";
    EXPECT_GT(recovery.count(), 120U) << "all of the second kill, and some of the first";
  }
  EXPECT_EQ(report::select_histogram(live, "recovery_latency").count(),
            report::select_histogram(simulated, "recovery_latency").count());
  const auto listens = std::count_if(live.marks.begin(), live.marks.end(), [](const auto& mark) {
    return mark.second.find("listens again") != std::string::npos;
  });
  EXPECT_EQ(listens, 1 + 3);
}

INSTANTIATE_TEST_SUITE_P(
    Designs, Kills,
    testing::Values(DesignSpec{QueueDesign::per_user}, DesignSpec{QueueDesign::per_group},
                    DesignSpec{.design = QueueDesign::adaptive, .window = window_min}),
    test::design_test_name);

TEST(KillsOfATarget, AreNotOursToMake) {
  LoadOptions load;
  load.scenario = two_kills();
  load.target = "ws://127.0.0.1:1";
  load.secret = "whatever it may be, it is not asked for";
  load.program = CLAMOR_BINARY;
  try {
    (void)run_load(load);
    FAIL() << "it ran";
  } catch (const scenario::ConfigError& error) {
    EXPECT_THAT(std::string{error.what()}, HasSubstr("those of --target are not ours to kill"));
  }
}

}  // namespace
}  // namespace clamor::loadgen
