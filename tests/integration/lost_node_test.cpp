// One node of several is lost, as by a kill, while the others run on, and comes back: what clients
// of the others see of it.

#include "scenarios/yaml/config_error.hpp"
#include "tests/designs.hpp"
#include "tests/integration/local_nodes.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace clamor::test {
namespace {

using protocol::RefusalCode;

constexpr std::uint32_t lost = 2;

void hear_up_to(TestDevice& device, std::uint64_t channel, std::uint64_t id) {
  while (device.position(channel) < id) device.hear();
}

/// Node 0 owns alice and `near`, the lost node bob and `far`; both are at gateways that stay.
struct Town {
  explicit Town(const std::string& settings) : nodes{"durability: os\n" + settings} {
    alice.come_online(nodes.port(0));
    bob.come_online(nodes.port(1));
    for (const std::uint64_t channel : {near, far}) {
      alice.create(channel, {alice.user(), bob.user()});
      hear_up_to(alice, channel, 1);
      hear_up_to(bob, channel, 1);
    }
    for (const std::uint16_t port : nodes.ports()) wait_for_queues(port);
  }
  [[nodiscard]] double redone(std::uint32_t node) const {
    return metric(nodes.port(node), "clamor_fan_out_redone_records_total");
  }

  LocalNodes nodes;
  TestDevice alice{LocalNodes::user_of(0), 1};
  TestDevice bob{LocalNodes::user_of(lost), 1};
  const std::uint64_t near = LocalNodes::channel_of(0, 10);
  const std::uint64_t far = LocalNodes::channel_of(lost, 10);
};

/// Says something in a channel whose owner is away.
protocol::Refused refused_send(TestDevice& device, std::uint64_t channel) {
  device.send(channel, device.sent(channel) + 1, "to nobody");
  return device.client().expect<protocol::Refused>();
}

class OneNodeIsLost : public testing::TestWithParam<DesignSpec> {
 protected:
  Town town_{"store: {queue_flush_records: 100}\ncatch_up: {tail_age: 0s}\ndesign: " +
             setting_of(GetParam()) + "\n"};
};

TEST_P(OneNodeIsLost, WhatConcernsItIsRefusedAndEverythingElseGoesOn) {
  auto& [nodes, alice, bob, near, far] = town_;
  TestDevice carol{LocalNodes::user_of(1), 1};
  carol.come_online(nodes.port(lost));
  nodes.drop(lost);
  EXPECT_EQ(carol.client().expect_close().code, 0) << "its clients' connections break";

  const auto refused = refused_send(alice, far);
  EXPECT_EQ(refused.code, RefusalCode::unavailable);
  EXPECT_EQ(refused.channel, ChannelId{far});
  EXPECT_GT(refused.retry_after, Duration{});
  TestClient bobs_phone{nodes.port(0)};
  bobs_phone.upgrade();
  const std::string token = token_of(bob.user());
  bobs_phone.send(TestDevice{bob.user(), 2}.login(token));
  EXPECT_EQ(bobs_phone.expect<protocol::Refused>().code, RefusalCode::unavailable);
  EXPECT_EQ(bobs_phone.expect_close().code, 1011);

  EXPECT_EQ(alice.say(near, "without it"), MessageId{2});
  EXPECT_EQ(bob.hear().body, "without it") << "bob's owner is gone, his session is not";
  EXPECT_EQ(bob.say(near, "I am here"), MessageId{3});
  EXPECT_EQ(alice.hear().body, "I am here");
  carol.come_online(nodes.port(1));
}

TEST_P(OneNodeIsLost, ItsReturnClosesNobodyAndLacksNothing) {
  auto& [nodes, alice, bob, near, far] = town_;
  const double redone = town_.redone(0);
  for (int round = 0; round < 2; ++round) {
    alice.say(far, "just before");
    hear_up_to(bob, far, alice.position(far));
    nodes.drop(lost);
    alice.say(near, "meanwhile");
    hear_up_to(bob, near, alice.position(near));
    nodes.start(lost);
    // What follows on the same connections says that nobody was closed.
    alice.say(far, "it is back");
    EXPECT_EQ(bob.hear().body, "it is back");
    EXPECT_EQ(bob.say(far, "so it is"), MessageId{alice.position(far) + 1});
    EXPECT_EQ(alice.hear().body, "so it is");
  }
  // Logins wait until it lacks nothing. Its users' lists and queues are as if nothing had been.
  TestDevice bobs_phone{bob.user(), 2};
  bobs_phone.come_online(nodes.port(lost));
  EXPECT_EQ(bobs_phone.ids(near), ids_from(1, alice.position(near)));
  EXPECT_EQ(bobs_phone.ids(far), ids_from(1, alice.position(far)));
  // Near's first record was in bob's list only, and no flush had made it durable.
  EXPECT_GE(town_.redone(0) - redone, 2 + 1) << "the kill did not bite";
  // A session that stayed is known to its user's owner: a channel that begins now reaches it.
  alice.create(far + 1000, {alice.user(), bob.user()});
  hear_up_to(bob, far + 1000, 1);
  nodes.stop();
}

TEST_P(OneNodeIsLost, BetweenTwoFlushesWhatIsSinceTheLastIsRedoneAndNothingElse) {
  auto& [nodes, alice, bob, near, far] = town_;
  for (int i = 0; i < 150; ++i) alice.say(near, "flushed, but for the latest");
  wait_for_queues(nodes.port(0));
  // The writer flushes before it writes on: from here its last flush is behind these.
  for (int i = 0; i < 30; ++i) alice.say(near, "in memory");
  wait_for_queues(nodes.port(0));
  const double redone = town_.redone(0);
  nodes.drop(lost);
  nodes.start(lost);
  TestDevice bobs_phone{bob.user(), 2};
  bobs_phone.come_online(nodes.port(lost));
  EXPECT_GE(town_.redone(0) - redone, 30) << "the kill is too late: they were flushed";
  if (GetParam().design !=
      QueueDesign::per_group) {  // Its commits owe no entry: cursors lag a tick.
    EXPECT_LT(town_.redone(0) - redone, 30 + 100) << "more than since the last flush";
  }
  EXPECT_EQ(bobs_phone.ids(near), ids_from(1, 181));
  hear_up_to(bob, near, 181);
}

INSTANTIATE_TEST_SUITE_P(Designs, OneNodeIsLost,
                         testing::Values(DesignSpec{QueueDesign::per_user},
                                         DesignSpec{QueueDesign::per_member},
                                         DesignSpec{QueueDesign::per_group},
                                         DesignSpec{QueueDesign::hybrid, 3}),
                         design_test_name);

TEST(OneNodeIsLostWhereAcksWaitForQueues, NoAckWaitsForTheQueuesOfANodeThatIsAway) {
  Town town{"ack_after: fanout\n"};
  auto& [nodes, alice, bob, near, far] = town;
  nodes.drop(lost);
  for (std::uint64_t sent = 1; sent <= 2; ++sent) {
    alice.send(near, sent, "without it");
    (void)alice.client().expect<protocol::RecordFrame>();
    EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{sent + 1});
    EXPECT_EQ(metric(nodes.port(0), "clamor_fan_out_lag_records"), static_cast<double>(sent))
        << "what it lacks is counted all the same";
  }
  alice.send(near, 2, "without it");
  EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{3}) << "said again";
  nodes.start(lost);
  wait_for_queues(nodes.port(0));
}

TEST(TwoNodesAreLost, ALoginIsToldWhereANodeIsMissingToBeSureOfItsChannels) {
  Town town{""};
  auto& [nodes, alice, bob, near, far] = town;
  TestDevice bobs_tablet{bob.user(), 3};
  bobs_tablet.come_online(nodes.port(0));
  nodes.drop(lost);
  nodes.drop(1);
  nodes.start(lost);
  // Its lists may lack what node 1 still owes it.
  TestClient bobs_phone{nodes.port(0)};
  bobs_phone.upgrade();
  const std::string token = token_of(bob.user());
  bobs_phone.send(TestDevice{bob.user(), 2}.login(token));
  EXPECT_EQ(bobs_phone.expect<protocol::Refused>().code, RefusalCode::unavailable);
  alice.say(near, "alice needs neither");
  EXPECT_EQ(bobs_tablet.hear().body, "alice needs neither") << "who was online is";
  alice.say(far, "nor does the channel");
  nodes.start(1);
  bob.come_online(nodes.port(1));
  EXPECT_EQ(bob.position(near), 2U);
  EXPECT_EQ(bob.position(far), 2U);
}

TEST(ANodeThatCannotStart, IsAsLostAsBeforeAndStartsOnceItCan) {
  LocalNodes nodes{"durability: os\n"};
  nodes.drop(lost);
  const std::string in_the_way = nodes.data() + "/deployment.new";
  std::filesystem::create_directory(in_the_way);
  EXPECT_THROW(nodes.start(lost), scenario::ConfigError);
  EXPECT_EQ(metric(nodes.port(0), "clamor_nodes_up"), 2);
  std::filesystem::remove(in_the_way);
  nodes.start(lost);
  TestDevice device{LocalNodes::user_of(lost), 1};
  device.come_online(nodes.port(0));
}

}  // namespace
}  // namespace clamor::test
