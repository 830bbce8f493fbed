// What a user has not read: counted by the channel's owner, told to every device that asks, the
// same under every design and after a kill.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

using protocol::UnreadState;
using States = std::vector<UnreadState>;

constexpr std::uint64_t channel = 10;
constexpr std::uint64_t other_channel = 11;

States unread_at_login(std::uint16_t port, std::uint64_t user) {
  TestDevice device{user, 77};
  device.want_unread();
  device.come_online(port);
  return device.take_unread();
}

class Unread : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    alice_.come_online(ports_[0]);
    for (const std::uint64_t id : {channel, other_channel}) alice_.create(id, {1, 2});
  }

  ServerProcess server_{std::string{"durability: os\ndesign: "} + GetParam() + "\n", 0, 3};
  std::vector<std::uint16_t> ports_ = server_.ports();
  TestDevice alice_{1, 1};
};

TEST_P(Unread, ALoginIsToldWhatOthersSaidSinceItsUserReadOrSpoke) {
  for (int i = 0; i < 3; ++i) alice_.say(channel, "2 to 4");
  EXPECT_EQ(unread_at_login(ports_[1], 2), (States{{{channel}, {1}, {4}, 3, 0}}))
      << "the join of the first members is no message; a channel without news is not named";
  EXPECT_EQ(unread_at_login(ports_[1], 1), States{}) << "own messages are read";

  TestDevice bob{2, 1};
  bob.come_online(ports_[2]);
  bob.say(channel, "5");
  alice_.take_any();
  EXPECT_EQ(unread_at_login(ports_[1], 2), States{}) << "who speaks has read";
  EXPECT_EQ(unread_at_login(ports_[1], 1), (States{{{channel}, {4}, {5}, 1, 0}}));
}

TEST_P(Unread, AReadIsToldToEveryDeviceOfTheUserThatAsks) {
  TestDevice phone{2, 1};
  TestDevice laptop{2, 2};
  TestDevice watch{2, 3};
  phone.want_unread();
  laptop.want_unread();
  for (TestDevice* device : {&phone, &laptop, &watch}) device->come_online(ports_[1]);
  EXPECT_EQ(phone.take_unread(), States{});
  EXPECT_EQ(laptop.take_unread(), States{});
  alice_.say(channel, "2");
  TestDevice carol{3, 1};
  carol.come_online(ports_[0]);
  carol.client().send(protocol::Join{{channel}});
  EXPECT_EQ(carol.take_changed(), MessageId{3});
  for (int i = 0; i < 3; ++i) carol.say(channel, "4 to 6");
  for (TestDevice* device : {&phone, &laptop, &watch}) {
    for (int i = 0; i < 5; ++i) device->hear();
  }

  phone.read(channel, 4);
  const States two_left{{{channel}, {4}, {6}, 2, 0}};
  EXPECT_EQ(phone.take_unread(), two_left);
  EXPECT_EQ(laptop.take_unread(), two_left);
  laptop.read(channel, 2);  // Behind: nobody is told.
  laptop.read(channel, 3000);
  const States none_left{{{channel}, {6}, {6}, 0, 0}};
  EXPECT_EQ(phone.take_unread(), none_left) << "no further than the head";
  EXPECT_EQ(laptop.take_unread(), none_left);
  carol.say(channel, "7");
  EXPECT_EQ(watch.hear().record.id, MessageId{7}) << "it did not ask, and heard of no read";
}

TEST_P(Unread, WhoJoinsLateHasReadWhatWasBefore) {
  alice_.say(channel, "2");
  TestDevice carol{3, 1};
  carol.come_online(ports_[1]);
  carol.client().send(protocol::Join{{channel}});
  EXPECT_EQ(carol.take_changed(), MessageId{3});
  EXPECT_EQ(unread_at_login(ports_[2], 3), States{});
  alice_.take_any();
  alice_.say(channel, "4");
  EXPECT_EQ(unread_at_login(ports_[2], 3), (States{{{channel}, {3}, {4}, 1, 0}}));
}

TEST_P(Unread, OnlyMembersHaveAReadCursor) {
  TestDevice carol{3, 1};
  carol.want_unread();
  carol.come_online(ports_[1]);
  EXPECT_EQ(carol.take_unread(), States{});
  alice_.say(channel, "2");
  carol.read(channel, 2);
  carol.read(999, 1);
  carol.client().send(protocol::Join{{channel}});
  EXPECT_EQ(carol.take_changed(), MessageId{3}) << "no Unread came before";
}

TEST_P(Unread, ToldCursorsSurviveAKillAndWhatFoldsFromTheLogDoesToo) {
  TestDevice bob{2, 1};
  bob.want_unread();
  bob.come_online(ports_[1]);
  EXPECT_EQ(bob.take_unread(), States{});
  for (int i = 0; i < 4; ++i) alice_.say(channel, "2 to 5");
  for (int i = 0; i < 2; ++i) alice_.say(other_channel, "2, 3");
  bob.read(channel, 3);
  EXPECT_EQ(bob.take_unread(), (States{{{channel}, {3}, {5}, 2, 0}}));
  bob.say(other_channel, "4");
  alice_.take_any();
  alice_.say(other_channel, "5");
  server_.kill_hard();
  server_.start();
  ports_ = server_.ports();
  EXPECT_EQ(unread_at_login(ports_[2], 2),
            (States{{{channel}, {3}, {5}, 2, 0}, {{other_channel}, {4}, {5}, 1, 0}}));
  EXPECT_EQ(unread_at_login(ports_[0], 1), States{});
}

INSTANTIATE_TEST_SUITE_P(Designs, Unread, testing::Values("per_user", "per_group"),
                         [](const auto& of) { return std::string{of.param}; });

}  // namespace
}  // namespace clamor::test
