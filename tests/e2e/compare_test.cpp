#include "reports/model/design_check.hpp"
#include "reports/model/twins.hpp"
#include "reports/render/run_files.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <vector>

// The main job end to end: a tiny scenario, live and simulated, under every design, by the built
// command itself. Times are never asserted; counts are.
namespace clamor::report {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* scenario_text = R"(name: tiny
description: A small population with comings and goings and a cut.
seed: 7
population:
  users: 60
  devices: {1: 0.8, 2: 0.2}
  contacts: 2
  away:
    - {share: 0.3, for: 400ms, every: 1s}
groups:
  - {name: team, count: 4, members: 12}
  - {name: hall, count: 1, members: 40}
deployment: {cores: 1, memory_mib: 60}
designs: [per_user, per_member, per_group, {hybrid: {threshold: 20}}]
durability: os
scenarios:
  chat:
    executor: constant-arrival-rate
    rate: 60
    timeUnit: 1s
    duration: 2s
    mix: {direct: 0.4, team: 0.4, hall: 0.2}
    message_bytes: 60
prefill: {messages: 600}
heartbeat: {interval: 1s, offline_after: 10s}
reconnect: {base: 50ms, cap: 200ms, jitter: full}
faults:
  - {at: 1s, kind: disconnect, target: clients, share: 0.3, mode: reset}
simulate: {scale: 3}
thresholds:
  sent: ['count>0']
)";

struct Outcome {
  int exit_code = -1;
  std::string output;
};

Outcome run(const std::string& arguments) {
  Outcome outcome;
  const std::string command = std::string{CLAMOR_BINARY} + " " + arguments + " 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

const auto has_a_crossover_verdict =
    testing::AnyOf(HasSubstr("Nearest crossover: at"), HasSubstr("No crossover found"));

std::string text_of(const fs::path& file) {
  std::ifstream in{file};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// One comparison serves every test: it takes a dozen seconds.
class CompareEndToEnd : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string folder = (fs::temp_directory_path() / "clamor-e2e-compare-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    std::ofstream{folder_ / "tiny.yaml"} << scenario_text;
    outcome_ =
        run("compare " + (folder_ / "tiny.yaml").string() + " --out " + (folder_ / "out").string());
    for (const char* design : {"per_user", "per_member", "per_group", "hybrid(20)"}) {
      for (const char* engine : {"live", "sim", "twin"}) {
        const fs::path run_folder = folder_ / "out" / (std::string{design} + "-" + engine);
        if (fs::exists(run_folder / "result.json")) runs_.push_back(read_result_file(run_folder));
      }
    }
  }
  static void TearDownTestSuite() {
    runs_.clear();
    fs::remove_all(folder_);
  }

  static fs::path folder_;
  static Outcome outcome_;
  static std::vector<RunResult> runs_;
};

fs::path CompareEndToEnd::folder_;
Outcome CompareEndToEnd::outcome_;
std::vector<RunResult> CompareEndToEnd::runs_;

TEST_F(CompareEndToEnd, RunsEveryDesignLiveAndSimulatedAndNamesTheReportLast) {
  // 120: this machine's neighbours may slow the generator; that is no failure of what is tested
  EXPECT_TRUE(outcome_.exit_code == 0 || outcome_.exit_code == 120) << outcome_.output;
  EXPECT_EQ(runs_.size(), 12U);
  const std::string last = "report: " + (folder_ / "out" / "report.html").string() + "\n";
  EXPECT_TRUE(outcome_.output.ends_with(last)) << outcome_.output;
}

TEST_F(CompareEndToEnd, EveryLedgerIsCompleteAndClean) {
  for (const RunResult& result : runs_) {
    EXPECT_TRUE(result.ledger_complete) << result.ledger_unknown_because;
    EXPECT_GT(result.ledger.expected, 1000U);
    EXPECT_EQ(result.ledger.delivered, result.ledger.expected);
    EXPECT_EQ(result.ledger.acknowledged, result.ledger.sent);
    for (const LedgerCounter& counter : ledger_counters) {
      if (!counter.must_be_zero) continue;
      EXPECT_EQ(result.ledger.*counter.member, 0U) << counter.name;
    }
  }
}

TEST_F(CompareEndToEnd, OperationsDifferBetweenDesignsAsTheirDefinitionsSay) {
  ASSERT_EQ(runs_.size(), 12U);
  EXPECT_THAT(check_operations(runs_), IsEmpty());
  const std::vector<Twins> twins = pair_twins(runs_);
  EXPECT_EQ(twins.size(), 4U);
  for (const Twins& t : twins) {
    EXPECT_THAT(t.not_equal, IsEmpty()) << "what follows from the plan, live and simulated";
  }
}

TEST_F(CompareEndToEnd, EveryDesignHasTheMemoryThatTheScenarioGivesIt) {
  for (const RunResult& result : runs_) {
    if (result.engine != Engine::live) continue;
    EXPECT_EQ(result.budget.block_cache_bytes, std::uint64_t{20} << 20U);
    EXPECT_EQ(result.budget.write_buffer_bytes, std::uint64_t{40} << 20U);
  }
  EXPECT_THAT(text_of(folder_ / "out" / "report.md"),
              HasSubstr("60 MiB for the store (20 MiB block cache, 40 MiB write buffers)"));
}

TEST_F(CompareEndToEnd, EveryRunBeginsWithThePreFillOfItsScale) {
  ASSERT_EQ(runs_.size(), 12U);
  for (const RunResult& result : runs_) {
    EXPECT_EQ(result.prefill.records, result.engine == Engine::sim && !result.twin ? 1'800U : 600U);
    for (const RunResult& twin : runs_) {
      if (!twin.twin || result.engine != Engine::live || twin.design != result.design) continue;
      EXPECT_EQ(result.prefill.queue_entries, twin.prefill.queue_entries);
    }
    EXPECT_LT(result.ledger.sent, 400U) << "it is not counted as sent";
  }
  EXPECT_THAT(text_of(folder_ / "out" / "report.md"),
              HasSubstr("The stores began with 600 messages, which every device held"));
}

TEST_F(CompareEndToEnd, TheReportTellsTheWholeStoryWithoutJavaScript) {
  const std::string html = text_of(folder_ / "out" / "report.html");
  for (const char* part : {"<h1>", "One repetition", "This holds for groups of 2–40 members",
                           "Live, 60 users", "Simulated, 180 users", "disconnect", "--seed 7",
                           "id=\"ledger\"", "id=\"groups\"", "loopback"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
  EXPECT_THAT(html, has_a_crossover_verdict);
  EXPECT_THAT(html, HasSubstr("Order of the runs, drawn from the seed"));
  EXPECT_THAT(html, HasSubstr("How far off is the simulator?"));
  EXPECT_TRUE(fs::exists(folder_ / "out" / "crossover.json"));
  EXPECT_THAT(text_of(folder_ / "out" / "junit.xml"), HasSubstr("<testsuite name=\"tiny.per_user"));
  EXPECT_THAT(text_of(folder_ / "out" / "report.md"), HasSubstr("# tiny: "));
}

TEST_F(CompareEndToEnd, ResultsRenderAnewWithTheirCrossover) {
  const Outcome again = run("report --format junit " + (folder_ / "out" / "per_user-sim").string());
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("<testsuite name=\"tiny.per_user.sim\""));
  const std::string out = (folder_ / "out").string();
  const Outcome with_crossover =
      run("report " + out + "/per_user-sim " + out + "/per_group-sim " + out + "/crossover.json");
  EXPECT_EQ(with_crossover.exit_code, 0) << with_crossover.output;
  EXPECT_THAT(with_crossover.output, has_a_crossover_verdict);
  const Outcome lone_twins =
      run("report --format md " + out + "/per_user-twin " + out + "/per_group-twin");
  EXPECT_THAT(lone_twins.output, HasSubstr("Simulated, 60 users"));
  EXPECT_EQ(lone_twins.exit_code, 0);
  const Outcome whole = run("report " + out);
  EXPECT_EQ(whole.exit_code, 0) << "of a comparison's folder";
  for (const char* const design : {"per_user", "per_group"}) {
    EXPECT_THAT(whole.output, HasSubstr(design));
  }
  const Outcome broken = run("report " + (folder_ / "tiny.yaml").string());
  EXPECT_EQ(broken.exit_code, 104);
  EXPECT_THAT(broken.output, HasSubstr("not JSON"));
}

TEST(CompareCommand, NamesEveryFaultOfItsArgumentsAndRunsNothing) {
  const Outcome outcome = run("compare quickstart --designs per_planet --engine life");
  EXPECT_EQ(outcome.exit_code, 104);
  EXPECT_THAT(outcome.output, HasSubstr("'per_planet' is no queue design"));
  EXPECT_THAT(outcome.output, HasSubstr("'life' is no engine"));
}

}  // namespace
}  // namespace clamor::report
