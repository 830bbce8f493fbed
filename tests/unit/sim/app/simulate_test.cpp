#include "sim/app/simulate.hpp"

#include "reports/model/thresholds.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "sim/app/calibration.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <string>
#include <vector>

namespace clamor::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

SimOptions hamlet() {
  SimOptions options;
  scenario::Scenario& scenario = options.scenario;
  scenario.name = "hamlet";
  scenario.population.users = 50;
  scenario.groups = {{.name = "square", .count = 2, .members = 25}};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 30;
  chat.duration = 2s;
  chat.mix = {{"square", 1}};
  scenario.workloads = {chat};
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 1s, .share = 0.2}};
  scenario.thresholds = {{.metric = "delivery_latency",
                          .percentile = 99,
                          .comparison = scenario::Threshold::Comparison::lt,
                          .bound = 0.000001,
                          .text = "p(99)<0.000001"}};
  options.design = {QueueDesign::per_group};
  options.calibration = default_calibration();
  return options;
}

TEST(RunSim, ReturnsWhatALiveRunReturnsWithItsThresholdsJudged) {
  SimOptions options = hamlet();
  options.scale = 3;
  const report::RunResult result = run_sim(options);
  EXPECT_EQ(result.engine, report::Engine::sim);
  EXPECT_EQ(result.scale, 3);
  EXPECT_EQ(result.deployment.users, 150U);
  EXPECT_EQ(result.series.size(), 2U);
  ASSERT_EQ(result.marks.size(), 1U);
  EXPECT_EQ(result.marks[0].first, 1.0);
  ASSERT_TRUE(result.sim.has_value());
  EXPECT_GT(result.sim->events, 0U);
  EXPECT_GT(result.sim->peak_rss_bytes, 0U);
  EXPECT_NE(result.sim->calibration.find(options.calibration.machine), std::string::npos);
  EXPECT_EQ(report::verdict_of(result), report::Verdict::threshold_failed)
      << "no delivery takes a picosecond";
}

TEST(RunSim, ASeedOfItsOwnReplacesTheScenarios) {
  SimOptions options = hamlet();
  const report::RunResult first = run_sim(options);
  options.seed = options.scenario.seed;
  EXPECT_EQ(run_sim(options).result_hash, first.result_hash);
  options.seed = 99;
  const report::RunResult other = run_sim(options);
  EXPECT_EQ(other.seed, 99U);
  EXPECT_NE(other.result_hash, first.result_hash);
}

TEST(RunSim, CostsChangeTimesButNoLogicalCount) {
  SimOptions options = hamlet();
  const report::RunResult fast = run_sim(options);
  options.calibration.costs.flush_ns *= 10;
  const report::RunResult slow = run_sim(options);
  EXPECT_GT(slow.server.cpu_seconds, fast.server.cpu_seconds * 2);
  for (const OperationCounter& counter : operation_counters) {
    if (counter.counter_class != CounterClass::logical) continue;
    EXPECT_EQ(slow.operations.*counter.member, fast.operations.*counter.member) << counter.name;
  }
}

TEST(RunSim, AnInterruptedRunSaysSoAndClaimsNoLedger) {
  SimOptions options = hamlet();
  options.scale = 40;  // long enough to be asked
  bool simulating = false;
  options.progress = [&](const SimProgress& at) { simulating = at.stage == "simulating"; };
  options.interrupted = [&] { return simulating; };
  const report::RunResult result = run_sim(options);
  EXPECT_TRUE(result.interrupted);
  EXPECT_FALSE(result.ledger_complete);
  EXPECT_EQ(report::verdict_of(result), report::Verdict::interrupted);
  EXPECT_LT(result.duration_seconds, to_seconds(measured_duration(options.scenario)))
      << "what was simulated, not what was planned";
  EXPECT_LE(static_cast<double>(result.series.size()), std::ceil(result.duration_seconds));
  EXPECT_EQ(result.ledger.lost, 0U) << "nobody knows";
}

TEST(RunSim, AnInterruptionOfTheLayOutLeavesNoResult) {
  SimOptions options = hamlet();
  options.interrupted = [] { return true; };
  EXPECT_THROW(static_cast<void>(run_sim(options)), LayOutInterrupted);
}

TEST(RunSim, NamesTheScenarioThatItRanAsOneToRunAgain) {
  SimOptions options = hamlet();
  options.scenario.simulate_scale = 3;
  options.seed = 99;
  const scenario::Scenario ran = scenario_of(options);
  EXPECT_EQ(ran.population.users, 150U);
  EXPECT_EQ(ran.seed, 99U);
  EXPECT_EQ(ran.simulate_scale, 1);
  SimOptions again = hamlet();
  again.scenario = ran;
  EXPECT_EQ(run_sim(again).result_hash, run_sim(options).result_hash);
}

std::string refusal_of(const SimOptions& options) {
  try {
    static_cast<void>(run_sim(options));
  } catch (const scenario::ConfigError& error) {
    return error.what();
  }
  return "no refusal";
}

TEST(RunSim, RefusesAPopulationThatCannotFitAndNamesTheLimit) {
  SimOptions options = hamlet();
  options.scale = 3e6;
  EXPECT_THAT(refusal_of(options), HasSubstr("150000000 clients, but the simulator holds at most "
                                             "100000000; use a smaller --scale"));
  options.scale = 1;
  options.scenario.population.users = 50'000'000;
  options.scenario.groups.front() = {.name = "square", .count = 1'000'000'000, .members = 5000};
  EXPECT_THAT(refusal_of(options), HasSubstr("GiB of memory, but this machine has"));
  options = hamlet();
  options.scale = 2000;
  options.scenario.deployment.clients_per_server = 1;
  EXPECT_THAT(refusal_of(options), HasSubstr("holds at most 60000"));
}

TEST(RunSim, SaysWhenTheSimulationBegins) {
  SimOptions options = hamlet();
  std::vector<std::string> stages;
  options.progress = [&stages](const SimProgress& at) { stages.emplace_back(at.stage); };
  static_cast<void>(run_sim(options));
  ASSERT_GE(stages.size(), 2U);
  EXPECT_EQ(stages[0], "laying out");
  EXPECT_EQ(stages[1], "simulating");
}

}  // namespace
}  // namespace clamor::sim
