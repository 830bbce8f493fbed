#include "reports/model/comparison.hpp"

#include "reports/model/fairness.hpp"
#include "reports/model/wording.hpp"
#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace clamor::report {
namespace {

std::vector<RunResult> both_designs(Engine engine = Engine::live) {
  return {sample::run(engine, QueueDesign::per_user), sample::run(engine, QueueDesign::per_group)};
}

TEST(Comparison, LeastServerCpuWinsAmongDesignsThatMeetTheThresholds) {
  const std::vector<RunResult> runs = both_designs();
  const Comparison c = compare_designs(runs);
  ASSERT_EQ(c.engines.size(), 1U);
  const EngineComparison& live = c.engines.front();
  ASSERT_TRUE(live.winner);
  EXPECT_EQ(live.designs[*live.winner].design.design, QueueDesign::per_group);
  EXPECT_EQ(live.decided_by, Figure::server_cpu);
  EXPECT_EQ(c.headline, "per_group wins, live");
  EXPECT_NE(c.intervals.find("One repetition, live"), std::string::npos) << c.intervals;
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
  EXPECT_EQ(bytes_decide.decided_by, Figure::device_bytes);
  runs[0].server.device_write_bytes = runs[1].server.device_write_bytes;
  const EngineComparison catch_up_decides = compare_designs(runs).engines.front();
  ASSERT_EQ(catch_up_decides.decided_by, Figure::catch_up_p99);
  EXPECT_EQ(catch_up_decides.designs[*catch_up_decides.winner].design.design,
            QueueDesign::per_user);
  runs[0].histograms["catch_up_latency"] = runs[1].histograms["catch_up_latency"];
  const Comparison c = compare_designs(runs);
  EXPECT_FALSE(c.engines.front().winner);
  EXPECT_EQ(c.engines.front().tied.size(), 2U);
  EXPECT_EQ(c.headline, "per_user and per_group tie, live");
}

TEST(Comparison, NobodyWinsByAnInterruptionOfAnother) {
  std::vector<RunResult> runs = both_designs();
  runs[0].interrupted = true;
  const Comparison c = compare_designs(runs);
  EXPECT_FALSE(c.engines.front().winner);
  EXPECT_EQ(c.headline, "not decided, since a run was interrupted, live");
  EXPECT_NE(c.engines.front().sentence.find("nothing is decided"), std::string::npos);
}

TEST(Comparison, NamesTheGravestFailure) {
  std::vector<RunResult> runs = both_designs();
  RunResult& run = runs[0];
  run.thresholds = {{.metric = "delivery_latency", .expression = "p(99)<250", .observed = 281},
                    {.metric = "lost", .expression = "count==0", .observed = 3, .implicit = true}};
  const auto fails = [&] { return compare_designs(runs).engines.front().designs[0].fails; };
  EXPECT_EQ(fails(), "fails lost count==0 (3)");
  run.ledger_complete = false;
  run.ledger_unknown_because = "the server ended with signal 9 (Killed) during the run";
  EXPECT_EQ(fails(),
            "leaves the ledger unknown (the server ended with signal 9 (Killed) during the run)");
}

TEST(Comparison, OfOneDesignSaysWhetherItMeetsTheThresholdsAndCallsNobodyTheWinner) {
  std::vector<RunResult> runs{sample::run(Engine::live, QueueDesign::per_user)};
  EXPECT_EQ(compare_designs(runs).headline, "per_user meets every threshold, live");
  runs[0].thresholds.front().passed = false;
  EXPECT_EQ(compare_designs(runs).headline, "per_user does not meet the thresholds, live");
}

/// Three repetitions of two designs with these costs.
std::vector<RunResult> repeated(const std::vector<double>& per_user,
                                const std::vector<double>& per_group) {
  std::vector<RunResult> runs;
  const auto n = static_cast<std::uint32_t>(per_user.size());
  for (std::uint32_t i = 0; i < n; ++i) {
    for (const QueueDesign design : {QueueDesign::per_user, QueueDesign::per_group}) {
      runs.push_back(sample::run(Engine::live, design, i + 1, n));
      runs.back().seed += i;
      runs.back().server.cpu_seconds = (design == QueueDesign::per_user ? per_user : per_group)[i];
      runs.back().server.device_write_bytes = 1000;
      runs.back().histograms.erase("catch_up_latency");
    }
  }
  return runs;
}

TEST(Comparison, RepetitionsWinOnlyWhereTheirIntervalsDoNotOverlap) {
  const std::vector<RunResult> apart = repeated({12, 14, 11}, {9, 10.9, 10});
  const Comparison win = compare_designs(apart);
  const EngineComparison& live = win.engines.front();
  EXPECT_EQ(live.repetitions, 3U);
  EXPECT_EQ(live.decided_by, Figure::server_cpu);
  EXPECT_EQ(win.headline, "per_group wins, live");
  EXPECT_NE(live.sentence.find("(0.81–0.981) CPU-seconds per user-hour, against 1.08 (0.99–1.26)"),
            std::string::npos)
      << live.sentence;
  EXPECT_NE(win.intervals.find("3 repetitions, live"), std::string::npos) << win.intervals;

  const std::vector<RunResult> overlapping = repeated({12, 14, 11}, {9, 11.1, 10});
  const Comparison tie = compare_designs(overlapping);
  EXPECT_FALSE(tie.engines.front().winner);
  EXPECT_EQ(tie.headline, "per_user and per_group tie, live");
}

TEST(Comparison, TwoRepetitionsHaveNoIntervalAndSaySo) {
  const std::vector<RunResult> runs = repeated({12, 12}, {9, 9});
  const Comparison c = compare_designs(runs);
  EXPECT_FALSE(c.engines.front().designs.front().costs.front().has_interval());
  EXPECT_NE(c.intervals.find("Only 2 repetitions, live"), std::string::npos) << c.intervals;
}

TEST(Comparison, SaysWhoTiesInWhatBeforeALaterCriterionDecides) {
  std::vector<RunResult> runs = repeated({12, 14, 11}, {9, 11.1, 10});
  for (RunResult& run : runs) {
    if (run.design.design == QueueDesign::per_user) run.server.device_write_bytes = 50'000'000;
  }
  const EngineComparison live = compare_designs(runs).engines.front();
  EXPECT_EQ(live.decided_by, Figure::device_bytes);
  EXPECT_NE(live.sentence.find("per_user and per_group tie in server CPU; per_group costs least"),
            std::string::npos)
      << live.sentence;
}

TEST(Comparison, ADesignWhoseFanOutLagGrowsCannotWin) {
  std::vector<RunResult> runs = both_designs();
  EXPECT_TRUE(sustains_load(runs[1], fan_out_lag_trend(runs[1])));
  for (std::size_t i = 0; i < runs[1].series.size(); ++i) runs[1].series[i].fan_out_lag = 100 * i;
  EXPECT_FALSE(sustains_load(runs[1], fan_out_lag_trend(runs[1])));
  const EngineComparison live = compare_designs(runs).engines.front();
  ASSERT_TRUE(live.winner);
  EXPECT_EQ(live.designs[*live.winner].design.design, QueueDesign::per_user);
  EXPECT_NE(live.sentence.find("per_group does not sustain the load (its fan-out lag grows by 100 "
                               "records a second)"),
            std::string::npos)
      << live.sentence;
}

TEST(Comparison, AStormThatIsWorkedOffIsSustained) {
  RunResult run = sample::run(Engine::live, QueueDesign::per_user);
  for (std::size_t i = 0; i < run.series.size(); ++i) {
    run.series[i].fan_out_lag = i < 10 ? 40 : i < 15 ? 9'000 - 1'500 * (i - 10) : 60;
  }
  EXPECT_TRUE(sustains_load(run, fan_out_lag_trend(run)));
}

TEST(Comparison, NobodyWinsWhereTheDesignsDidNotHaveTheSame) {
  std::vector<RunResult> runs = both_designs();
  runs[0].budget = {.block_cache_bytes = 64U << 20U, .write_buffer_bytes = 96U << 20U};
  runs[1].budget = {.block_cache_bytes = 128U << 20U, .write_buffer_bytes = 96U << 20U};
  const Comparison c = compare_designs(runs);
  EXPECT_FALSE(c.engines.front().winner);
  EXPECT_EQ(c.headline, "not comparable, live");
  EXPECT_NE(c.engines.front().sentence.find("memory: 160 MiB for the store (64 MiB block cache, 96 "
                                            "MiB write buffers) for per_user, but 224 MiB"),
            std::string::npos)
      << c.engines.front().sentence;
}

TEST(Fairness, TellsTheOrderOfTheRunsByRepetition) {
  std::vector<RunResult> runs = repeated({1, 1, 1}, {1, 1, 1});
  const std::vector<std::uint32_t> order{2, 1, 3, 4, 6, 5};
  for (std::size_t i = 0; i < runs.size(); ++i) runs[i].order = order[i];
  const Comparison c = compare_designs(runs);
  EXPECT_EQ(order_text(c.engines.front()),
            "repetition 1: per_group, per_user; repetition 2: per_user, per_group; repetition 3: "
            "per_group, per_user");
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
