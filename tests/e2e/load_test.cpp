#include "loadgen/app/load.hpp"

#include "reports/model/thresholds.hpp"
#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "server/base/queue_design.hpp"
#include "tests/designs.hpp"
#include "tests/e2e/child_processes.hpp"
#include "tests/e2e/record_dropping_proxy.hpp"
#include "tests/integration/server_process.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// The load generator against the real server, as `clamor load` runs it: worker processes, real
// sockets, the roll call, the ledger.
namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;
using test::child_called;
using testing::HasSubstr;

scenario::Scenario small_scenario() {
  scenario::Scenario scenario;
  scenario.name = "small";
  scenario.seed = 11;
  scenario.population.users = 80;
  scenario.population.devices = {{1, 0.8}, {2, 0.2}};
  scenario.population.contacts = 3;
  scenario.population.away = {{scenario::Away::Kind::once, 0.2, 1s, 1500ms, {}},
                              {scenario::Away::Kind::repeating, 0.2, 700ms, {}, 1500ms}};
  scenario.groups = {{"team", 4, 20, 1.0}, {"archive", 1, 30, 0.2}};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 200;
  chat.duration = 3s;
  chat.mix = {{"direct", 0.4}, {"team", 0.5}, {"archive", 0.1}};
  scenario.workloads = {chat};
  scenario.heartbeat = {1s, 30s};
  scenario.reconnect = {200ms, 1s, true};
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 1s, .share = 0.4},
                     {.mode = scenario::Fault::Mode::close, .at = 2500ms, .share = 0.2}};
  return scenario;
}

LoadOptions options_for(const scenario::Scenario& scenario,
                        const DesignSpec& design = {QueueDesign::per_group}) {
  LoadOptions options;
  options.scenario = scenario;
  options.design = design;
  options.program = CLAMOR_BINARY;
  return options;
}

bool all_implicit_passed(const report::RunResult& run) {
  return std::all_of(run.thresholds.begin(), run.thresholds.end(),
                     [](const auto& threshold) { return threshold.passed; });
}

class EveryDesign : public testing::TestWithParam<DesignSpec> {};

TEST_P(EveryDesign, EndsWithACleanLedger) {
  LoadOptions options = options_for(small_scenario(), GetParam());
  options.workers = 2;  // senders and receivers in different processes
  const report::RunResult run = run_load(options);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_TRUE(all_implicit_passed(run));
  EXPECT_EQ(run.ledger.expected, run.ledger.delivered);
  EXPECT_EQ(run.ledger.sent, 600U) << "open loop: every planned message was sent";
  EXPECT_EQ(run.ledger.acknowledged, run.ledger.sent);
  EXPECT_EQ(run.ledger.not_sent + run.ledger.indeterminate, 0U);
  EXPECT_TRUE(run.ledger_findings.empty()) << run.ledger_findings.front();
  EXPECT_EQ(run.operations.records, 600U);
  EXPECT_EQ(run.generator.workers, 2U);
  EXPECT_EQ(run.generator.sessions_opened, run.generator.sessions_asked);
  EXPECT_EQ(run.series.size(), 3U);
  for (const char* path : {"live", "catchup"}) {
    EXPECT_GT(report::select_histogram(run, "delivery_latency", {{"path", path}}).count(), 0U);
  }
  EXPECT_EQ(report::select_histogram(run, "ack_latency").count(), 600U);
  EXPECT_GT(report::select_histogram(run, "catch_up_latency").count(), 10U);
}

TEST_P(EveryDesign, EndsWithACleanLedgerOnThreeNodes) {
  scenario::Scenario scenario = small_scenario();
  scenario.deployment.clients_per_server = 40;
  const report::RunResult run = run_load(options_for(scenario, GetParam()));
  EXPECT_EQ(run.deployment.servers, 3U);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_TRUE(all_implicit_passed(run));
  EXPECT_EQ(run.ledger.expected, run.ledger.delivered);
  EXPECT_EQ(run.ledger.acknowledged, 600U);
  EXPECT_GT(run.operations.bus_frames, 0U);
  EXPECT_GT(run.operations.record_node_pairs, run.operations.records) << "members on other nodes";
}

INSTANTIATE_TEST_SUITE_P(Designs, EveryDesign,
                         testing::Values(DesignSpec{QueueDesign::per_user},
                                         DesignSpec{QueueDesign::per_member},
                                         DesignSpec{QueueDesign::per_group},
                                         DesignSpec{QueueDesign::hybrid, 15}),
                         test::design_test_name);

TEST(Load, ThePlanDecidesWhatIsSentNotTheWorkersNorTheDesign) {
  scenario::Scenario scenario = small_scenario();
  scenario.population.away.pop_back();
  scenario.workloads.front().duration = 1s;
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 500ms, .share = 0.4}};
  LoadOptions options = options_for(scenario, {QueueDesign::per_user});
  options.step_timeout = 60s;
  const report::RunResult one = run_load(options);
  options.workers = 3;
  options.design = {QueueDesign::per_group};
  const report::RunResult three = run_load(options);
  EXPECT_EQ(one.ledger.sent, three.ledger.sent);
  EXPECT_EQ(one.ledger.expected, three.ledger.expected);
  EXPECT_EQ(one.ledger.delivered, three.ledger.expected);
  for (const auto counter :
       {&Operations::records, &Operations::live_deliveries, &Operations::catch_up_deliveries,
        &Operations::logins, &Operations::interest_updates}) {
    EXPECT_EQ(one.operations.*counter, three.operations.*counter);
  }
}

/// A quiet world without absences, where what happens is the proxy's doing alone.
scenario::Scenario steady_scenario() {
  scenario::Scenario scenario = small_scenario();
  scenario.population.devices = {{1, 1.0}};
  scenario.population.away.clear();
  scenario.groups = {{"team", 4, 20, 1.0}};
  scenario.workloads.front().mix = {{"direct", 0.4}, {"team", 0.6}};
  scenario.faults.clear();
  return scenario;
}

report::RunResult run_through(test::RecordDroppingProxy& proxy) {
  LoadOptions options = options_for(steady_scenario());
  options.target = "ws://127.0.0.1:" + std::to_string(proxy.port());
  options.secret = test::test_secret;
  options.workers = 1;
  return run_load(options);
}

/// The last message that the plan sends to a channel of that class, and its number at its sender.
std::pair<scenario::Send, ClientMessageId> last_send_to(const scenario::Plan& plan,
                                                        std::string_view group) {
  std::vector<scenario::Send> sends;
  for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends);
  const auto last = std::find_if(sends.rbegin(), sends.rend(), [&](const scenario::Send& send) {
    return plan.class_name(plan.class_of(send.channel)) == group;
  });
  const auto number = std::count_if(sends.begin(), sends.end(), [&](const scenario::Send& send) {
    return send.channel == last->channel && send.client == last->client;
  });
  return {*last, ClientMessageId{static_cast<std::uint64_t>(number)}};
}

// Proof that the ledger can fail: the last message of a group reaches none of its 19 receivers.
// Nothing comes after it, so no device sees a gap. Only the ledger can tell.
TEST(Load, NamesWhatAServerLosesSilently) {
  const scenario::Plan plan{steady_scenario()};
  const auto [victim, number] = last_send_to(plan, "team");
  test::ServerProcess server{"design: per_group\ndurability: os\n"};
  test::RecordDroppingProxy proxy{
      server.port(), [&, id = number](std::uint32_t, const core::Record& record) {
        return record.channel == scenario::Plan::channel_id(victim.channel) &&
               record.sender == scenario::Plan::user_id(plan.user_of(victim.client)) &&
               record.client_message_id == id;
      }};
  const report::RunResult run = run_through(proxy);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_EQ(proxy.dropped(), 19U);
  EXPECT_EQ(run.ledger.lost, 19U);
  EXPECT_EQ(run.ledger.gaps, 0U);
  EXPECT_EQ(run.ledger.expected, run.ledger.delivered + run.ledger.lost);
  ASSERT_FALSE(run.ledger_findings.empty());
  const auto channel = scenario::Plan::channel_id(victim.channel).value;
  EXPECT_THAT(run.ledger_findings.front(),
              HasSubstr("channel_id " + std::to_string(channel) + ", message_id"));
  EXPECT_EQ(report::verdict_of(run), report::Verdict::threshold_failed);
}

TEST(Load, RepairsALiveGapByCatchingUpAndCountsIt) {
  test::ServerProcess server{"design: per_group\ndurability: os\n"};
  std::uint64_t seen = 0;
  test::RecordDroppingProxy proxy{server.port(), [&](std::uint32_t, const auto& record) {
                                    // Early ones in busy channels: later records follow.
                                    return ++seen % 200 == 0 && seen <= 1000 && record.id.value > 1;
                                  }};
  const report::RunResult run = run_through(proxy);
  EXPECT_GT(proxy.dropped(), 0U);
  EXPECT_GT(run.ledger.gaps, 0U);
  EXPECT_GT(report::select_histogram(run, "delivery_latency", {{"path", "repair"}}).count(), 0U);
  EXPECT_EQ(run.ledger.reordered + run.ledger.duplicated, 0U);
  EXPECT_LE(run.ledger.lost, proxy.dropped());
}

TEST(Load, AServerKilledOnTheWayLeavesTheLedgerUnknown) {
  LoadOptions options = options_for(small_scenario());
  bool killed = false;
  options.progress = [&killed](const LoadProgress& progress) {
    if (killed || progress.stage != "running" || progress.elapsed_seconds < 1) return;
    killed = kill(child_called("serve"), SIGKILL) == 0;
  };
  const report::RunResult run = run_load(options);
  ASSERT_TRUE(killed);
  EXPECT_FALSE(run.ledger_complete);
  EXPECT_THAT(run.ledger_unknown_because, HasSubstr("signal 9"));
  EXPECT_FALSE(all_implicit_passed(run)) << "unknown is not passed";
  EXPECT_EQ(report::verdict_of(run), report::Verdict::threshold_failed);
  EXPECT_GT(run.ledger.sent, 0U);
}

TEST(Load, ATargetThatDiesLeavesTheLedgerUnknownToo) {
  test::ServerProcess server{"design: per_group\ndurability: os\n"};
  LoadOptions options = options_for(steady_scenario());
  options.target = "ws://127.0.0.1:" + std::to_string(server.port());
  options.secret = test::test_secret;
  options.roll_call_timeout = 1s;
  bool killed = false;
  options.progress = [&](const LoadProgress& progress) {
    if (killed || progress.stage != "running" || progress.elapsed_seconds < 1) return;
    killed = true;
    server.kill_hard();
  };
  const report::RunResult run = run_load(options);
  EXPECT_FALSE(run.ledger_complete);
  EXPECT_THAT(run.ledger_unknown_because, HasSubstr("did not sync"));
  EXPECT_GT(run.ledger.indeterminate + run.ledger.not_sent, 0U);
}

TEST(Load, LoginsRefusedAfterTheWindowBeganLeaveTheLedgerUnknownForThatReason) {
  test::ServerProcess server{"design: per_group\ndurability: os\n"};
  const test::TemporaryDirectory directory;
  const std::string config = directory / "other.yaml";
  std::ofstream{config} << "listen: 127.0.0.1:" << server.port() << "\ndata: " << server.data()
                        << "\nsecret: changed meanwhile\ndesign: per_group\n";
  std::unique_ptr<test::ChildProcess> other;
  LoadOptions options = options_for(steady_scenario());
  options.target = "ws://127.0.0.1:" + std::to_string(server.port());
  options.secret = test::test_secret;
  options.roll_call_timeout = 1s;
  options.progress = [&](const LoadProgress& progress) {
    if (other || progress.stage != "running" || progress.elapsed_seconds < 1) return;
    server.kill_hard();
    other = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{CLAMOR_BINARY, "serve", "--config", config}, directory / "log");
  };
  const report::RunResult run = run_load(options);
  ASSERT_TRUE(other);
  EXPECT_FALSE(run.ledger_complete);
  EXPECT_THAT(run.ledger_unknown_because, HasSubstr("the server refuses logins")) << other->log();
  EXPECT_GT(run.ledger.sent, 0U);
}

TEST(Load, MarksTheIntervalsInWhichTheGeneratorWasTheLimit) {
  LoadOptions options = options_for(small_scenario());
  options.workers = 1;
  bool stalled = false;
  options.progress = [&stalled](const LoadProgress& progress) {
    if (stalled || progress.stage != "running" || progress.elapsed_seconds < 1) return;
    const pid_t worker = child_called("load-worker");
    stalled = kill(worker, SIGSTOP) == 0;
    std::this_thread::sleep_for(300ms);  // the stall itself
    kill(worker, SIGCONT);
  };
  const report::RunResult run = run_load(options);
  ASSERT_TRUE(stalled);
  EXPECT_GE(run.generator.intervals_marked, 1U);
  EXPECT_EQ(report::exit_code_of(report::verdict_of(run, true)), 120);
}

TEST(Load, AWorkerThatDiesIsAnErrorNotAResult) {
  LoadOptions options = options_for(small_scenario());
  options.workers = 2;
  bool killed = false;
  options.progress = [&killed](const LoadProgress& progress) {
    if (killed || progress.stage != "running") return;
    killed = kill(child_called("load-worker"), SIGKILL) == 0;
  };
  try {
    (void)run_load(options);
    FAIL() << "half a ledger must not pass for a whole one";
  } catch (const LoadError& error) {
    EXPECT_THAT(error.what(), HasSubstr("signal 9"));
  }
  EXPECT_EQ(child_called("serve"), 0) << "nothing is left behind";
}

TEST(Load, AnInterruptedRunIsReportedInFull) {
  LoadOptions options = options_for(small_scenario());
  bool running = false;
  options.progress = [&running](const LoadProgress& progress) {
    running = running || (progress.stage == "running" && progress.elapsed_seconds >= 1);
  };
  options.interrupted = [&running] { return running; };
  const report::RunResult run = run_load(options);
  EXPECT_TRUE(run.interrupted);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_LT(run.ledger.sent, 600U);
  EXPECT_EQ(run.ledger.expected, run.ledger.delivered);
  EXPECT_EQ(report::exit_code_of(report::verdict_of(run)), 105);
}

TEST(Load, AnInterruptWhileItStartsEndsIt) {
  LoadOptions options = options_for(small_scenario());
  options.interrupted = [] { return true; };
  const report::RunResult run = run_load(options);
  EXPECT_TRUE(run.interrupted);
  EXPECT_EQ(run.ledger.sent, 0U);
  EXPECT_EQ(report::exit_code_of(report::verdict_of(run)), 105);
}

TEST(Load, RefusesAStoreThatIsNotEmptyAndASecretThatIsWrong) {
  test::ServerProcess server{"design: per_group\ndurability: os\n"};
  LoadOptions options = options_for(steady_scenario());
  options.scenario.workloads.front().duration = 1s;
  options.target = "ws://127.0.0.1:" + std::to_string(server.port());
  options.secret = "another secret";
  try {
    (void)run_load(options);
    FAIL() << "another server's secret";
  } catch (const scenario::ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--secret"));
    EXPECT_THAT(error.what(), HasSubstr("CLAMOR_SECRET"));
  }
  options.secret = test::test_secret;
  EXPECT_TRUE(run_load(options).ledger_complete);
  try {
    (void)run_load(options);
    FAIL() << "the channels exist already";
  } catch (const LoadError& error) {
    EXPECT_THAT(error.what(), HasSubstr("empty"));
  }
}

TEST(Load, NeitherTheEnvironmentNorAnOddFolderNameReachesItsOwnServer) {
  const test::TemporaryDirectory directory;
  const std::string odd = directory / "a \"quoted\" \\x41 #folder";
  std::filesystem::create_directory(odd);
  setenv("CLAMOR_SECRET", "of another server", 1);
  setenv("TMPDIR", odd.c_str(), 1);
  LoadOptions options = options_for(steady_scenario());
  options.scenario.workloads.front().duration = 1s;
  const report::RunResult run = run_load(options);
  unsetenv("CLAMOR_SECRET");
  unsetenv("TMPDIR");
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_TRUE(std::filesystem::is_empty(odd)) << "nothing is left behind";
}

constexpr const char* command_scenario = R"(name: brief
population: {users: 40, contacts: 2}
designs: [per_user, {hybrid: {threshold: 20}}]
scenarios:
  chat: {executor: constant-arrival-rate, rate: 50, duration: 30s, mix: {direct: 1}}
)";

TEST(LoadCommand, EndsGracefullyOnSigtermAndLeavesTheScenarioThatRan) {
  const test::TemporaryDirectory directory;
  std::ofstream{directory / "brief.yaml"} << command_scenario;
  std::filesystem::create_directory(directory / "scratch");
  setenv("TMPDIR", std::string{directory / "scratch"}.c_str(), 1);
  test::ChildProcess load{{CLAMOR_BINARY, "load", directory / "brief.yaml", "--design", "hybrid",
                           "--scale", "0.5", "--seed", "5", "--out", directory / "out"},
                          directory / "load.log"};
  unsetenv("TMPDIR");
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (load.log().find("running  ") == std::string::npos) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << load.log();
    std::this_thread::sleep_for(5ms);  // a log file tells of no change
  }
  load.signal(SIGTERM);
  EXPECT_EQ(load.wait(), 105) << load.log();
  EXPECT_TRUE(std::filesystem::is_empty(directory / "scratch")) << "its server's folder";
  const std::string folder = directory / "out/hybrid(20)-live";
  EXPECT_TRUE(std::filesystem::exists(folder + "/result.json"));
  const scenario::Scenario ran = scenario::load_scenario(folder + "/scenario.yaml");
  EXPECT_EQ(ran.population.users, 20U);
  EXPECT_EQ(ran.seed, 5U);
}

TEST(Load, MoreNodesThanAProcessHostsRunInSeveral) {
  scenario::Scenario scenario = small_scenario();
  scenario.deployment.clients_per_server = 5;
  const report::RunResult run = run_load(options_for(scenario, {QueueDesign::per_user}));
  EXPECT_GT(run.deployment.servers, 16U);
  EXPECT_NE(run.environment.placement.find(" nodes in 2 processes"), std::string::npos)
      << run.environment.placement;
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_TRUE(all_implicit_passed(run));
  EXPECT_EQ(run.ledger.expected, run.ledger.delivered);
  EXPECT_EQ(run.ledger.acknowledged, 600U);
  EXPECT_TRUE(run.ledger_findings.empty()) << run.ledger_findings.front();
}

TEST(Load, RefusesWhatTheEmbeddedServerCannotHold) {
  LoadOptions options = options_for(small_scenario());
  options.scenario.deployment.clients_per_server = 1;
  EXPECT_THROW((void)run_load(options), scenario::ConfigError) << "more nodes than it hosts";
  options.scenario.deployment.clients_per_server = 100'000;
  options.scale = 300;
  EXPECT_THROW((void)run_load(options), scenario::ConfigError) << "more clients than a node takes";
}

}  // namespace
}  // namespace clamor::loadgen
