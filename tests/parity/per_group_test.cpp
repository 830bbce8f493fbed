#include "loadgen/app/load.hpp"
#include "scenarios/model/plan.hpp"
#include "server/app/settings.hpp"
#include "server/store/store.hpp"
#include "sim/app/calibration.hpp"
#include "sim/app/simulate.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/parity/naive_counts.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

// The rule that makes the product true: for one plan the live server, the simulator and a naive
// loop over the plan count the same. Live counts are taken at the sinks: records and queue entries
// read back from the store, records decoded by the clients, and the server's /metrics.
namespace clamor::parity {
namespace {

using namespace std::chrono_literals;
using scenario::Plan;

/// Two devices for some users, directs, groups of 3, 8 and 20, planned absences, dormant members.
/// Few messages, so that there are quiet points around the absences.
scenario::Scenario village() {
  scenario::Scenario scenario;
  scenario.name = "village";
  scenario.population.users = 40;
  scenario.population.devices = {{1, 0.75}, {2, 0.25}};
  scenario.population.contacts = 1;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::once, .share = 0.15, .duration = 2s, .within = 2500ms}};
  scenario.groups = {{.name = "trio", .count = 6, .members = 3},
                     {.name = "hall", .count = 1, .members = 20},
                     {.name = "archive", .count = 1, .members = 8, .online = 0.5}};
  scenario.deployment = {.cores = 1, .clients_per_server = 1000};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 4;
  chat.duration = 5s;
  chat.mix = {{"direct", 0.3}, {"trio", 0.3}, {"hall", 0.25}, {"archive", 0.15}};
  scenario.workloads = {chat};
  return scenario;
}

/// What a store holds once its server has gone.
struct ReadBack {
  std::uint64_t messages = 0;
  std::uint64_t queue_entries = 0;  ///< Of messages.
};

ReadBack read_back(const std::string& data, const DesignSpec& design, const Plan& plan) {
  store::Store store{
      {.path = data, .durability = store::Durability::os, .layout = server::layout_of(design)}};
  ReadBack found;
  store
      .visit_log([&](const core::Record& record, std::span<const std::byte>) {
        found.messages += record.kind == core::RecordKind::message ? 1 : 0;
      })
      .value();
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    std::vector<store::UserQueueRow> rows;
    store.scan_user_queue(Plan::user_id(user), {}, std::numeric_limits<std::size_t>::max(), rows)
        .value();
    for (const store::UserQueueRow& row : rows) {
      for (const store::QueueRun& run : row.runs) {
        // Id 1 is the channel's creation, made before the window.
        found.queue_entries += run.count - (run.first == MessageId{1} ? 1U : 0U);
      }
    }
  }
  return found;
}

/// The counters that differ and are not physical, one line each.
std::vector<std::string> differences(const Operations& a, const Operations& b) {
  std::vector<std::string> out;
  for (const OperationCounter& counter : operation_counters) {
    if (counter.counter_class == CounterClass::physical) continue;
    if (a.*counter.member == b.*counter.member) continue;
    out.push_back(std::string{counter.name} + ": " + std::to_string(a.*counter.member) +
                  " != " + std::to_string(b.*counter.member));
  }
  return out;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

class Parity : public testing::TestWithParam<QueueDesign> {};

TEST_P(Parity, LiveSimulatedAndNaiveCountsAreEqual) {
  const DesignSpec design{GetParam()};
  const Plan plan = quiet_plan(village(), 250ms);
  const Operations naive = naive_counts(plan, design);
  ASSERT_GT(naive.catch_up_deliveries, 10U) << "the plan tests no catch-up";
  ASSERT_GT(naive.live_deliveries, 50U);

  sim::SimOptions simulation;
  simulation.scenario = plan.scenario();
  simulation.design = design;
  simulation.scale = 1;
  simulation.calibration = sim::default_calibration();
  const report::RunResult simulated = sim::run_sim(simulation);
  EXPECT_EQ(joined(differences(simulated.operations, naive)), "") << "simulated != naive";

  test::ServerProcess server{"durability: os\ndesign: " + std::string{name_of(design.design)} +
                             "\n"};
  loadgen::LoadOptions load;
  load.scenario = plan.scenario();
  load.design = design;
  load.target = "ws://127.0.0.1:" + std::to_string(server.port());
  load.secret = test::test_secret;
  load.workers = 1;
  load.program = CLAMOR_BINARY;
  const report::RunResult live = loadgen::run_load(load);
  ASSERT_TRUE(live.ledger_complete) << live.ledger_unknown_because;
  EXPECT_EQ(joined(differences(live.operations, naive)), "") << "live (/metrics) != naive";
  EXPECT_EQ(live.ledger.sent, naive.records);
  EXPECT_EQ(live.ledger.acknowledged, simulated.ledger.acknowledged);
  EXPECT_EQ(live.ledger.expected, naive.expected_deliveries);
  EXPECT_EQ(live.ledger.delivered, naive.live_deliveries + naive.catch_up_deliveries)
      << "decoded by the clients";
  EXPECT_EQ(live.ledger.lost, 0U);

  ASSERT_EQ(server.stop(), 0);
  const ReadBack stored = read_back(server.data(), design, plan);
  EXPECT_EQ(stored.messages, naive.records) << "read back from the store";
  EXPECT_EQ(stored.queue_entries, naive.queue_entries) << "read back from the store";

  // The comparison can fail: each deliberate error is seen.
  EXPECT_EQ(
      differences(simulated.operations, naive_counts(plan, design, Mutation::entry_skipped)).size(),
      1U);
  EXPECT_EQ(differences(live.operations, naive_counts(plan, design, Mutation::node_skipped)).size(),
            1U);
  EXPECT_EQ(
      differences(live.operations, naive_counts(plan, design, Mutation::scan_too_many)).size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Designs, Parity,
                         testing::Values(QueueDesign::per_group, QueueDesign::per_user),
                         [](const auto& design) { return std::string{name_of(design.param)}; });

}  // namespace
}  // namespace clamor::parity
