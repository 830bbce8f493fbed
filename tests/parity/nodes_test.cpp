// Three nodes in one process: live, simulated and naive counts agree there too, and what crosses
// the bus is counted where it passes. Then each deliberate error, made where it would happen, turns
// the comparison red.

#include "scenarios/model/plan.hpp"
#include "tests/designs.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/parity/differences.hpp"
#include "tests/parity/live_counts.hpp"
#include "tests/parity/naive_counts.hpp"
#include "tests/parity/observed_nodes.hpp"
#include "tests/parity/town.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <gmock/gmock.h>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace clamor::parity {
namespace {

using scenario::Plan;
using testing::Contains;
using testing::ElementsAre;
using testing::StartsWith;

constexpr std::uint32_t nodes = 3;

struct LiveNodes {
  Live counts;
  // By the bus between them.
  std::uint64_t pairs_seen = 0;     ///< (record, node)
  std::uint64_t interest_seen = 0;  ///< (channel, node)
};

/// `meanwhile` gets a port of a gateway, once within the measured window.
LiveNodes live_counts(const Plan& plan, const DesignSpec& design, ObservedNodes::Spoil spoil = {},
                      const std::function<void(std::uint16_t port)>& meanwhile = {}) {
  ObservedNodes servers{design, nodes, std::move(spoil)};
  test::hold_queues(servers.ports().front(), plan.users());
  const report::RunResult run = run_live(plan, design, servers.ports(), [&] {
    if (meanwhile) meanwhile(servers.ports().back());
  });
  servers.stop();
  return {counts_of(plan, run, servers.data(), nodes), servers.pairs_seen(),
          servers.interest_seen()};
}

std::vector<std::string> sinks_against_naive(const Plan& plan, const DesignSpec& design,
                                             const LiveNodes& live) {
  NaiveCount naive{plan, design};
  auto seen = differences(live.counts.sinks, naive.count());
  const auto compare = [&](const char* what, std::uint64_t by_bus, std::uint64_t by_plan) {
    if (by_bus == by_plan) return;
    seen.push_back(std::string{what} + ": " + std::to_string(by_bus) +
                   " != " + std::to_string(by_plan));
  };
  compare("pairs between nodes", live.pairs_seen, naive.pairs_between_nodes());
  compare("interest between nodes", live.interest_seen, naive.interest_between_nodes());
  return seen;
}

void print_physical(const Operations& live, const Operations& simulated) {
  for (const OperationCounter& counter : operation_counters) {
    if (counter.counter_class != CounterClass::physical) continue;
    std::printf("  %-16s live %12llu  simulated %12llu\n", std::string{counter.name}.c_str(),
                static_cast<unsigned long long>(live.*counter.member),
                static_cast<unsigned long long>(simulated.*counter.member));
  }
}

class ParityOfNodes : public testing::TestWithParam<DesignSpec> {};

TEST_P(ParityOfNodes, LiveSimulatedAndNaiveCountsAreEqual) {
  const Plan plan{town(nodes)};
  NaiveCount naive_count{plan, GetParam()};
  ASSERT_TRUE(naive_count.quiet(margin));
  const Operations naive = naive_count.count();
  ASSERT_GT(naive_count.pairs_between_nodes(), naive.records) << "hardly anything crosses the bus";
  ASSERT_LT(naive_count.pairs_between_nodes(), naive.record_node_pairs);
  ASSERT_LT(naive.record_node_pairs, nodes * naive.records) << "every record goes everywhere";
  ASSERT_GT(naive.interest_updates, 0U) << "nobody comes to a node as a channel's first";
  for (const auto kind :
       {&Operations::edits, &Operations::deletions, &Operations::reactions, &Operations::replies,
        &Operations::mentions, &Operations::typing_notices, &Operations::typing_deliveries}) {
    ASSERT_GT(naive.*kind, 0U) << "the plan has not all kinds of records and notices";
  }

  const Operations simulated = simulated_counts(plan, GetParam());
  EXPECT_EQ(joined(differences(simulated, naive)), "") << "simulated != naive";
  const LiveNodes live = live_counts(plan, GetParam());
  EXPECT_EQ(joined(differences(live.counts.server, naive)), "") << "counted by the nodes != naive";
  EXPECT_EQ(joined(sinks_against_naive(plan, GetParam(), live)), "")
      << "counted at the sinks != naive";
  EXPECT_EQ(joined(live.counts.queue_faults), "");
  const LedgerTotals& ledger = live.counts.ledger;
  EXPECT_EQ(ledger.sent, naive.records);
  EXPECT_EQ(ledger.lost + ledger.duplicated + ledger.reordered, 0U);
  print_physical(live.counts.server, simulated);
}

TEST(ParityUnderAdaptive, LiveSimulatedAndNaiveCountsOfThreeNodesAreEqual) {
  const Plan plan = plan_of_changes(commuters(nodes));
  const Operations naive = naive_counts(plan, adaptive);
  ASSERT_GT(naive.queue_entries * naive.queue_scans * naive.log_scans, 0U);
  EXPECT_EQ(joined(differences(simulated_counts(plan, adaptive), naive)), "")
      << "simulated != naive";
  const LiveNodes live = live_counts(plan, adaptive);
  EXPECT_EQ(joined(differences(live.counts.server, naive)), "") << "counted by the nodes != naive";
  EXPECT_EQ(joined(differences(live.counts.sinks, naive)), "") << "counted at the sinks != naive";
  EXPECT_EQ(joined(live.counts.queue_faults), "");
}

/// The village's day after a history: what the channels hold when it begins is in the stores and in
/// the queues, in nobody's catch-up, and in no counter of the day.
TEST_P(ParityOfNodes, APreFillIsInTheStoresAndInNoCounter) {
  scenario::Scenario scenario = village(nodes);
  scenario.prefill_messages = 3'000;
  const Plan plan{scenario};
  NaiveCount naive_count{plan, GetParam()};
  ASSERT_TRUE(naive_count.quiet(margin));
  const Operations naive = naive_count.count();
  const std::uint64_t entries = naive_count.prefill_entries();

  const report::RunResult simulated = run_simulated(plan, GetParam());
  EXPECT_EQ(joined(differences(simulated.operations, naive)), "") << "simulated != naive";
  const Live live = live_counts(plan, GetParam()).counts;
  EXPECT_EQ(joined(differences(live.server, naive)), "") << "counted by the nodes != naive";
  for (const report::Prefill& prefill : {live.prefill, simulated.prefill}) {
    EXPECT_EQ(prefill.records, 3'000U);
    EXPECT_EQ(prefill.queue_entries, entries);
  }
  EXPECT_GT(live.prefill.bytes, 3'000U * 100) << "each message has 100 bytes and its header";
  EXPECT_EQ(live.sinks.records, naive.records + 3'000U);
  EXPECT_EQ(live.sinks.queue_entries, naive.queue_entries + entries);
  EXPECT_EQ(live.sinks.live_deliveries, naive.live_deliveries);
  EXPECT_EQ(live.sinks.catch_up_deliveries, naive.catch_up_deliveries);
  EXPECT_EQ(joined(live.queue_faults), "") << "the queues hold the history as well";
  EXPECT_EQ(live.ledger.sent, naive.records);
  EXPECT_EQ(live.ledger.lost + live.ledger.duplicated + live.ledger.reordered, 0U);
}

/// Who is told of whom, and how often: nobody of who is cut off and back before the second look.
TEST(ParityOfPresence, LiveSimulatedAndNaiveCountsAreEqual) {
  const DesignSpec design{QueueDesign::per_group};
  const auto is_quiet = [&](const scenario::Scenario& scenario) {
    const Plan plan{scenario};
    const NaiveCount count{plan, design};
    return count.quiet(margin) && count.presence_is_quiet(1s);
  };
  // A live run makes all returns in one step: no two partners may be away, as most draws have it.
  scenario::Scenario scenario = square(nodes);
  while (scenario.seed < 500 && !is_quiet(scenario)) ++scenario.seed;
  ASSERT_TRUE(is_quiet(scenario));
  const Plan plan{scenario};
  const Operations naive = naive_counts(plan, design);
  ASSERT_GT(naive.presence_changes, 4U);
  ASSERT_GT(naive.presence_notices, 10 * naive.presence_changes) << "the faults cut nobody off";

  const report::RunResult simulated = run_simulated(plan, design);
  EXPECT_EQ(joined(differences(simulated.operations, naive)), "") << "simulated != naive";
  const Histogram offline = report::select_histogram(simulated, "offline_notice_latency", {});
  EXPECT_GE(offline.min(), 2'000'000'000U) << "after the second look";
  EXPECT_LT(offline.max(), 2'400'000'000U) << "but then within two steps";

  test::ServerProcess server{
      "durability: os\ndesign: per_group\n"
      // A step that reads "everybody comes back at once" takes the machine its time: longer looks
      // than the plan's tell the same, as every step waits for those that are due.
      "heartbeat: {interval: 1s, offline_after: 6s, offline_delay: 5s}\n",
      0, nodes};
  const report::RunResult run = run_live(plan, design, server.ports(), {});
  EXPECT_EQ(server.stop(), 0);
  const Live live = counts_of(plan, run, server.data(), nodes);
  EXPECT_EQ(joined(differences(live.server, naive)), "") << "counted by the nodes != naive";
  EXPECT_EQ(joined(differences(live.sinks, naive)), "") << "told to the clients != naive";
}

INSTANTIATE_TEST_SUITE_P(Designs, ParityOfNodes, testing::ValuesIn(all_designs),
                         test::design_test_name);

// --- the comparison can fail ---------------------------------------------------------------------

class ParityOfNodesUnderAnError : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE((NaiveCount{plan_, all_designs.front()}.quiet(margin))); }

  [[nodiscard]] bool is_in(ChannelId channel, std::string_view group) const {
    const auto index = static_cast<std::uint32_t>(channel.value - 1);
    return plan_.class_name(plan_.class_of(index)) == group;
  }

  const Plan plan_{village(nodes)};
};

TEST_F(ParityOfNodesUnderAnError, ALiveRunWithoutOneIsGreen) {
  const LiveNodes live = live_counts(plan_, all_designs.front());
  EXPECT_EQ(joined(sinks_against_naive(plan_, all_designs.front(), live)), "");
}

TEST_F(ParityOfNodesUnderAnError, ANodeSkippedIsSeenAndRepaired) {
  const Plan plan{plain_village(nodes)};
  for (const DesignSpec& design : {all_designs.front(), DesignSpec{QueueDesign::per_group}}) {
    // One record of a busy group does not go to one node: not the sender's, whose ack is with it.
    bool skipped = false;
    const auto skip = [&](bus::Message& message) {
      auto* const published = std::get_if<bus::Published>(&message);
      if (published == nullptr || skipped) return;
      for (bus::Published::Entry& entry : published->entries) {
        const core::Record& record = published->commit->batch.record(entry.record);
        if (!entry.live || entry.answer.kind != bus::Answer::Kind::none) continue;
        if (record.kind != core::RecordKind::message || !is_in(record.channel, "g21")) continue;
        entry.live = false;
        skipped = true;
        return;
      }
    };
    const LiveNodes live = live_counts(plan, design, skip);
    EXPECT_THAT(sinks_against_naive(plan, design, live),
                ElementsAre(StartsWith("pairs between nodes")))
        << name_of(design.design) << ": the node reads the record from the log once it is missed";
    const LedgerTotals& ledger = live.counts.ledger;
    EXPECT_EQ(ledger.lost + ledger.reordered + ledger.gaps, 0U) << "no device has seen a gap";
  }
}

TEST_F(ParityOfNodesUnderAnError, AQueueEntrySkippedIsSeen) {
  for (const QueueDesign design : {QueueDesign::per_user, QueueDesign::per_member}) {
    // The last message of a batch, however many it has: not for its last member.
    bool skipped = false;
    const auto skip = [&](bus::Message& message) {
      auto* const batch = std::get_if<bus::FanOutBatch>(&message);
      if (batch == nullptr || skipped || batch->fan_out.entries.empty()) return;
      store::FanOut& fan_out = batch->fan_out;
      const std::size_t runs = fan_out.runs.size();
      const std::size_t begin = runs < 2 ? 0 : fan_out.runs[runs - 2].entries_end;
      core::DurableEntry& last = fan_out.entries.back();
      if (last.first + (last.count - 1) == MessageId{1}) return;  // a channel's creation
      if (last.count > 1) {
        --last.count;
      } else if (fan_out.entries.size() - begin > 1) {
        fan_out.entries.pop_back();
        fan_out.runs.back().entries_end = fan_out.entries.size();
      } else {
        return;
      }
      skipped = true;
    };
    const LiveNodes live = live_counts(plan_, {design}, skip);
    const auto seen = sinks_against_naive(plan_, {design}, live);
    EXPECT_THAT(seen, Contains(StartsWith("queue_entries"))) << joined(seen);
    EXPECT_EQ(live.counts.queue_faults.size(), 1U) << "and whose queue it is";
    EXPECT_EQ(live.counts.ledger.lost, 0U) << "what a queue lacks is read from the log";
  }
}

TEST_F(ParityOfNodesUnderAnError, AnEditThatBecomesAReplyIsSeen) {
  bool changed = false;
  const auto change = [&](bus::Message& message) {
    auto* const send = std::get_if<bus::SendRequest>(&message);
    if (send == nullptr || changed || send->kind != core::RecordKind::edit) return;
    send->kind = core::RecordKind::message;
    changed = true;
  };
  const LiveNodes live = live_counts(plan_, all_designs.front(), change);
  ASSERT_TRUE(changed) << "no edit crosses the bus";
  EXPECT_THAT(sinks_against_naive(plan_, all_designs.front(), live),
              ElementsAre(StartsWith("edits"), StartsWith("replies")));
  EXPECT_EQ(live.counts.ledger.replaced, 1U) << "its sender knows what it sent";
}

TEST_F(ParityOfNodesUnderAnError, AScanTooManyIsSeen) {
  for (const DesignSpec& design : {all_designs.front(), DesignSpec{QueueDesign::per_group}}) {
    // A login with nothing held, which nobody planned: the scans that it takes are too many.
    const auto intrude = [](std::uint16_t port) {
      test::TestDevice device{1, 9};
      device.come_online(port);
    };
    const LiveNodes live = live_counts(plan_, design, {}, intrude);
    const auto seen = sinks_against_naive(plan_, design, live);
    const bool queues = design.design != QueueDesign::per_group;
    EXPECT_THAT(seen, Contains(StartsWith("logins"))) << joined(seen);
    EXPECT_THAT(seen, Contains(StartsWith(queues ? "queue_scans" : "log_scans"))) << joined(seen);
  }
}

}  // namespace
}  // namespace clamor::parity
