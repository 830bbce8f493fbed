#include "reports/model/thresholds.hpp"

#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace clamor::report {
namespace {

using scenario::Threshold;
using Aggregate = Threshold::Aggregate;

Threshold make(std::string metric, Aggregate aggregate, Threshold::Comparison comparison,
               double bound, std::map<std::string, std::string> tags = {}) {
  Threshold t;
  t.metric = std::move(metric);
  t.tags = std::move(tags);
  t.aggregate = aggregate;
  t.comparison = comparison;
  t.bound = bound;
  t.text = "as written";
  return t;
}

ThresholdOutcome judge(const Threshold& t, const RunResult& run) {
  return evaluate_thresholds({t}, run).front();
}

RunResult run_with_two_groups() {
  RunResult run;
  run.duration_seconds = 10;
  run.ledger_complete = true;
  run.histograms["delivery_latency{group:hall,path:live}"].record(4'000'000);
  run.histograms["delivery_latency{group:hall,path:catchup}"].record(90'000'000);
  run.histograms["delivery_latency{group:team,path:live}"].record(2'000'000, 8);
  return run;
}

TEST(MetricKey, SurvivesTheRoundTripWithTagsSorted) {
  const std::string key = metric_key("delivery_latency", {{"path", "live"}, {"group", "hall"}});
  EXPECT_EQ(key, "delivery_latency{group:hall,path:live}");
  const auto [metric, tags] = parse_metric_key(key);
  EXPECT_EQ(metric, "delivery_latency");
  EXPECT_EQ(tags, (Tags{{"group", "hall"}, {"path", "live"}}));
  EXPECT_EQ(metric_key("ack_latency", {}), "ack_latency");
  EXPECT_TRUE(parse_metric_key("ack_latency").second.empty());
}

TEST(SelectHistogram, MergesWhatMatchesAndCountsNothingTwice) {
  RunResult run = run_with_two_groups();
  EXPECT_EQ(select_histogram(run, "delivery_latency").count(), 10U);
  EXPECT_EQ(select_histogram(run, "delivery_latency", {{"group", "hall"}}).count(), 2U);
  EXPECT_EQ(select_histogram(run, "delivery_latency", {{"path", "live"}}).count(), 9U);
  EXPECT_EQ(select_histogram(run, "delivery_latency", {{"group", "nobody"}}).count(), 0U);
  run.histograms["delivery_latency"].record(1, 10);  // a total beside its parts
  EXPECT_EQ(select_histogram(run, "delivery_latency").count(), 10U);
  EXPECT_EQ(select_histogram(run, "delivery_latency", {{"group", "team"}}).count(), 8U);
}

TEST(SelectHistogram, DoesNotTakeAMetricForItsPrefix) {
  RunResult run;
  run.histograms["delivery_latency_other"].record(5);
  EXPECT_EQ(select_histogram(run, "delivery_latency").count(), 0U);
}

TEST(Thresholds, JudgeLatenciesInMillisecondsByEveryAggregate) {
  const RunResult run = run_with_two_groups();
  using enum Threshold::Comparison;
  const auto check = [&](Aggregate a, double expected, double slack) {
    const ThresholdOutcome outcome = judge(make("delivery_latency", a, le, 91), run);
    EXPECT_NEAR(outcome.observed, expected, slack);
    EXPECT_TRUE(outcome.passed);
  };
  check(Aggregate::percentile, 90, 0);  // p99 of ten values is the largest
  check(Aggregate::max, 90, 0);
  check(Aggregate::min, 2, 0);
  check(Aggregate::med, 2, 0.04);
  check(Aggregate::avg, 11, 0);
  check(Aggregate::count, 10, 0);
  EXPECT_FALSE(judge(make("delivery_latency", Aggregate::max, lt, 90), run).passed);
  EXPECT_TRUE(
      judge(make("delivery_latency", Aggregate::max, lt, 3, {{"group", "team"}}), run).passed);
}

TEST(Thresholds, JudgeCountersByCountAndRate) {
  RunResult run = run_with_two_groups();
  run.ledger.sent = 200;
  run.operations.queue_entries = 50;
  using enum Threshold::Comparison;
  EXPECT_TRUE(judge(make("sent", Aggregate::count, eq, 200), run).passed);
  EXPECT_TRUE(judge(make("sent", Aggregate::rate, ge, 20), run).passed);
  EXPECT_FALSE(judge(make("sent", Aggregate::rate, gt, 20), run).passed);
  EXPECT_TRUE(judge(make("queue_entries", Aggregate::count, ne, 51), run).passed);
}

TEST(Thresholds, JudgeReachAndOpenedSessionsAsShares) {
  RunResult run = run_with_two_groups();
  run.ledger.expected = 100;
  run.ledger.delivered = 99;
  run.generator.sessions_asked = 10;
  run.generator.sessions_opened = 10;
  using enum Threshold::Comparison;
  EXPECT_FALSE(judge(make("reach", Aggregate::rate, ge, 1), run).passed);
  EXPECT_TRUE(judge(make("reach", Aggregate::rate, ge, 0.99), run).passed);
  EXPECT_TRUE(judge(make("sessions_opened", Aggregate::rate, eq, 1), run).passed);
}

TEST(Thresholds, FailWhatIsUnknownAndSayWhy) {
  const RunResult run = run_with_two_groups();
  using enum Threshold::Comparison;
  for (const Threshold& t :
       {make("catch_up_latency", Aggregate::max, ge, 0),
        make("delivery_latency", Aggregate::rate, ge, 0), make("reach", Aggregate::rate, ge, 0),
        make("lost", Aggregate::avg, ge, 0), make("latencies", Aggregate::count, ge, 0),
        make("lost", Aggregate::count, ne, 7, {{"group", "hall"}})}) {
    const ThresholdOutcome outcome = judge(t, run);
    EXPECT_FALSE(outcome.passed) << t.metric;
    EXPECT_TRUE(std::isnan(outcome.observed)) << t.metric;
    EXPECT_FALSE(outcome.unknown_because.empty()) << t.metric;
  }
}

TEST(Thresholds, OfEveryRunAreTheCountersThatMustBeZero) {
  RunResult run = run_with_two_groups();
  const auto outcomes = evaluate_thresholds({}, run);
  std::set<std::string> names;
  for (const ThresholdOutcome& outcome : outcomes) {
    EXPECT_TRUE(outcome.implicit);
    EXPECT_TRUE(outcome.passed);
    EXPECT_EQ(outcome.expression, "count==0");
    names.insert(outcome.metric);
  }
  for (const char* name : {"lost", "duplicated", "reordered", "replaced", "double_accepted"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  run.ledger.lost = 1;
  EXPECT_FALSE(evaluate_thresholds({}, run).front().passed);
}

TEST(Thresholds, OfTheLedgerAreUnknownWhenTheRollCallDidNotFinish) {
  RunResult run = run_with_two_groups();
  run.ledger.sent = 5;
  run.ledger_complete = false;
  run.ledger_unknown_because = "2 clients did not drain in 60 s";
  using enum Threshold::Comparison;
  for (const ThresholdOutcome& outcome : evaluate_thresholds({}, run)) {
    EXPECT_FALSE(outcome.passed);
    EXPECT_NE(outcome.unknown_because.find("2 clients"), std::string::npos);
  }
  EXPECT_TRUE(judge(make("sent", Aggregate::count, eq, 5), run).passed);
}

TEST(Verdict, BlamesTheGeneratorOnlyForWhatItCanCause) {
  RunResult run = sample::run(Engine::live, QueueDesign::per_user);
  EXPECT_EQ(verdict_of(run), Verdict::passed);
  run.generator.intervals_marked = 1;  // of 20: 5 %, not more
  EXPECT_EQ(verdict_of(run), Verdict::passed);
  EXPECT_EQ(verdict_of(run, true), Verdict::generator_saturated);
  run.thresholds.front().passed = false;  // delivery latency
  EXPECT_EQ(verdict_of(run), Verdict::generator_saturated);
  run.generator.intervals_marked = 0;
  EXPECT_EQ(verdict_of(run), Verdict::threshold_failed);
  run.generator.intervals_marked = 20;
  run.thresholds.back().passed = false;  // the ledger
  EXPECT_EQ(verdict_of(run), Verdict::threshold_failed);
  run.interrupted = true;
  EXPECT_EQ(verdict_of(run), Verdict::interrupted);
}

TEST(Verdict, MapsToTheExitCodesOfTheCommandLine) {
  EXPECT_EQ(exit_code_of(Verdict::passed), 0);
  EXPECT_EQ(exit_code_of(Verdict::threshold_failed), 99);
  EXPECT_EQ(exit_code_of(Verdict::generator_saturated), 120);
  EXPECT_EQ(exit_code_of(Verdict::interrupted), 105);
}

}  // namespace
}  // namespace clamor::report
