// One node of three is lost at random moments under the load generator's load, while the others run
// on, and is opened again. In a process with the others its threads end between two events, and its
// queues keep what a flush has made durable; one with a process of its own is killed with it. The
// judges are those of the kill test; besides, sessions that only their user's owner was taken from
// must stay.
//
// CLAMOR_KILLS: nodes lost in all tests together (8; .ci/run asks for 50). CLAMOR_KILL_SEED repeats
// the moments of a run that printed it.

#include "tests/chaos/load.hpp"
#include "tests/designs.hpp"
#include "tests/fixed_port.hpp"
#include "tests/integration/local_nodes.hpp"
#include "tests/integration/queue_audit.hpp"
#include "tests/integration/server_processes.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace clamor::test {
namespace {

using std::chrono::milliseconds;

struct Case {
  const char* name;
  DesignSpec design;
  double share;  ///< Of all kills.
  AckAfter ack_after = AckAfter::log;
  Queues queues = Queues::kept;
  bool processes = false;  ///< A process a node.
};
void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }

/// Takes one node after the other from under the load, and gives it back.
template <class Nodes>
class Loser {
 public:
  Loser(Nodes& nodes, std::uint64_t seed) : nodes_{nodes}, random_{seed} {
    for (std::uint32_t node = 0; node < LocalNodes::count; ++node) {
      visitors_.emplace_back(LocalNodes::user_of(node, first_visitor), 1);
      stayers_.emplace_back(LocalNodes::user_of(node, first_stayer), 1);
      stayers_.back().come_online(nodes.port(gateway_of(node)));
    }
  }

  void lose_one() {
    const milliseconds up = draw(150, 900);
    std::this_thread::sleep_for(up);
    const auto lost = static_cast<std::uint32_t>(draw(0, LocalNodes::count - 1).count());
    const double before = of_others(lost, "clamor_fan_out_redone_records_total");
    const double refused = of_others(lost, unavailable);
    nodes_.drop(lost);
    const milliseconds away = draw(0, 500);
    std::this_thread::sleep_for(away);
    nodes_.start(lost);
    // A login waits until the node lacks nothing: its users' lists and queues are whole then.
    visitors_[lost].come_online(nodes_.port(lost));
    visitors_[lost].go_offline();
    const double redone = of_others(lost, "clamor_fan_out_redone_records_total") - before +
                          metric(nodes_.port(lost), "clamor_fan_out_redone_records_total");
    for (std::uint32_t node = 0; node < LocalNodes::count; ++node) {
      if (gateway_of(node) == lost) stayers_[node].come_online(nodes_.port(lost));
      // On the session that it had. An answer that leaves nothing in logs and queues:
      stayers_[node].client().send(protocol::Leave{{no_channel}});
      EXPECT_EQ(stayers_[node].client().template expect<protocol::Refused>().code,
                protocol::RefusalCode::no_such_channel);
    }
    ++made_;
    redone_ += redone;
    refused_ += of_others(lost, unavailable) - refused;
    redos_ += redone > 0 ? 1 : 0;
    std::printf("  %u: node %u lost after %lld ms, for %lld ms; %.0f records redone\n", made_, lost,
                static_cast<long long>(up.count()), static_cast<long long>(away.count()), redone);
  }

  [[nodiscard]] std::uint32_t made() const { return made_; }
  /// Of those so many left something to redo.
  [[nodiscard]] std::uint32_t redos() const { return redos_; }
  [[nodiscard]] double redone() const { return redone_; }
  /// Requests that the other nodes refused because it was away.
  [[nodiscard]] double refused() const { return refused_; }

 private:
  static constexpr std::uint64_t first_visitor = 10'000;
  static constexpr std::uint64_t first_stayer = 20'000;
  static constexpr std::uint64_t no_channel = 1'000'000;
  static constexpr const char* unavailable = "clamor_refused_total{code=\"unavailable\"}";

  /// Where the session is of the user whom `node` owns and who is to stay.
  [[nodiscard]] static std::uint32_t gateway_of(std::uint32_t node) {
    return (node + 1) % LocalNodes::count;
  }
  milliseconds draw(int from, int to) {
    return milliseconds{std::uniform_int_distribution<int>{from, to}(random_)};
  }
  [[nodiscard]] double of_others(std::uint32_t lost, const char* name) const {
    double sum = 0;
    for (std::uint32_t node = 0; node < LocalNodes::count; ++node) {
      if (node != lost) sum += metric(nodes_.port(node), name);
    }
    return sum;
  }

  Nodes& nodes_;
  std::mt19937_64 random_;
  std::vector<TestDevice> visitors_;  ///< By the node that owns the user, as
  std::vector<TestDevice> stayers_;
  std::uint32_t made_ = 0;
  std::uint32_t redos_ = 0;
  double redone_ = 0;
  double refused_ = 0;
};

template <class Nodes>
void lose_nodes(const Case& test, Nodes& nodes) {
  const auto all = static_cast<double>(from_environment("CLAMOR_KILLS", 8));
  const auto kills = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(all * test.share + 0.5));
  const std::uint64_t seed = from_environment("CLAMOR_KILL_SEED", std::random_device{}());
  std::printf("  CLAMOR_KILL_SEED=%llu\n", static_cast<unsigned long long>(seed));

  if (test.queues == Queues::kept) {
    hold_queues(nodes.port(0), users_of_load);
    EXPECT_EQ(nodes.stop(), 0);  // So that these devices are durable.
    nodes.start_all();
  }
  Load load{test.design, nodes.ports(), static_cast<int>(kills) * 5s + 10s};
  const bool queued = test.design.design != QueueDesign::per_group;
  Loser loser{nodes, seed};
  // One that left nothing to redo (it fell right behind a flush) is followed by up to three more.
  while (loser.made() < kills || (queued && loser.redos() == 0 && loser.made() < kills + 3)) {
    loser.lose_one();
  }
  std::this_thread::sleep_for(500ms);
  const report::RunResult run = load.finish();

  expect_clean(run);
  EXPECT_EQ(nodes.stop(), 0);
  const QueueAudit queues = audit_queues(nodes.data(), test.design, LocalNodes::count, test.queues);
  EXPECT_EQ(queues.messages, run.ledger.sent) << "read back from the logs";
  EXPECT_EQ(queues.faults.size(), 0U) << "the first: " << queues.faults.front();
  if (test.queues == Queues::kept) {
    EXPECT_EQ(queues.entries > 0, queued);
  }
  std::printf("  %llu sent, %llu resent, %.0f refused, %llu delivered, %.0f records redone\n",
              static_cast<unsigned long long>(run.ledger.sent),
              static_cast<unsigned long long>(run.ledger.resends), loser.refused(),
              static_cast<unsigned long long>(run.ledger.delivered), loser.redone());
  expect_bitten(run, kills);
  if (queued) {
    EXPECT_GT(loser.redone(), 0);
  }
  if (kills >= 5) {
    EXPECT_GT(loser.refused(), 0);
    EXPECT_GE(2 * loser.redos(), queued ? loser.made() : 0);
  }
}

class ANodeLostAtRandomMoments : public testing::TestWithParam<Case> {};

TEST_P(ANodeLostAtRandomMoments, TheLedgerIsClean) {
  const Case& test = GetParam();
  const std::string settings =
      "durability: os\nstore: {queue_flush_records: 150}\ndesign: " + setting_of(test.design) +
      "\nack_after: " + std::string{name_of(test.ack_after)} + "\n";
  if (test.processes) {
    ServerProcesses nodes{settings, LocalNodes::count};
    lose_nodes(test, nodes);
  } else {
    LocalNodes nodes{settings, fixed_port(LocalNodes::count)};
    lose_nodes(test, nodes);
  }
}

constexpr DesignSpec hybrid{QueueDesign::hybrid, 12};

INSTANTIATE_TEST_SUITE_P(Designs, ANodeLostAtRandomMoments,
                         testing::Values(Case{"per_user", {QueueDesign::per_user}, 0.2},
                                         Case{"per_user_acknowledged_after_fanout",
                                              {QueueDesign::per_user},
                                              0.2,
                                              AckAfter::fanout,
                                              Queues::trimmed},
                                         Case{"per_member", {QueueDesign::per_member}, 0.15},
                                         Case{"hybrid", hybrid, 0.15},
                                         Case{"per_group", {QueueDesign::per_group}, 0.1},
                                         Case{.name = "hybrid_in_processes",
                                              .design = hybrid,
                                              .share = 0.2,
                                              .processes = true}),
                         [](const auto& of) { return std::string{of.param.name}; });

}  // namespace
}  // namespace clamor::test
