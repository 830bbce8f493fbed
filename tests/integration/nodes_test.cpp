// Several nodes in one process: what clients of different gateways see of one another.

#include "server/base/queue_design.hpp"
#include "tests/designs.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using protocol::CloseCode;

constexpr std::uint32_t nodes = 3;
/// So many that each node owns some.
constexpr std::uint64_t first_channel = 10;
constexpr std::uint64_t last_channel = 21;

class NodesUnder : public testing::TestWithParam<DesignSpec> {
 protected:
  [[nodiscard]] static std::string settings(const std::string& more = "") {
    return "durability: os\ndesign: " + setting_of(GetParam()) + "\n" + more;
  }
  /// Each device at a node of its own.
  static void come_online(const ServerProcess& server, std::initializer_list<TestDevice*> devices) {
    std::size_t node = 0;
    for (TestDevice* const device : devices) device->come_online(server.port(node++));
  }
};

/// Whether members have queues before anybody came back; under adaptive nobody has.
bool has_queues_from_the_start(QueueDesign design) {
  return design != QueueDesign::per_group && design != QueueDesign::adaptive;
}

TEST_P(NodesUnder, AMessageReachesTheMembersAtEveryGateway) {
  ServerProcess server{settings(), 0, nodes};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  TestDevice carol{3, 1};
  come_online(server, {&alice, &bob, &carol});
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    alice.create(channel, {1, 2, 3});
    EXPECT_EQ(bob.hear().record.id, MessageId{1});
    EXPECT_EQ(carol.hear().record.id, MessageId{1});
    EXPECT_EQ(bob.say(channel, "by bob"), MessageId{2});
    EXPECT_EQ(carol.hear().body, "by bob");
    EXPECT_EQ(carol.say(channel, "by carol"), MessageId{3});
    EXPECT_EQ(bob.hear().body, "by carol");
  }
  EXPECT_EQ(metric(server, "clamor_records_total"), 3 * 12);
  for (std::uint32_t node = 0; node < nodes; ++node) {
    EXPECT_GT(metric(server.port(node), "clamor_records_total"), 0) << "node " << node;
    EXPECT_GT(metric(server.port(node), "clamor_bus_frames_total"), 0) << "node " << node;
  }
  EXPECT_EQ(metric(server, "clamor_repairs_total"), 0);
  wait_for_queues(server);
  const bool queued = has_queues_from_the_start(GetParam().design);
  EXPECT_EQ(metric(server, "clamor_queue_entries_total"), queued ? 3 * 12 * 3 : 0);
  EXPECT_EQ(server.stop(), 0);
}

TEST_P(NodesUnder, ADeviceCatchesUpWithChannelsOfAllNodesAtAnotherGateway) {
  ServerProcess server{settings("catch_up: {page_records: 7, tail_age: 0s}\n"), 0, nodes};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port(0));
  bob.come_online(server.port(1));
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    alice.create(channel, {1, 2});
    bob.hear();
  }
  bob.vanish();
  for (std::uint64_t round = 0; round < 5; ++round) {
    for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
      alice.say(channel, "while bob is away");
    }
  }
  wait_for_queues(server);
  EXPECT_GE(bob.come_online(server.port(2)), 60U / 7);
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    EXPECT_EQ(bob.ids(channel), ids_from(1, 6)) << "channel " << channel;
  }
  alice.say(last_channel, "live again");
  EXPECT_EQ(bob.hear().body, "live again");
  const QueueDesign design = GetParam().design;
  const bool queued = has_queues_from_the_start(design);
  EXPECT_EQ(metric(server, "clamor_queue_scans_total"), !queued                             ? 0
                                                        : design == QueueDesign::per_member ? 12
                                                                                            : 1);
  EXPECT_EQ(metric(server, "clamor_log_scans_total"), queued ? 0 : 12)
      << "what the queues cover is not read from logs";
}

TEST_P(NodesUnder, AJoinReachesTheUsersSessionsElsewhereAndALeaveEndsThem) {
  ServerProcess server{settings(), 0, nodes};
  TestDevice alice{1, 1};
  TestDevice carol{3, 1};
  TestDevice carol_phone{3, 2};
  come_online(server, {&alice, &carol, &carol_phone});
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    alice.create(channel, {1});
    alice.say(channel, "before carol");
    carol.client().send(protocol::Join{{channel}});
    EXPECT_EQ(carol.take_changed(), MessageId{3});
    // It may send at once: its own join's record still comes first.
    EXPECT_EQ(carol.say(channel, "I am in"), MessageId{4});
    EXPECT_EQ(carol_phone.hear().record.id, MessageId{3});
    EXPECT_EQ(carol_phone.hear().body, "I am in");
    EXPECT_EQ(alice.say(channel, "welcome"), MessageId{5});
    EXPECT_EQ(carol_phone.hear().body, "welcome");
    carol_phone.client().send(protocol::Leave{{channel}});
    EXPECT_EQ(carol_phone.take_changed(), MessageId{6});
    if (carol_phone.position(channel) < 6) carol_phone.hear();
    alice.say(channel, "gone");
  }
  // Channels that she stays in, of every node: what its owner had still sent would come before.
  constexpr std::uint64_t kept = 100;
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    alice.create(kept + channel, {1, 3});
  }
  for (TestDevice* const device : {&carol, &carol_phone}) {
    for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
      while (device->position(kept + channel) < 1) device->take_any();
    }
    device->take_all();
    for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
      EXPECT_EQ(device->position(channel), 6U) << "up to the leave, channel " << channel;
      EXPECT_EQ(device->position(kept + channel), 1U);
    }
  }
}

TEST_P(NodesUnder, ARestartKeepsEverythingWhetherStoppedOrKilled) {
  ServerProcess server{settings("catch_up: {tail_age: 0s}\n"), 0, nodes};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  std::uint64_t said = 1;
  for (const bool killed : {false, true, true}) {
    alice.come_online(server.port(0));
    bob.come_online(server.port(1));
    for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
      if (said == 1) {
        alice.create(channel, {1, 2});
        bob.hear();
      }
      alice.say(channel, "kept");
    }
    ++said;
    alice.go_offline();
    bob.vanish();
    if (killed) {
      server.kill_hard();
    } else {
      EXPECT_EQ(server.stop(), 0) << server.process().log();
    }
    server.start();
  }
  bob.come_online(server.port(2));
  TestDevice bob_phone{2, 2};
  bob_phone.come_online(server.port(0));
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    EXPECT_EQ(bob.ids(channel), ids_from(1, said));
    EXPECT_EQ(bob_phone.ids(channel), ids_from(1, said));
  }
}

TEST_P(NodesUnder, AKillLosesNoChannelFromAnybodysListAndNoneIsHandedOutAgain) {
  // Joins that no flush has made durable must be back before a login is answered: a device whose
  // channel is missing from the list would get the channel's history once more when it turns up.
  ServerProcess server{settings("catch_up: {tail_age: 0s}\n"), 0, nodes};
  constexpr std::uint64_t channels = 300;
  TestDevice alice{1, 1};
  alice.come_online(server.port(0));
  for (std::uint64_t channel = 1; channel <= channels; ++channel) {
    alice.create(channel, {1, 2, 3, 4});
  }
  std::vector<TestDevice> others;
  for (std::uint64_t user = 2; user <= 4; ++user) {
    others.emplace_back(user, 1);
    others.back().come_online(server.port(user % nodes));
    others.back().vanish();
  }
  alice.vanish();
  for (int kill = 0; kill < 3; ++kill) {
    server.kill_hard();
    server.start();
    for (TestDevice& device : others) {
      device.come_online(server.port(device.user() % nodes));
      EXPECT_TRUE(device.client().is_silent(20ms)) << "it holds everything";
      for (std::uint64_t channel = 1; channel <= channels; ++channel) {
        ASSERT_EQ(device.position(channel), 1U) << "channel " << channel;
      }
      device.vanish();
    }
  }
  EXPECT_GE(metric(server, "clamor_fan_out_redone_records_total"), channels) << "the kill bit";
}

TEST_P(NodesUnder, ManyDevicesThatComeAndGoSeeEveryChannelDensely) {
  // Whoever receives an id that is not the channel's next one throws; at the end all hold all.
  ServerProcess server{settings("catch_up: {page_records: 9}\n"), 0, nodes};
  std::mt19937 draw{7};
  std::vector<TestDevice> devices;
  for (std::uint64_t user = 1; user <= 6; ++user) devices.emplace_back(user, 1);
  std::vector<bool> online(devices.size(), true);
  for (std::size_t i = 0; i < devices.size(); ++i) devices[i].come_online(server.port(i % nodes));
  std::uint64_t records = 0;
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    devices[0].create(channel, {1, 2, 3, 4, 5, 6});
    ++records;
  }
  for (int step = 0; step < 400; ++step) {
    const std::size_t i = draw() % devices.size();
    if (!online[i]) {
      devices[i].come_online(server.port(draw() % nodes));
      online[i] = true;
    } else if (draw() % 8 == 0) {
      devices[i].vanish();
      online[i] = false;
    } else {
      devices[i].say(first_channel + draw() % 12, "step " + std::to_string(step));
      ++records;
    }
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (online[i]) devices[i].vanish();
    devices[i].come_online(server.port(draw() % nodes));
  }
  for (TestDevice& device : devices) {
    std::uint64_t held = 0;
    for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
      held += device.position(channel);
    }
    EXPECT_EQ(held, records) << "user " << device.user();
  }
  EXPECT_EQ(metric(server, "clamor_records_total"), static_cast<double>(records));
  EXPECT_EQ(metric(server, "clamor_repairs_total"), 0);
}

INSTANTIATE_TEST_SUITE_P(Designs, NodesUnder,
                         testing::Values(DesignSpec{QueueDesign::per_user},
                                         DesignSpec{QueueDesign::per_member},
                                         DesignSpec{QueueDesign::per_group},
                                         DesignSpec{QueueDesign::hybrid, 3},
                                         DesignSpec{QueueDesign::adaptive}),
                         design_test_name);

TEST(Nodes, ASecondLoginOfADeviceAtAnotherNodeSupersedesItsFirstSession) {
  ServerProcess server{"durability: os\n", 0, nodes};
  TestDevice alice{1, 1};
  alice.come_online(server.port(0));
  alice.create(10, {1});
  for (const std::size_t node : {1, 2, 0}) {
    TestDevice again{1, 1};
    again.come_online(server.port(node));
    EXPECT_EQ(alice.client().expect_close().code,
              static_cast<std::uint16_t>(CloseCode::superseded));
    EXPECT_TRUE(again.client().is_silent(20ms));
    alice.come_online(server.port(0));
    EXPECT_EQ(again.client().expect_close().code,
              static_cast<std::uint16_t>(CloseCode::superseded));
  }
}

TEST(Nodes, ADataDirectoryKeepsItsNumberOfNodes) {
  ServerProcess server{"durability: os\n", 0, nodes};
  EXPECT_EQ(server.stop(), 0);
  const TemporaryDirectory elsewhere;
  ChildProcess other{{CLAMOR_BINARY, "serve", "--listen", "127.0.0.1:0", "--data", server.data(),
                      "--nodes", "2", "--config", server.config()},
                     elsewhere / "log"};
  EXPECT_EQ(other.wait(), 104);
  EXPECT_NE(other.log().find("made for 3 nodes"), std::string::npos) << other.log();
}

}  // namespace
}  // namespace clamor::test
