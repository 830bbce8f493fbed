#include "reports/model/twins.hpp"

#include "reports/model/comparison.hpp"
#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <gmock/gmock.h>
#include <vector>

namespace clamor::report {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// A live run as the simulator would predict it, but for its CPU.
RunResult twin_of(const RunResult& live, double cpu_factor) {
  RunResult twin = live;
  twin.engine = Engine::sim;
  twin.twin = true;
  twin.server.cpu_seconds *= cpu_factor;
  return twin;
}

std::vector<RunResult> runs_with_twins() {
  std::vector<RunResult> runs;
  for (const QueueDesign design : {QueueDesign::per_user, QueueDesign::per_group}) {
    runs.push_back(sample::run(Engine::live, design));
    runs.push_back(sample::run(Engine::sim, design));
    runs.push_back(twin_of(runs[runs.size() - 2], design == QueueDesign::per_user ? 1.1 : 0.95));
  }
  return runs;
}

TEST(Twins, PairALiveRunWithTheSimulatedOneAtItsPopulation) {
  const std::vector<Twins> twins = pair_twins(runs_with_twins());
  ASSERT_EQ(twins.size(), 2U);
  EXPECT_EQ(twins[0].design.design, QueueDesign::per_user);
  EXPECT_EQ(twins[0].users, 2'000U);
  EXPECT_NEAR(twins[0].figures.front().error(), 0.10, 1e-9);
  EXPECT_NEAR(twins[1].figures.front().error(), -0.05, 1e-9);
  EXPECT_EQ(twins[0].operations.size(), operation_counters.size());
  EXPECT_THAT(twins[0].not_equal, IsEmpty());
  EXPECT_THAT(twins_text(twins), HasSubstr("server CPU −5 % to +10 %"));
  EXPECT_THAT(twins_text(twins), HasSubstr("ranks every two designs"));
}

TEST(Twins, ASimulationOfTheLivePopulationIsATwinByItself) {
  std::vector<RunResult> runs{sample::run(Engine::live, QueueDesign::per_user)};
  runs.push_back(twin_of(runs.front(), 1));
  runs.back().twin = false;
  EXPECT_EQ(pair_twins(runs).size(), 1U);
  runs.back().seed += 1;
  EXPECT_THAT(pair_twins(runs), IsEmpty()) << "another plan";
  EXPECT_EQ(twins_text({}), "");
}

TEST(Twins, NameLogicalCountersThatDiffer) {
  std::vector<RunResult> runs = runs_with_twins();
  runs[2].operations.queue_entries += 1;
  runs[2].operations.flushes += 1'000;  // physical: an error, not a fault
  const std::vector<Twins> twins = pair_twins(runs);
  ASSERT_EQ(twins[0].not_equal.size(), 1U);
  EXPECT_THAT(twins_text(twins), HasSubstr("per_user: queue_entries = 100,000 live, 100,001"));
  runs[0].ledger.not_sent = 2;  // a part of the plan was not run: nothing to hold it to
  EXPECT_THAT(pair_twins(runs)[0].not_equal, IsEmpty());
  EXPECT_THAT(twins_text(pair_twins(runs)),
              HasSubstr("is equal, live and simulated, in the 1 of 2"));
  runs[3].interrupted = true;
  EXPECT_THAT(twins_text(pair_twins(runs)), HasSubstr("is unknown: every pair of runs lacks"));
  EXPECT_THAT(twins_text(pair_twins(runs)), testing::Not(HasSubstr("is equal")));
}

TEST(Twins, SayWhereTheSimulatorRanksTheDesignsTheOtherWayRound) {
  std::vector<RunResult> runs = runs_with_twins();
  runs[2].server.cpu_seconds = 0.1;  // per_user, the dearer one live
  EXPECT_THAT(twins_text(pair_twins(runs)), HasSubstr("does not rank"));
}

TEST(Twins, ASimulatorThatCallsATieWhatLiveRunsTellApartDoesNotRankAsTheyDo) {
  std::vector<RunResult> runs = runs_with_twins();
  runs[2].server.cpu_seconds = 1.01 * runs[5].server.cpu_seconds;
  EXPECT_THAT(twins_text(pair_twins(runs)), HasSubstr("does not rank"));
}

TEST(Twins, RankNothingWhereLiveRunsTellNothingApart) {
  std::vector<RunResult> runs = runs_with_twins();
  runs[0].server.cpu_seconds = runs[3].server.cpu_seconds;
  EXPECT_THAT(twins_text(pair_twins(runs)), testing::Not(HasSubstr("rank")));
}

TEST(Twins, TellDesignsApartAsTheVerdictDoes) {
  // medians 20 % apart and more, but the intervals overlap: the verdict calls it a tie
  const std::vector<std::vector<double>> cpu{{9, 13, 14}, {8, 10, 10}};
  std::vector<RunResult> runs;
  for (std::size_t d = 0; d < 2; ++d) {
    for (std::uint32_t i = 0; i < 3; ++i) {
      const QueueDesign design = d == 0 ? QueueDesign::per_user : QueueDesign::per_group;
      runs.push_back(sample::run(Engine::live, design, i + 1, 3));
      runs.back().seed += i;
      runs.back().server.cpu_seconds = cpu[d][i];
      runs.push_back(twin_of(runs.back(), 1));
    }
  }
  EXPECT_THAT(twins_text(pair_twins(runs)), testing::Not(HasSubstr("rank")));
}

TEST(Twins, TakeNoPartInTheComparison) {
  const std::vector<RunResult> runs = runs_with_twins();
  const Comparison c = compare_designs(runs);
  ASSERT_EQ(c.engines.size(), 2U);
  for (const EngineComparison& engine : c.engines) {
    EXPECT_EQ(engine.repetitions, 1U);
    for (const DesignFigures& figures : engine.designs) EXPECT_EQ(figures.runs.size(), 1U);
  }
}

TEST(Twins, ErrorsHaveASignAndNoErrorOfNothingIsUnknown) {
  EXPECT_EQ(error_text(0.1234), "+12.3 %");
  EXPECT_EQ(error_text(-0.05), "−5 %");
  EXPECT_EQ(error_text(0.0001), "0 %");
  EXPECT_EQ(error_text(TwinFigure{.simulated = {.median = 3}}.error()), "unknown");
  EXPECT_EQ(error_text(TwinFigure{}.error()), "0 %");
}

}  // namespace
}  // namespace clamor::report
