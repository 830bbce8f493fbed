#include "reports/model/design_check.hpp"

#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <gmock/gmock.h>

namespace clamor::report {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::vector<RunResult> all_designs() {
  std::vector<RunResult> runs{sample::run(Engine::sim, QueueDesign::per_user),
                              sample::run(Engine::sim, QueueDesign::per_member),
                              sample::run(Engine::sim, QueueDesign::per_group),
                              sample::run(Engine::sim, QueueDesign::hybrid),
                              sample::run(Engine::sim, QueueDesign::adaptive)};
  runs[3].operations.queue_entries /= 2;  // hall and archive are above its threshold of 500
  runs[3].operations.record_user_partition_pairs /= 2;
  runs[4].operations.mode_records = 5;
  runs[4].operations.records += 5;
  runs[4].operations.expected_deliveries += 100;
  return runs;
}

TEST(DesignCheck, AcceptsDesignsThatDifferAsTheyShould) {
  EXPECT_THAT(check_operations(all_designs()), IsEmpty());
}

// Each mutation of one run's counters must be seen.
TEST(DesignCheck, NamesEveryKindOfViolation) {
  struct Case {
    std::size_t run;
    std::function<void(RunResult&)> spoil;
    const char* finding;
  };
  const std::vector<Case> cases{
      {2, [](RunResult& r) { r.operations.queue_entries = 1; }, "queue_entries = 1"},
      {2, [](RunResult& r) { r.operations.queue_scans = 1; }, "queue_scans = 1"},
      {2, [](RunResult& r) { r.operations.log_scans = 0; }, "without a scan"},
      {2, [](RunResult& r) { r.operations.records += 1; }, "records"},
      {0, [](RunResult& r) { r.operations.queue_entries = 0; }, "fewer queue entries"},
      {0, [](RunResult& r) { r.operations.queue_scans = r.operations.logins + 1; },
       "more than one queue scan"},
      {1, [](RunResult& r) { r.operations.queue_entries += 1; }, "queue_entries"},
      {1, [](RunResult& r) { r.operations.record_user_partition_pairs -= 1; },
       "record_user_partition_pairs"},
      {2, [](RunResult& r) { r.operations.record_user_partition_pairs = 1; },
       "record_user_partition_pairs = 1"},
      {1, [](RunResult& r) { r.operations.expected_deliveries += 1; }, "expected_deliveries"},
      {1, [](RunResult& r) { r.operations.head_comparisons = 0; }, "no head was compared"},
      {1, [](RunResult& r) { r.operations.queue_scans /= 2; }, "fewer than under per_user"},
      {2, [](RunResult& r) { r.operations.log_gets = 1; }, "log_gets = 1"},
      {3, [](RunResult& r) { r.operations.queue_entries *= 2; }, "some classes are above"},
      {3, [](RunResult& r) { r.operations.queue_entries = 0; }, "some classes are above"},
      {3, [](RunResult& r) { r.operations.queue_scans = r.operations.logins + 1; },
       "more than one queue scan"},
      {3, [](RunResult& r) { r.design.threshold = 1'000; }, "no class is above"},
      {3, [](RunResult& r) { r.design.threshold = 1; }, "every class is above"},
      {4, [](RunResult& r) { r.operations.records += 1; }, "records"},
      {4, [](RunResult& r) { r.operations.mode_records = 0; }, "nobody was given a queue"},
      {4, [](RunResult& r) { r.operations.records = r.operations.mode_records = 9'000'000'000; },
       "a window"},
      {4, [](RunResult& r) { r.operations.queue_scans = r.operations.logins + 1; },
       "more than one queue scan"},
      {0, [](RunResult& r) { r.operations.mode_records = 1; }, "mode_records = 1"},
  };
  for (const Case& c : cases) {
    std::vector<RunResult> runs = all_designs();
    c.spoil(runs[c.run]);
    EXPECT_THAT(check_operations(runs), Contains(HasSubstr(c.finding))) << c.finding;
  }
}

TEST(DesignCheck, DoesNotCompareRunsOfDifferentPlans) {
  std::vector<RunResult> runs = all_designs();
  runs[2].operations.records += 7;
  runs[2].seed += 1;
  EXPECT_THAT(check_operations(runs), IsEmpty());
}

}  // namespace
}  // namespace clamor::report
