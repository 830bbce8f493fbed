#include "reports/render/summary.hpp"

#include "reports/model/wording.hpp"
#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <gmock/gmock.h>
#include <vector>

namespace clamor::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Summary, SaysTheVerdictFirstThenTheThresholdsAsK6Does) {
  RunResult run = sample::run(Engine::live, QueueDesign::per_user);
  const std::string clean = run_summary(run);
  EXPECT_THAT(clean, HasSubstr("✓ quickstart · per_user · live: passed"));
  EXPECT_THAT(clean, HasSubstr("✓ lost count==0.................................: 0"));
  EXPECT_LT(clean.find("THRESHOLDS"), clean.find("LEDGER"));
  EXPECT_LT(clean.find("LEDGER"), clean.find("LATENCY"));
  run.ledger.lost = 1'234;
  run.thresholds = evaluate_thresholds({}, run);
  const std::string broken = run_summary(run);
  EXPECT_THAT(broken, HasSubstr("✗ quickstart · per_user · live: threshold failed"));
  EXPECT_THAT(broken, HasSubstr("✗ lost count==0.................................: 1,234"));
}

TEST(Summary, SaysWhyAnObservationIsUnknown) {
  RunResult run = sample::run(Engine::live, QueueDesign::per_user);
  run.ledger_complete = false;
  run.ledger_unknown_because = "3 clients did not drain";
  run.thresholds = evaluate_thresholds({}, run);
  EXPECT_THAT(run_summary(run),
              HasSubstr("unknown: the roll call did not finish: 3 clients did not drain"));
}

TEST(Summary, SplitsDeliveryLatencyByGroupAndPath) {
  const std::string text = run_summary(sample::run(Engine::live, QueueDesign::per_user));
  for (const char* row : {"group hall", "group direct", "path live", "path catchup"}) {
    EXPECT_THAT(text, HasSubstr(row));
  }
}

TEST(Summary, ReportsTheSimulatorsSpeedWithHeartbeatsAndRecipientsApart) {
  const std::string text = run_summary(sample::run(Engine::sim, QueueDesign::per_group));
  EXPECT_THAT(text, HasSubstr("events/s..........................: 5,320,000"));
  EXPECT_THAT(text, HasSubstr("recipients computed...............: 180,000,000"));
  EXPECT_THAT(text, HasSubstr("heartbeats computed...............: 4,400,000"));
  EXPECT_THAT(text, HasSubstr("simulated seconds per CPU-second..: 1.74"));
  EXPECT_THAT(text, HasSubstr("peak memory.......................: 858 MiB"));
  EXPECT_THAT(text, Not(HasSubstr("GENERATOR")));
}

TEST(Summary, ColoursOnlyWhenAsked) {
  const RunResult run = sample::run(Engine::live, QueueDesign::per_user);
  EXPECT_THAT(run_summary(run, false), Not(HasSubstr("\033[")));
  EXPECT_THAT(run_summary(run, true), HasSubstr("\033[32m✓"));
}

TEST(Summary, OfAComparisonMarksTheWinnerAndAnUncleanLedger) {
  std::vector<RunResult> runs{sample::run(Engine::live, QueueDesign::per_user),
                              sample::run(Engine::live, QueueDesign::per_group)};
  EXPECT_THAT(comparison_summary(runs), HasSubstr("per_group *"));
  EXPECT_THAT(comparison_summary(runs), Not(HasSubstr("NOT CLEAN")));
  runs[0].ledger.duplicated = 1;
  EXPECT_THAT(comparison_summary(runs), HasSubstr("NOT CLEAN"));
}

TEST(Wording, GivesDurationsAndBytesThreeDigitsAndAUnit) {
  EXPECT_EQ(duration_text(0), "0");
  EXPECT_EQ(duration_text(999), "999 ns");
  EXPECT_EQ(duration_text(1'234), "1.23 µs");
  EXPECT_EQ(duration_text(34.26e6), "34.3 ms");
  EXPECT_EQ(duration_text(61e9), "61 s");
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(1'048'576), "1 MiB");
  EXPECT_EQ(bytes_text(1'000'000), "977 KiB");
}

}  // namespace
}  // namespace clamor::report
