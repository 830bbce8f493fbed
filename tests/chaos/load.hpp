#pragma once

#include "loadgen/app/load.hpp"
#include "reports/model/result.hpp"
#include "reports/model/thresholds.hpp"
#include "server/base/queue_design.hpp"
#include "tests/integration/server_process.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <vector>

namespace clamor::test {

using namespace std::chrono_literals;

inline std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

inline constexpr std::uint32_t users_of_load = 60;

/// Directs and groups on both sides of the hybrid case's threshold, second devices, users who come
/// and go: whoever returns is served from the queues that a kill may have cut short.
inline scenario::Scenario busy(Duration longest) {
  scenario::Scenario scenario;
  scenario.name = "busy";
  scenario.seed = 5;
  scenario.population.users = users_of_load;
  scenario.population.devices = {{1, 0.8}, {2, 0.2}};
  scenario.population.contacts = 2;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::repeating, .share = 0.4, .duration = 700ms, .every = 1500ms}};
  scenario.groups = {{.name = "team", .count = 6, .members = 8},
                     {.name = "hall", .count = 2, .members = 20}};
  scenario.deployment = {.cores = 1, .clients_per_server = 1000};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 500;
  chat.duration = longest;
  chat.mix = {{"direct", 0.4}, {"team", 0.4}, {"hall", 0.2}};
  scenario.workloads = {chat};
  scenario.heartbeat = {.interval = 1s, .offline_after = 30s};
  scenario.reconnect = {.base = 40ms, .cap = 200ms};
  return scenario;
}

/// The load generator's run against a server that is killed meanwhile. Begun by the constructor,
/// which returns once messages are on their way.
class Load {
 public:
  Load(const DesignSpec& design, const std::vector<std::uint16_t>& ports, Duration longest) {
    loadgen::LoadOptions options;
    options.scenario = busy(longest);
    options.design = design;
    options.target = url_of(ports);
    options.secret = test_secret;
    options.workers = 1;
    options.program = CLAMOR_BINARY;
    options.progress = [this](const loadgen::LoadProgress& at) {
      if (at.stage == "running" && at.elapsed_seconds > 0) running_ = true;
    };
    options.interrupted = [this] { return enough_.load(); };  // The roll call follows all the same.
    result_ = std::async(std::launch::async, [options] { return loadgen::run_load(options); });
    while (!running_ && result_.wait_for(10ms) != std::future_status::ready) {
    }
  }
  ~Load() { enough_ = true; }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  report::RunResult finish() {
    enough_ = true;
    return result_.get();
  }

 private:
  std::atomic<bool> running_ = false;
  std::atomic<bool> enough_ = false;
  std::future<report::RunResult> result_;
};

/// Nothing lost, nothing twice, nothing out of order.
inline void expect_clean(const report::RunResult& run) {
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  for (const LedgerCounter& counter : ledger_counters) {
    if (counter.must_be_zero) {
      EXPECT_EQ(run.ledger.*counter.member, 0U) << counter.name;
    }
  }
  for (const std::string& finding : run.ledger_findings) std::printf("  %s\n", finding.c_str());
  EXPECT_EQ(run.ledger.delivered, run.ledger.expected);
  EXPECT_EQ(run.ledger.acknowledged, run.ledger.sent) << "what was sent was accepted in the end";
}

/// Sends were on their way when the kills came.
inline void expect_bitten(const report::RunResult& run, std::uint64_t kills) {
  EXPECT_GT(run.ledger.sent, 100U * kills);
  EXPECT_GT(report::select_histogram(run, "delivery_latency", {{"path", "outbox"}}).count(), 0U)
      << "nobody had something to send while the server was down";
  if (kills >= 5) {
    EXPECT_GT(run.ledger.resends, 0U) << "every ack had arrived at every kill";
  }
}

}  // namespace clamor::test
