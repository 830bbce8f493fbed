// Three nodes in three processes, with links between them: live, simulated and naive counts agree
// as they do where one process hosts the nodes.

#include "scenarios/model/plan.hpp"
#include "tests/designs.hpp"
#include "tests/integration/server_processes.hpp"
#include "tests/parity/differences.hpp"
#include "tests/parity/live_counts.hpp"
#include "tests/parity/naive_counts.hpp"
#include "tests/parity/town.hpp"

#include <gtest/gtest.h>

namespace clamor::parity {
namespace {

class ParityOfProcesses : public testing::TestWithParam<DesignSpec> {};

TEST_P(ParityOfProcesses, LiveSimulatedAndNaiveCountsAreEqual) {
  constexpr std::uint32_t nodes = 3;
  const scenario::Plan plan{town(nodes)};
  NaiveCount naive_count{plan, GetParam()};
  ASSERT_TRUE(naive_count.quiet(margin));
  const Operations naive = naive_count.count();
  ASSERT_GT(naive_count.pairs_between_nodes(), naive.records) << "hardly anything crosses links";
  EXPECT_EQ(joined(differences(simulated_counts(plan, GetParam()), naive)), "")
      << "simulated != naive";

  test::ServerProcesses servers{"durability: os\ndesign: " + test::setting_of(GetParam()) + "\n",
                                nodes};
  test::hold_queues(servers.ports().front(), plan.users());
  const report::RunResult run = run_live(plan, GetParam(), servers.ports(), {});
  EXPECT_EQ(servers.stop(), 0);
  EXPECT_GT(run.operations.bus_frames, 0U);
  const Live live = counts_of(plan, run, servers.data(), nodes);
  EXPECT_EQ(joined(differences(live.server, naive)), "") << "counted by the nodes != naive";
  EXPECT_EQ(joined(differences(live.sinks, naive)), "") << "counted at the sinks != naive";
  EXPECT_EQ(joined(live.queue_faults), "");
  EXPECT_EQ(live.ledger.sent, naive.records);
  EXPECT_EQ(live.ledger.delivered, live.ledger.expected);
  EXPECT_EQ(live.ledger.lost + live.ledger.duplicated + live.ledger.reordered, 0U);
}

// hybrid holds channels of two other designs.
INSTANTIATE_TEST_SUITE_P(Designs, ParityOfProcesses,
                         testing::Values(DesignSpec{QueueDesign::hybrid, threshold}),
                         test::design_test_name);

}  // namespace
}  // namespace clamor::parity
