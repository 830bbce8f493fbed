#include "server/core/placement.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <rapidcheck.h>
#include <vector>

namespace clamor::core {
namespace {

std::vector<NodeId> nodes_up_to(std::uint32_t count) {
  std::vector<NodeId> nodes;
  for (std::uint32_t i = 1; i <= count; ++i) nodes.push_back({i});
  return nodes;
}

TEST(Placement, PartitionsAreThePowerOfTwoFromFourTimesTheServers) {
  for (const auto& [servers, partitions] :
       {std::pair{1U, 4U}, {2U, 8U}, {3U, 16U}, {4U, 16U}, {5U, 32U}, {55U, 256U}}) {
    EXPECT_EQ(partition_count(servers), partitions) << servers;
  }
}

TEST(Placement, DenseChannelsAndUsersSpreadEvenlyOverPartitions) {
  constexpr std::uint32_t partitions = 16;
  constexpr std::uint64_t count = 16'000;
  std::vector<int> channels(partitions), users(partitions);
  for (std::uint64_t i = 1; i <= count; ++i) {
    ++channels[partition_of(ChannelId{i}, partitions).value];
    ++users[partition_of(UserId{i}, partitions).value];
  }
  for (std::uint32_t p = 0; p < partitions; ++p) {
    EXPECT_NEAR(channels[p], 1000, 150) << p;
    EXPECT_NEAR(users[p], 1000, 150) << p;
  }
}

// Goal: a node's death must not move what it did not own.
TEST(Placement, DeathOfANodeMovesOnlyItsOwnPartitionsAndUsers) {
  EXPECT_TRUE(rc::check([] {
    const auto count = *rc::gen::inRange<std::uint32_t>(2, 12);
    const std::vector<NodeId> all = nodes_up_to(count);
    const NodeId dead{*rc::gen::inRange<std::uint32_t>(1, count + 1)};
    std::vector<NodeId> live = all;
    std::erase(live, dead);
    for (std::uint32_t p = 0; p < 256; ++p) {
      const NodeId before = owner_of(PartitionId{p}, all);
      const NodeId after = owner_of(PartitionId{p}, live);
      RC_ASSERT(after != dead);
      RC_ASSERT(before == dead || after == before);
      const NodeId gateway = gateway_of(UserId{p}, all);
      RC_ASSERT(gateway == dead || gateway_of(UserId{p}, live) == gateway);
    }
  }));
}

TEST(Placement, OrderInWhichNodesAreListedDoesNotMatter) {
  std::vector<NodeId> nodes = nodes_up_to(7);
  std::vector<NodeId> reversed{nodes.rbegin(), nodes.rend()};
  for (std::uint32_t p = 0; p < 64; ++p) {
    EXPECT_EQ(owner_of(PartitionId{p}, nodes), owner_of(PartitionId{p}, reversed));
    EXPECT_EQ(gateway_of(UserId{p}, nodes), gateway_of(UserId{p}, reversed));
  }
}

TEST(Placement, NodesShareUsersEvenly) {
  const std::vector<NodeId> nodes = nodes_up_to(10);
  std::vector<int> users(11);
  for (std::uint64_t user = 1; user <= 10'000; ++user) {
    ++users[gateway_of(UserId{user}, nodes).value];
  }
  for (std::uint32_t node = 1; node <= 10; ++node) EXPECT_NEAR(users[node], 1000, 150) << node;
}

}  // namespace
}  // namespace clamor::core
