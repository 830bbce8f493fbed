// Typing notices: to live sessions of the other members, on whatever node, and to nobody else;
// never in the log, and no more often than the bound.

#include "server/core/limits.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

constexpr std::uint64_t channel = 10;

class Typing : public testing::Test {
 protected:
  void SetUp() override {
    for (TestDevice* device : {&alice_, &alice_phone_, &stranger_}) device->come_online(ports_[0]);
    bob_.come_online(ports_[1]);
  }
  /// Sends notices in one write: they arrive at one instant.
  static void type(TestDevice& device, const std::vector<std::uint64_t>& channels) {
    std::vector<std::byte> frames;
    for (const std::uint64_t id : channels) {
      std::vector<std::byte> payload;
      protocol::encode(protocol::Typing{{id}}, payload);
      protocol::append_client_frame(protocol::Opcode::binary, payload, 0x5A17C3E9U, frames);
    }
    device.client().write_all({reinterpret_cast<const char*>(frames.data()), frames.size()});
  }

  ServerProcess server_{"durability: os\n", 0, 3};
  std::vector<std::uint16_t> ports_ = server_.ports();
  TestDevice alice_{1, 1};
  TestDevice alice_phone_{1, 2};
  TestDevice bob_{2, 1};
  TestDevice stranger_{4, 1};
};

TEST_F(Typing, ReachesOtherMembersWhoAreThereAndLeavesNoTrace) {
  alice_.create(channel, {1, 2, 3});
  for (TestDevice* device : {&alice_, &alice_phone_, &bob_}) device->hear();
  type(alice_, {channel, channel});  // The second one too soon.
  const auto told = bob_.client().expect<protocol::UserTyping>();
  EXPECT_EQ(told.channel, ChannelId{channel});
  EXPECT_EQ(told.user, UserId{1});
  type(stranger_, {channel});
  EXPECT_EQ(alice_.say(channel, "written"), MessageId{2}) << "no record but the message";
  EXPECT_EQ(bob_.hear().body, "written") << "and nothing before it";
  EXPECT_EQ(alice_phone_.hear().body, "written") << "the user's own devices are not told";
  TestDevice carol{3, 1};
  carol.come_online(ports_[2]);
  EXPECT_EQ(carol.ids(channel), ids_from(1, 2));
  EXPECT_EQ(metric(server_, "clamor_typing_deliveries_total"), 1);
  EXPECT_EQ(metric(server_, "clamor_typing_dropped_total"), 1);
}

TEST_F(Typing, IsNotToldInLargeChannels) {
  constexpr std::uint64_t large = 11;
  stranger_.create(large, ids_from(1, core::typing_members_max + 1));
  for (TestDevice* device : {&alice_, &alice_phone_, &bob_, &stranger_}) device->hear();
  type(alice_, {large});
  alice_.say(large, "written");
  EXPECT_EQ(bob_.hear().body, "written") << "nothing before it";
  EXPECT_EQ(metric(server_, "clamor_typing_deliveries_total"), 0);
}

}  // namespace
}  // namespace clamor::test
