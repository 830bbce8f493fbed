// A real `clamor serve`, of one node or of several, killed with `kill -9` at random moments under
// the load generator's load, and started again on its data and ports. Two judges: the load
// generator's own ledger, and the queues read back in the end (a device would not miss an entry:
// catch-up reads from the log what a queue lacks).
//
// CLAMOR_KILLS: kills in all tests together (8; .ci/run asks for 50). CLAMOR_KILL_SEED repeats the
// moments of a run that printed it.

#include "server/base/queue_design.hpp"
#include "tests/chaos/load.hpp"
#include "tests/designs.hpp"
#include "tests/fixed_port.hpp"
#include "tests/integration/queue_audit.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

struct Case {
  const char* name;
  DesignSpec design;
  double share;  ///< Of all kills.
  std::uint32_t nodes = 1;
  AckAfter ack_after = AckAfter::log;
  Queues queues = Queues::kept;
};
void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }

/// Kills the server at drawn moments and starts it again.
class Killer {
 public:
  /// With `until_redone` a kill that left nothing to redo (it fell right behind a flush) is
  /// followed by up to three more.
  Killer(ServerProcess& server, std::uint64_t seed, std::uint64_t kills, bool until_redone)
      : server_{server}, random_{seed}, planned_{kills}, until_redone_{until_redone} {}

  void run() {
    for (;;) {
      const milliseconds up = draw(150, 900);
      std::this_thread::sleep_for(up);
      if (starts_ > 0) note_redone();
      const bool more = until_redone_ && redone_ == 0 && made_ < planned_ + 3;
      if (made_ >= planned_ && !more) return;
      kill("listening", up);
      server_.launch();
      // Every fifth kill or so hits the start, while it folds the log and redoes the queues.
      if (made_ < planned_ && draw(1, 5) == 1ms) {
        const milliseconds into = draw(0, 60);
        std::this_thread::sleep_for(into);
        kill("starting", into);
        server_.launch();
      }
      server_.await_ready();
      ++starts_;
    }
  }

  [[nodiscard]] std::uint64_t made() const { return made_; }
  [[nodiscard]] double redone() const { return redone_; }
  [[nodiscard]] std::uint64_t starts() const { return starts_; }
  [[nodiscard]] std::uint64_t starts_with_redo() const { return starts_with_redo_; }

 private:
  milliseconds draw(int from, int to) {
    return milliseconds{std::uniform_int_distribution<int>{from, to}(random_)};
  }
  /// Some time after the start: of several nodes each redoes while they listen.
  void note_redone() {
    const double redone = metric(server_, "clamor_fan_out_redone_records_total");
    std::printf("  the start redid %.0f records\n", redone);
    redone_ += redone;
    starts_with_redo_ += redone > 0 ? 1 : 0;
  }
  void kill(const char* while_doing, milliseconds since) {
    server_.kill_hard();
    ++made_;
    std::printf("  kill %llu of %llu: %s for %lld ms\n", static_cast<unsigned long long>(made_),
                static_cast<unsigned long long>(planned_), while_doing,
                static_cast<long long>(since.count()));
  }

  ServerProcess& server_;
  std::mt19937_64 random_;
  std::uint64_t planned_;
  bool until_redone_;
  std::uint64_t made_ = 0;
  std::uint64_t starts_ = 0;
  std::uint64_t starts_with_redo_ = 0;
  double redone_ = 0;
};

class KilledAtRandomMoments : public testing::TestWithParam<Case> {};

TEST_P(KilledAtRandomMoments, TheLedgerIsClean) {
  const Case& test = GetParam();
  const auto all = static_cast<double>(from_environment("CLAMOR_KILLS", 8));
  const auto kills = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(all * test.share + 0.5));
  const std::uint64_t seed = from_environment("CLAMOR_KILL_SEED", std::random_device{}());
  std::printf("  CLAMOR_KILL_SEED=%llu\n", static_cast<unsigned long long>(seed));

  ServerProcess server{
      "durability: os\nstore: {queue_flush_records: 150}\ndesign: " + setting_of(test.design) +
          "\nack_after: " + std::string{name_of(test.ack_after)} + "\n",
      fixed_port(test.nodes), test.nodes};
  if (test.queues == Queues::kept) {
    hold_queues(server.port(), users_of_load);
    ASSERT_EQ(server.stop(), 0);  // So that no kill makes the server forget these devices.
    server.start();
  }
  Load load{test.design, server.ports(), static_cast<int>(kills) * 5s + 10s};
  const bool queued = test.design.design != QueueDesign::per_group;
  Killer killer{server, seed, kills, queued};
  killer.run();
  std::this_thread::sleep_for(500ms);
  const report::RunResult run = load.finish();

  ASSERT_GE(killer.made(), kills);
  expect_clean(run);
  EXPECT_EQ(server.stop(), 0) << server.process().log();
  const QueueAudit queues = audit_queues(server.data(), test.design, test.nodes, test.queues);
  EXPECT_EQ(queues.messages, run.ledger.sent) << "read back from the log";
  EXPECT_EQ(queues.faults.size(), 0U) << "the first: " << queues.faults.front();
  if (test.queues == Queues::kept) {
    EXPECT_EQ(queues.entries > 0, queued);
  } else {
    EXPECT_LT(queues.entries, run.ledger.sent) << "of a dozen times as many entries";
  }
  EXPECT_EQ(queues.mode_records > 0, test.design.design == QueueDesign::adaptive);
  std::printf("  %llu sent, %llu resent, %llu delivered, %.0f records redone by %llu starts\n",
              static_cast<unsigned long long>(run.ledger.sent),
              static_cast<unsigned long long>(run.ledger.resends),
              static_cast<unsigned long long>(run.ledger.delivered), killer.redone(),
              static_cast<unsigned long long>(killer.starts()));
  expect_bitten(run, kills);
  if (queued) {
    EXPECT_GT(killer.redone(), 0);
  }
  if (kills >= 5) {
    EXPECT_GE(2 * killer.starts_with_redo(), queued ? killer.starts() : 0);
  }
}

constexpr DesignSpec hybrid{QueueDesign::hybrid, 12};
constexpr DesignSpec adaptive{.design = QueueDesign::adaptive, .window = window_min};

INSTANTIATE_TEST_SUITE_P(Designs, KilledAtRandomMoments,
                         testing::Values(Case{"per_user", {QueueDesign::per_user}, 0.2},
                                         Case{"per_user_acknowledged_after_fanout",
                                              {QueueDesign::per_user},
                                              0.12,
                                              1,
                                              AckAfter::fanout,
                                              Queues::trimmed},
                                         Case{"per_member", {QueueDesign::per_member}, 0.2},
                                         Case{"hybrid", hybrid, 0.2, 1, AckAfter::log,
                                              Queues::trimmed},
                                         Case{"per_group", {QueueDesign::per_group}, 0.06},
                                         Case{"per_user_on_three_nodes",
                                              {QueueDesign::per_user},
                                              0.12,
                                              3,
                                              AckAfter::log,
                                              Queues::trimmed},
                                         Case{"hybrid_on_three_nodes", hybrid, 0.1, 3},
                                         // What a change of mode leaves behind need not be redone.
                                         Case{"adaptive_on_three_nodes", adaptive, 0.12, 3,
                                              AckAfter::log, Queues::trimmed}),
                         [](const auto& of) { return std::string{of.param.name}; });

// --- forced moments ------------------------------------------------------------------------------

class KilledBetween : public testing::TestWithParam<DesignSpec> {
 protected:
  static constexpr std::uint64_t channel = 10;
  static constexpr std::uint64_t members = 5;

  static void create(std::uint16_t port) {
    TestDevice founder{1, 1};
    founder.come_online(port);
    founder.create(channel, ids_from(1, members));
  }
  /// Sends `count` messages from user 2 on and waits for the acks.
  void say(std::uint16_t port, std::uint64_t count) {
    sender_.come_online(port);
    for (std::uint64_t i = 0; i < count; ++i) sender_.say(channel, "hello");
    sender_.go_offline();
    said_ += count;
  }
  [[nodiscard]] double entries_of(std::uint64_t records) const {
    return static_cast<double>(members * records);
  }
  void expect_all_for(std::uint64_t user, const ServerProcess& server) {
    TestDevice device{user, 1};
    device.come_online(server.port());
    EXPECT_EQ(device.ids(channel), ids_from(1, said_ + 1));
  }

  std::uint64_t said_ = 0;
  TestDevice sender_{2, 1};
};

TEST_P(KilledBetween, AnAppendAndItsQueueEntriesEverythingIsRedone) {
  ServerProcess server{
      "durability: os\nstore: {queue_linger: 10s}\ndesign: " + setting_of(GetParam()) + "\n"};
  create(server.port());
  say(server.port(), 40);
  ASSERT_EQ(metric(server.port(), "clamor_queue_entries_total"), 0) << "the kill is too late";
  server.kill_hard();
  server.start();
  EXPECT_EQ(metric(server.port(), "clamor_fan_out_redone_records_total"), 41);
  EXPECT_EQ(metric(server.port(), "clamor_queue_entries_total"), entries_of(41));
  expect_all_for(5, server);
  EXPECT_EQ(metric(server.port(), "clamor_queue_scans_total"), 1) << "by way of the queue";
  EXPECT_EQ(metric(server.port(), "clamor_log_scans_total"), 0);
}

TEST_P(KilledBetween, TwoFlushesWhatIsAppliedAndNotFlushedIsRedoneAndNothingElse) {
  ServerProcess server{"durability: os\nstore: {queue_flush_records: 100}\ndesign: " +
                       setting_of(GetParam()) + "\n"};
  create(server.port());
  say(server.port(), 150);
  wait_for_queues(server.port());
  // The writer flushes before it writes on: from here its last flush is behind these.
  say(server.port(), 30);
  wait_for_queues(server.port());
  ASSERT_EQ(metric(server.port(), "clamor_queue_entries_total"), entries_of(181))
      << "entries are not applied: the kill is too early";
  server.kill_hard();
  server.start();
  const double redone = metric(server.port(), "clamor_fan_out_redone_records_total");
  EXPECT_GE(redone, 30) << "the kill is too late: they were flushed";
  EXPECT_LT(redone, 30 + 100) << "more than since the last flush";
  EXPECT_EQ(metric(server.port(), "clamor_queue_entries_total"), members * redone);
  for (const std::uint64_t user : {3, 5}) expect_all_for(user, server);
  EXPECT_EQ(metric(server.port(), "clamor_queue_scans_total"), 2) << "by way of the queue";
  EXPECT_EQ(metric(server.port(), "clamor_log_scans_total"), 0);

  // Once more, without a record in between: what was redone is in memory only as well.
  server.kill_hard();
  server.start();
  EXPECT_EQ(metric(server.port(), "clamor_fan_out_redone_records_total"), redone);
  expect_all_for(4, server);
}

INSTANTIATE_TEST_SUITE_P(Designs, KilledBetween,
                         testing::Values(DesignSpec{QueueDesign::per_user},
                                         DesignSpec{QueueDesign::per_member},
                                         DesignSpec{QueueDesign::hybrid, 5}),
                         design_test_name);

}  // namespace
}  // namespace clamor::test
