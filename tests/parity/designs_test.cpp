#include "tests/designs.hpp"

#include "loadgen/app/load.hpp"
#include "reports/model/thresholds.hpp"
#include "scenarios/model/plan.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"
#include "sim/app/calibration.hpp"
#include "sim/app/simulate.hpp"
#include "tests/e2e/record_dropping_proxy.hpp"
#include "tests/integration/queue_audit.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/parity/differences.hpp"
#include "tests/parity/naive_counts.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

// The rule that makes the product true: for one plan the live server, the simulator and a naive
// loop over the plan count the same, operation by operation, under every design. Live counts are
// taken at the sinks (records and queue entries read back from the store, records decoded by the
// clients), beside the server's own. Then the proof that this can fail: each deliberate error, made
// where it would happen, turns the comparison red.
namespace clamor::parity {
namespace {

using namespace std::chrono_literals;
using scenario::Plan;

constexpr Duration margin = 250ms;
constexpr std::uint32_t threshold = 20;

scenario::Workload messages(const char* name, double rate, Duration start, Duration duration) {
  scenario::Workload workload;
  workload.name = name;
  workload.rate = rate;
  workload.start_time = start;
  workload.duration = duration;
  workload.mix = {{"direct", 0.2}, {"pair", 0.1},  {"g19", 0.15},   {"g20", 0.15},
                  {"g21", 0.15},   {"g300", 0.15}, {"archive", 0.1}};
  return workload;
}

/// Groups around and far from the threshold, second devices, dormant members, absences that begin
/// and end by a clean close; later everybody is reset, and half of them are closed. Quiet points
/// stand around all of it: messages come while some are away, when all are back, and at the end.
scenario::Scenario town() {
  scenario::Scenario scenario;
  scenario.name = "town";
  scenario.seed = 7;
  scenario.population.users = 320;
  scenario.population.devices = {{1, 0.8}, {2, 0.2}};
  scenario.population.contacts = 1;
  scenario.population.away = {
      {.kind = scenario::Away::Kind::once, .share = 0.1, .duration = 2500ms, .within = 600ms}};
  scenario.groups = {{.name = "pair", .count = 6, .members = 2},
                     {.name = "g19", .count = 2, .members = 19},
                     {.name = "g20", .count = 2, .members = 20},
                     {.name = "g21", .count = 2, .members = 21},
                     {.name = "g300", .count = 1, .members = 300},
                     {.name = "archive", .count = 1, .members = 8, .online = 0.5}};
  scenario.deployment = {.cores = 1, .clients_per_server = 1000};
  scenario.workloads = {messages("while some are away", 30, 950ms, 1250ms),
                        messages("when they are back", 30, 3500ms, 750ms),
                        messages("after the faults", 30, 6500ms, 700ms)};
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 4600ms, .share = 1},
                     {.mode = scenario::Fault::Mode::close, .at = 5500ms, .share = 0.5}};
  scenario.reconnect = {.base = 40ms, .cap = 200ms};
  return scenario;
}

Operations simulated_counts(const Plan& plan, const DesignSpec& design) {
  sim::SimOptions simulation;
  simulation.scenario = plan.scenario();
  simulation.design = design;
  simulation.scale = 1;
  simulation.calibration = sim::default_calibration();
  return sim::run_sim(simulation).operations;
}

/// Deliberate errors in a live run, each made where a server would make it; see live_counts.
struct Errors {
  std::function<bool(const core::Record&)> swallow;  ///< Live records on their way to a client.
  std::function<void(std::uint16_t port)> intrude;   ///< Called once, within the measured window.
  bool lose_memory = false;  ///< Queue entries in memory die with the server, not redone.
  std::function<void(store::Store&)> tamper;  ///< With its store, once it is gone.
};

/// What a live run of the plan leaves at the sinks, and what its server counts.
struct Live {
  Operations server;
  Operations sinks;  ///< Those of `server` that a sink counts, put in their place.
  std::vector<std::string> queue_faults;
  LedgerTotals ledger;
};

Live live_counts(const Plan& plan, const DesignSpec& design, const Errors& errors = {}) {
  test::ServerProcess server{"durability: os\ndesign: " + test::setting_of(design) + "\n"};
  test::RecordDroppingProxy proxy{server.port(), [&](std::uint32_t, const core::Record& record) {
                                    return errors.swallow && errors.swallow(record);
                                  }};
  bool intruded = false;
  loadgen::LoadOptions load;
  load.scenario = plan.scenario();
  load.design = design;
  load.target = "ws://127.0.0.1:" + std::to_string(errors.swallow ? proxy.port() : server.port());
  load.secret = test::test_secret;
  load.workers = 1;
  load.program = CLAMOR_BINARY;
  load.progress = [&](const loadgen::LoadProgress& at) {
    if (intruded || !errors.intrude || at.stage != "running" || at.elapsed_seconds <= 0) return;
    intruded = true;
    errors.intrude(server.port());
  };
  const report::RunResult run = loadgen::run_load(load);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  if (errors.lose_memory) {
    server.kill_hard();
  } else {
    EXPECT_EQ(server.stop(), 0);
  }
  if (errors.tamper) {
    store::Store store{{.path = server.data(),
                        .durability = store::Durability::os,
                        .layout = server::layout_of(design)}};
    errors.tamper(store);
  }

  Live live{
      .server = run.operations, .sinks = run.operations, .queue_faults = {}, .ledger = run.ledger};
  const test::QueueAudit stored = test::audit_queues(server.data(), design);
  live.queue_faults = stored.faults;
  live.sinks.records = stored.messages;
  live.sinks.queue_entries = stored.entries - stored.created_entries;
  live.sinks.expected_deliveries = run.ledger.expected;
  // Records that the clients decoded: live ones by their path, and the rest.
  live.sinks.live_deliveries =
      report::select_histogram(run, "delivery_latency", {{"path", "live"}}).count();
  live.sinks.catch_up_deliveries = run.ledger.delivered - live.sinks.live_deliveries;
  return live;
}

const std::vector<DesignSpec> all_designs{{QueueDesign::per_user},
                                          {QueueDesign::per_member},
                                          {QueueDesign::per_group},
                                          {QueueDesign::hybrid, threshold}};

class Parity : public testing::TestWithParam<DesignSpec> {};

TEST_P(Parity, LiveSimulatedAndNaiveCountsAreEqual) {
  const Plan plan{town()};
  ASSERT_TRUE((NaiveCount{plan, GetParam()}.quiet(margin)));
  const Operations naive = naive_counts(plan, GetParam());
  ASSERT_GT(naive.catch_up_deliveries, 100U) << "the plan tests no catch-up";
  ASSERT_GT(naive.live_deliveries, 1000U);
  ASSERT_GT(naive.logins, 500U) << "the faults cut nobody off";
  const bool queues = GetParam().design != QueueDesign::per_group;
  const bool logs =
      GetParam().design == QueueDesign::per_group || GetParam().design == QueueDesign::hybrid;
  ASSERT_EQ(naive.queue_entries > 0, queues);
  ASSERT_EQ(naive.queue_scans > 0, queues);
  ASSERT_EQ(naive.log_scans > 0, logs);

  EXPECT_EQ(joined(differences(simulated_counts(plan, GetParam()), naive)), "")
      << "simulated != naive";
  const Live live = live_counts(plan, GetParam());
  EXPECT_EQ(joined(differences(live.server, naive)), "") << "counted by the server != naive";
  EXPECT_EQ(joined(differences(live.sinks, naive)), "") << "counted at the sinks != naive";
  EXPECT_EQ(joined(live.queue_faults), "");
  EXPECT_EQ(live.ledger.sent, naive.records);
  EXPECT_EQ(live.ledger.lost + live.ledger.duplicated + live.ledger.reordered, 0U);
}

INSTANTIATE_TEST_SUITE_P(Designs, Parity, testing::ValuesIn(all_designs), test::design_test_name);

// --- the comparison can fail ---------------------------------------------------------------------

/// Fewer users, and only the middle of the town's day: what an error needs to be seen.
scenario::Scenario village() {
  scenario::Scenario scenario = town();
  scenario.name = "village";
  scenario.population.users = 60;
  std::erase_if(scenario.groups, [](const auto& group) { return group.name == "g300"; });
  scenario.workloads = {messages("while some are away", 40, 950ms, 1250ms),
                        messages("when they are back", 40, 3500ms, 1500ms)};
  for (scenario::Workload& workload : scenario.workloads) {
    workload.mix = {{"direct", 0.2}, {"pair", 0.1}, {"g19", 0.2}, {"g20", 0.2}, {"g21", 0.3}};
  }
  scenario.faults.clear();
  return scenario;
}

class ParityUnderAnError : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE((NaiveCount{plan_, all_designs.front()}.quiet(margin))); }

  const Plan plan_{village()};

  /// Lines that are there with the errors; without them the same comparison is green.
  std::vector<std::string> sinks_against_naive(const DesignSpec& design, const Errors& errors) {
    const Operations naive = naive_counts(plan_, design);
    EXPECT_EQ(joined(differences(simulated_counts(plan_, design), naive)), "");
    return differences(live_counts(plan_, design, errors).sinks, naive);
  }
};

TEST_F(ParityUnderAnError, ALiveRunWithoutOneIsGreen) {
  EXPECT_EQ(joined(sinks_against_naive({QueueDesign::per_user}, {})), "");
}

TEST_F(ParityUnderAnError, QueueEntriesSkippedAreSeen) {
  for (const QueueDesign design : {QueueDesign::per_user, QueueDesign::per_member}) {
    const Live live = live_counts(plan_, {design}, {.lose_memory = true});
    const auto seen = differences(live.sinks, naive_counts(plan_, {design}));
    ASSERT_EQ(seen.size(), 1U) << joined(seen);
    EXPECT_EQ(seen.front().rfind("queue_entries", 0), 0U) << seen.front();
    EXPECT_GT(live.queue_faults.size(), 0U) << "and whose queues they are";
  }
}

TEST_F(ParityUnderAnError, AQueueEntryTooManyIsSeen) {
  const DesignSpec design{QueueDesign::per_user};
  // The latest message of a channel once more, for one of its members.
  const auto once_more = [&](store::Store& store) {
    core::Record last;
    store
        .visit_log([&](const core::Record& record, std::span<const std::byte>) {
          if (record.kind == core::RecordKind::message) last = record;
        })
        .value();
    store::QueueWriter writer{store, {}, [](const store::QueueOutcome&) {}};
    writer.submit({.runs = {{last.channel, core::ChannelDesign::per_user, 1}},
                   .entries = {{last.sender, {}, last.id, 1}},
                   .cursors = {}});
  };
  const Live live = live_counts(plan_, design, {.tamper = once_more});
  const auto seen = differences(live.sinks, naive_counts(plan_, design));
  ASSERT_EQ(seen.size(), 1U) << joined(seen);
  EXPECT_EQ(seen.front().rfind("queue_entries", 0), 0U) << seen.front();
  EXPECT_EQ(live.queue_faults.size(), 1U) << "and whose queue it is";
  EXPECT_EQ(live.sinks.queue_entries, live.server.queue_entries + 1);
}

TEST_F(ParityUnderAnError, AScanTooManyIsSeen) {
  for (const DesignSpec& design : {all_designs.front(), DesignSpec{QueueDesign::per_group}}) {
    // A login with nothing held, which nobody planned: the scans that it takes are too many.
    const auto seen = sinks_against_naive(design, {.intrude = [](std::uint16_t port) {
                                            test::TestDevice device{1, 9};
                                            device.come_online(port);
                                          }});
    const std::string text = joined(seen);
    EXPECT_NE(text.find("logins"), std::string::npos) << name_of(design.design) << "\n" << text;
    const bool queues = design.design != QueueDesign::per_group;
    EXPECT_NE(text.find(queues ? "queue_scans" : "log_scans"), std::string::npos)
        << name_of(design.design) << "\n"
        << text;
  }
}

TEST_F(ParityUnderAnError, ADeliverySkippedIsSeen) {
  // One live record to one device; what follows in its channel shows the gap, and is repaired.
  std::uint64_t swallowed = 0;
  const auto swallow = [&](const core::Record& record) {
    return record.kind == core::RecordKind::message && swallowed++ == 0;
  };
  const auto seen = sinks_against_naive({QueueDesign::per_group}, {.swallow = swallow});
  EXPECT_NE(joined(seen).find("live_deliveries"), std::string::npos) << joined(seen);
}

TEST_F(ParityUnderAnError, AnyCounterThatDiffersIsNamed) {
  for (const DesignSpec& design : all_designs) {
    const Operations simulated = simulated_counts(plan_, design);
    Operations naive = naive_counts(plan_, design);
    EXPECT_EQ(joined(differences(simulated, naive)), "");
    for (const OperationCounter& counter : operation_counters) {
      if (counter.counter_class == CounterClass::physical) continue;
      ++(naive.*counter.member);
      const auto seen = differences(simulated, naive);
      ASSERT_EQ(seen.size(), 1U) << counter.name;
      EXPECT_EQ(seen.front().rfind(std::string{counter.name} + ":", 0), 0U) << seen.front();
      --(naive.*counter.member);
    }
  }
}

}  // namespace
}  // namespace clamor::parity
