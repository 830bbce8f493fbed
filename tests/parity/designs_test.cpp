#include "tests/designs.hpp"

#include "loadgen/net/schedule.hpp"
#include "scenarios/model/plan.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"
#include "tests/e2e/record_dropping_proxy.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/parity/differences.hpp"
#include "tests/parity/live_counts.hpp"
#include "tests/parity/naive_counts.hpp"
#include "tests/parity/town.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <gmock/gmock.h>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The rule that makes the product true: for one plan the live server, the simulator and a naive
// loop over the plan count the same, operation by operation, under every design. Live counts are
// taken at the sinks (records and queue entries read back from the store, records decoded by the
// clients), beside the server's own. Then the proof that this can fail: each deliberate error, made
// where it would happen, turns the comparison red.
namespace clamor::parity {
namespace {

using scenario::Plan;
using testing::Contains;
using testing::StartsWith;

/// Deliberate errors in a live run, each made where a server would make it; see live_counts.
struct Errors {
  std::function<bool(const core::Record&)> swallow;  ///< Live records on their way to a client.
  std::function<void(std::uint16_t port)> intrude;   ///< Called once, within the measured window.
  bool lose_memory = false;  ///< Queue entries in memory die with the server, not redone.
  std::function<void(store::Store&)> tamper;  ///< With its store, once it is gone.
};

Live live_counts(const Plan& plan, const DesignSpec& design, const Errors& errors = {}) {
  test::ServerProcess server{"durability: os\ndesign: " + test::setting_of(design) + "\n"};
  test::RecordDroppingProxy proxy{server.port(), [&](std::uint32_t, const core::Record& record) {
                                    return errors.swallow && errors.swallow(record);
                                  }};
  test::hold_queues(server.port(), plan.users());
  const report::RunResult run =
      run_live(plan, design, {errors.swallow ? proxy.port() : server.port()}, [&] {
        if (errors.intrude) errors.intrude(server.port());
      });
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

  return counts_of(plan, run, server.data(), 1);
}

class Parity : public testing::TestWithParam<DesignSpec> {};

TEST_P(Parity, LiveSimulatedAndNaiveCountsAreEqual) {
  const Plan plan{town(1)};
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
  for (const auto kind :
       {&Operations::edits, &Operations::deletions, &Operations::reactions, &Operations::replies,
        &Operations::mentions, &Operations::typing_notices, &Operations::typing_deliveries}) {
    ASSERT_GT(naive.*kind, 0U) << "the plan has not all kinds of records and notices";
  }

  EXPECT_EQ(joined(differences(simulated_counts(plan, GetParam()), naive)), "")
      << "simulated != naive";
  const Live live = live_counts(plan, GetParam());
  EXPECT_EQ(joined(differences(live.server, naive)), "") << "counted by the server != naive";
  EXPECT_EQ(joined(differences(live.sinks, naive)), "") << "counted at the sinks != naive";
  EXPECT_GT(live.server.typing_deliveries, 0U);
  EXPECT_EQ(joined(live.queue_faults), "");
  EXPECT_EQ(live.ledger.sent, naive.records);
  EXPECT_EQ(live.ledger.lost + live.ledger.duplicated + live.ledger.reordered, 0U);
}

TEST(ParityUnderAdaptive, LiveSimulatedAndNaiveCountsAreEqual) {
  const Plan plan = plan_of_changes(commuters(1));
  const Operations naive = naive_counts(plan, adaptive);
  ASSERT_GT(naive.queue_entries * naive.queue_scans * naive.log_scans, 0U);
  EXPECT_EQ(joined(differences(simulated_counts(plan, adaptive), naive)), "")
      << "simulated != naive";
  const Live live = live_counts(plan, adaptive);
  EXPECT_EQ(joined(differences(live.server, naive)), "") << "counted by the server != naive";
  EXPECT_EQ(joined(differences(live.sinks, naive)), "") << "counted at the sinks != naive";
  EXPECT_EQ(joined(live.queue_faults), "");
}

INSTANTIATE_TEST_SUITE_P(Designs, Parity, testing::ValuesIn(all_designs), test::design_test_name);

// --- the comparison can fail ---------------------------------------------------------------------

class ParityUnderAnError : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE((NaiveCount{plan_, all_designs.front()}.quiet(margin))); }

  const Plan plan_{village(1)};

  /// That has the most messages.
  [[nodiscard]] static ChannelId busiest_channel(const Plan& plan) {
    std::vector<scenario::Send> sends;
    for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends);
    std::vector<std::uint32_t> counts(plan.channels());
    for (const scenario::Send& send : sends) ++counts[send.channel];
    const auto most = std::max_element(counts.begin(), counts.end());
    return Plan::channel_id(static_cast<std::uint32_t>(most - counts.begin()));
  }

  struct Message {
    ChannelId channel;
    MessageId id;
  };

  /// The first message of its channel in a step that brings others to that channel.
  /// @pre the plan's sends are messages
  static Message followed_by_others(const Plan& plan) {
    const std::vector<Instant> points = loadgen::quiet_points(plan);
    std::vector<scenario::Send> sends;
    for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends);
    std::map<std::pair<std::ptrdiff_t, std::uint32_t>, std::uint64_t> counts;  // step, channel
    for (const scenario::Send& send : sends) {
      const auto step = std::upper_bound(points.begin(), points.end(), send.due) - points.begin();
      ++counts[{step, send.channel}];
    }
    const auto busiest =
        std::max_element(counts.begin(), counts.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    std::uint64_t before = 1;  // the channel's creation
    for (const auto& [where, count] : counts) {
      const bool earlier =
          where.second == busiest->first.second && where.first < busiest->first.first;
      before += earlier ? count : 0;
    }
    EXPECT_GT(busiest->second, 2U);
    return {Plan::channel_id(busiest->first.second), MessageId{before + 1}};
  }

  /// Lines that are there with the errors; without them the same comparison is green.
  static std::vector<std::string> sinks_against_naive(const Plan& plan, const DesignSpec& design,
                                                      const Errors& errors) {
    const Operations naive = naive_counts(plan, design);
    EXPECT_EQ(joined(differences(simulated_counts(plan, design), naive)), "");
    return differences(live_counts(plan, design, errors).sinks, naive);
  }
};

TEST_F(ParityUnderAnError, ALiveRunWithoutOneIsGreen) {
  EXPECT_EQ(joined(sinks_against_naive(plan_, {QueueDesign::per_user}, {})), "");
}

TEST_F(ParityUnderAnError, QueueEntriesSkippedAreSeen) {
  for (const QueueDesign design : {QueueDesign::per_user, QueueDesign::per_member}) {
    const Live live = live_counts(plan_, {design}, {.lose_memory = true});
    const auto seen = differences(live.sinks, naive_counts(plan_, {design}));
    ASSERT_EQ(seen.size(), 2U) << joined(seen);
    EXPECT_EQ(seen[0].rfind("queue_entries", 0), 0U) << seen[0];
    EXPECT_EQ(seen[1].rfind("record_user_partition_pairs", 0), 0U) << seen[1];
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
    const auto seen = sinks_against_naive(plan_, design, {.intrude = [](std::uint16_t port) {
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
  // One live record to one device. What follows in its channel shows the gap, also where that is
  // the ack of an own send, and a catch-up repairs it.
  const Plan plan{plain_village(1)};
  const Message first = followed_by_others(plan);
  std::uint64_t swallowed = 0;
  const auto swallow = [&](const core::Record& record) {
    return record.channel == first.channel && record.id == first.id && swallowed++ == 0;
  };
  const auto seen = sinks_against_naive(plan, {QueueDesign::per_group}, {.swallow = swallow});
  EXPECT_THAT(seen, Contains(StartsWith("live_deliveries"))) << joined(seen);
  EXPECT_THAT(seen, Contains(StartsWith("logins"))) << joined(seen);
}

TEST_F(ParityUnderAnError, AStepThatNeverComesToRestEndsTheRun) {
  // Nothing in its channel reaches the device any more: no gap shows what it lacks.
  const ChannelId busiest = busiest_channel(plan_);
  test::ServerProcess server{"durability: os\n"};
  test::RecordDroppingProxy proxy{server.port(), [&](std::uint32_t, const core::Record& record) {
                                    return record.channel == busiest;
                                  }};
  try {
    (void)run_live(plan_, all_designs.front(), {proxy.port()}, {}, 2s);
    FAIL() << "the plan went on";
  } catch (const loadgen::LoadError& error) {
    EXPECT_NE(std::string_view{error.what()}.find("not at rest within 2s"), std::string_view::npos)
        << error.what();
  }
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
