#include "reports/model/comparison.hpp"

#include "reports/model/wording.hpp"
#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace clamor::report {
namespace {

std::vector<RunResult> both_designs(Engine engine = Engine::live) {
  return {sample::run(engine, QueueDesign::per_user), sample::run(engine, QueueDesign::per_group)};
}

TEST(Estimate, MatchesStudentsIntervalOfAKnownSample) {
  const std::vector<double> values{10, 12, 14};
  const Estimate e = estimate(values);
  EXPECT_DOUBLE_EQ(e.mean, 12);
  EXPECT_NEAR(e.half_width, 4.3027 * 2 / std::sqrt(3.0), 1e-3);  // t(0.975, 2) = 4.3027
  const std::vector<double> one{3};
  EXPECT_DOUBLE_EQ(estimate(one).half_width, 0);
}

TEST(Comparison, LeastServerCpuWinsAmongDesignsThatMeetTheThresholds) {
  const std::vector<RunResult> runs = both_designs();
  const Comparison c = compare_designs(runs);
  ASSERT_EQ(c.engines.size(), 1U);
  const EngineComparison& live = c.engines.front();
  ASSERT_TRUE(live.winner);
  EXPECT_EQ(live.designs[*live.winner].design.design, QueueDesign::per_group);
  EXPECT_EQ(live.decided_by, Criterion::server_cpu);
  EXPECT_EQ(c.headline, "per_group wins, live");
  EXPECT_NE(live.sentence.find("One repetition"), std::string::npos) << live.sentence;
}

TEST(Comparison, ADesignThatFailsAThresholdCannotWinByPrice) {
  std::vector<RunResult> runs = both_designs();
  runs[1].thresholds.front().passed = false;
  runs[1].thresholds.front().observed = 612;
  const Comparison c = compare_designs(runs);
  const EngineComparison& live = c.engines.front();
  ASSERT_TRUE(live.winner);
  EXPECT_EQ(live.designs[*live.winner].design.design, QueueDesign::per_user);
  EXPECT_NE(live.sentence.find("per_group fails delivery_latency p(99)<250 (612)"),
            std::string::npos)
      << live.sentence;
}

TEST(Comparison, NobodyWinsWhereNoDesignMeetsTheThresholds) {
  std::vector<RunResult> runs = both_designs();
  for (RunResult& run : runs) run.thresholds.back().passed = false;
  const Comparison c = compare_designs(runs);
  EXPECT_FALSE(c.engines.front().winner);
  EXPECT_TRUE(c.engines.front().tied.empty());
  EXPECT_EQ(c.headline, "no design meets the thresholds, live");
}

TEST(Comparison, ASmallDifferenceOfOneRepetitionIsATieAndTheNextCriterionDecides) {
  std::vector<RunResult> runs = both_designs();
  runs[0].server.cpu_seconds = 1.15 * runs[1].server.cpu_seconds;
  const EngineComparison bytes_decide = compare_designs(runs).engines.front();
  EXPECT_EQ(bytes_decide.decided_by, Criterion::device_bytes);
  runs[0].server.device_write_bytes = runs[1].server.device_write_bytes;
  const EngineComparison catch_up_decides = compare_designs(runs).engines.front();
  ASSERT_EQ(catch_up_decides.decided_by, Criterion::catch_up_p99);
  EXPECT_EQ(catch_up_decides.designs[*catch_up_decides.winner].design.design,
            QueueDesign::per_user);
  runs[0].histograms["catch_up_latency"] = runs[1].histograms["catch_up_latency"];
  const Comparison c = compare_designs(runs);
  EXPECT_FALSE(c.engines.front().winner);
  EXPECT_EQ(c.engines.front().tied.size(), 2U);
  EXPECT_EQ(c.headline, "per_user and per_group tie, live");
}

TEST(Comparison, OfOneDesignSaysWhetherItMeetsTheThresholdsAndCallsNobodyTheWinner) {
  std::vector<RunResult> runs{sample::run(Engine::live, QueueDesign::per_user)};
  EXPECT_EQ(compare_designs(runs).headline, "per_user meets every threshold, live");
  runs[0].thresholds.front().passed = false;
  EXPECT_EQ(compare_designs(runs).headline, "per_user does not meet the thresholds, live");
}

TEST(Comparison, RepetitionsArePairedSoThatACommonDriftHidesNoDifference) {
  std::vector<RunResult> runs;
  const std::vector<double> drift{0, 40, 90};  // the machine got slower, for both alike
  for (std::uint32_t i = 0; i < 3; ++i) {
    runs.push_back(sample::run(Engine::live, QueueDesign::per_user, i + 1, 3));
    runs.back().server.cpu_seconds = 105 + drift[i] + 0.1 * i;
    runs.push_back(sample::run(Engine::live, QueueDesign::per_group, i + 1, 3));
    runs.back().server.cpu_seconds = 100 + drift[i];
  }
  const EngineComparison live = compare_designs(runs).engines.front();
  EXPECT_EQ(live.repetitions, 3U);
  EXPECT_EQ(live.decided_by, Criterion::server_cpu);
  runs[0].server.cpu_seconds -= 20;  // once the other way: no longer apart
  EXPECT_NE(compare_designs(runs).engines.front().decided_by, Criterion::server_cpu);
}

TEST(Comparison, GrowingFanOutLagIsNotSustained) {
  RunResult run = sample::run(Engine::live, QueueDesign::per_user);
  EXPECT_TRUE(sustains_load(run));
  for (std::size_t i = 0; i < run.series.size(); ++i) run.series[i].fan_out_lag = 100 * i;
  EXPECT_FALSE(sustains_load(run));
}

TEST(Comparison, TheVerdictNamesTheRegionAndBothEngines) {
  std::vector<RunResult> runs = both_designs();
  for (RunResult& run : both_designs(Engine::sim)) runs.push_back(run);
  const Comparison c = compare_designs(runs);
  ASSERT_EQ(c.engines.size(), 2U);
  EXPECT_EQ(c.headline, "per_group wins, live and simulated");
  EXPECT_EQ(c.region,
            "This holds for groups of 2–600 members, 77 % of users online, 22.1 channels a user "
            "and 198 reconnects per user and hour; outside of it nothing was measured.");
  EXPECT_NE(c.engines[1].sentence.find("1,000,000 users on 55 servers"), std::string::npos)
      << c.engines[1].sentence;
}

TEST(Wording, KeepsThreeSignificantDigits) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.012345), "0.0123");
  EXPECT_EQ(short_number(4.1), "4.1");
  EXPECT_EQ(short_number(9.999), "10");
  EXPECT_EQ(short_number(99.96), "100");
  EXPECT_EQ(short_number(250), "250");
  EXPECT_EQ(short_number(1234567), "1,230,000");
  EXPECT_EQ(short_number(-2.5), "−2.5");
  EXPECT_EQ(short_number(std::nan("")), "unknown");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(999), "999");
}

}  // namespace
}  // namespace clamor::report
