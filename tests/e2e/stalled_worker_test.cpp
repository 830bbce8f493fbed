#include "loadgen/app/load.hpp"
#include "reports/model/thresholds.hpp"
#include "tests/e2e/child_processes.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

/// A group that is sent more in a few seconds than sockets hold of it, for longer than it takes.
scenario::Scenario loud_scenario() {
  scenario::Scenario scenario;
  scenario.name = "loud";
  scenario.seed = 5;
  scenario.population.users = 8;
  scenario.groups = {{"hall", 1, 8, 1.0}};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 400;
  chat.duration = 20s;
  chat.mix = {{"hall", 1.0}};
  chat.message_bytes.constant = 16'000;
  scenario.workloads = {chat};
  scenario.heartbeat = {1s, 30s};
  return scenario;
}

/// Runs it, and holds one of the two workers from the beginning on until the metric is 1; then the
/// window ends.
report::RunResult run_stalled(test::ServerProcess& server, const std::string& until) {
  LoadOptions options;
  options.scenario = loud_scenario();
  options.design = {QueueDesign::per_user};
  options.program = CLAMOR_BINARY;
  options.target = "ws://127.0.0.1:" + std::to_string(server.port());
  options.secret = test::test_secret;
  options.workers = 2;
  bool stalled = false;
  options.progress = [&](const LoadProgress& progress) {
    if (stalled || progress.stage != "running" || progress.elapsed_seconds < 0.1) return;
    const pid_t worker = test::child_called("load-worker");
    stalled = kill(worker, SIGSTOP) == 0;
    const auto give_up = std::chrono::steady_clock::now() + 15s;
    while (test::metric(server.port(), until) < 1 && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(20ms);
    }
    kill(worker, SIGCONT);
  };
  options.interrupted = [&] { return stalled; };
  report::RunResult run = run_load(options);
  EXPECT_TRUE(stalled);
  EXPECT_GE(test::metric(server.port(), until), 1) << until;
  return run;
}

void expect_nothing_lost(const report::RunResult& run) {
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_EQ(run.ledger.expected, run.ledger.delivered);
  EXPECT_EQ(run.ledger.acknowledged, run.ledger.sent);
  EXPECT_EQ(run.ledger.lost + run.ledger.duplicated + run.ledger.reordered, 0U);
}

TEST(StalledWorker, FallsBehindIsClosedComesBackAndMissesNothing) {
  test::ServerProcess server{
      "durability: os\nlimits: {session_buffer_bytes: 65536, session_buffer_age: 200ms}\n"};
  const report::RunResult run =
      run_stalled(server, "clamor_gateway_sessions_ended_total{reason=\"slow_consumer\"}");
  EXPECT_GE(test::metric(server.port(), "clamor_fell_behind_total"), 1);
  expect_nothing_lost(run);
}

}  // namespace
}  // namespace clamor::loadgen
