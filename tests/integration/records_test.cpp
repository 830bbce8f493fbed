// Edits, deletions, reactions, replies and mentions: records like any other, live, in catch-ups and
// after a kill; what was deleted comes as a stub, wherever it is read.

#include "server/protocol/about.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::test {
namespace {

using core::RecordKind;
using protocol::RefusalCode;

constexpr std::uint64_t channel = 10;
constexpr std::uint64_t everyone = protocol::everyone.value;

/// What a record says, in words: `edit of 2: text`.
std::string told(const Kept& kept) {
  constexpr std::array names{"?",    "message",  "join",     "leave",     "kick", "design_changed",
                             "edit", "deletion", "reaction", "unreaction"};
  std::string text = names.at(static_cast<std::size_t>(kept.record.kind));
  if (kept.record.redacted) return text + (kept.body.empty() ? " gone" : " not gone: " + kept.body);
  if (kept.record.kind == RecordKind::join) return text;
  std::string_view rest = kept.body;
  if (kept.record.has_about) {
    const auto about = protocol::read_about(std::as_bytes(std::span{kept.body}));
    if (!about) return text + " with a malformed body";
    if (about->target.value != 0) text += " of " + std::to_string(about->target.value);
    for (const UserId user : about->mentions) {
      text += user.value == everyone ? " @all" : " @" + std::to_string(user.value);
    }
    rest.remove_prefix(rest.size() - about->text.size());
  }
  return text + ": " + std::string{rest};
}

std::vector<std::string> told(const std::vector<Kept>& kept) {
  std::vector<std::string> texts;
  for (const Kept& record : kept) texts.push_back(told(record));
  return texts;
}

class Records : public testing::TestWithParam<const char*> {
 protected:
  /// Alice, who is the admin, Bob and Carol are in the channel; Alice and Bob are online.
  void SetUp() override {
    alice_.come_online(ports_[0]);
    bob_.come_online(ports_[1]);
    alice_.create(channel, {1, 2, 3});
    alice_.hear();
    bob_.hear();
  }
  /// All that a device of Carol's gets that has nothing yet.
  std::vector<std::string> carol_gets(std::uint32_t device) {
    TestDevice carol{3, device};
    carol.come_online(ports_[2]);
    return told(carol.kept(channel));
  }

  ServerProcess server_{std::string{"durability: os\n"} + GetParam() + "\n", 0, 3};
  std::vector<std::uint16_t> ports_ = server_.ports();
  TestDevice alice_{1, 1};
  TestDevice bob_{2, 1};
};

TEST_P(Records, AreDeliveredAndCaughtUpLikeMessagesAndDeletedTextsAreGoneEverywhere) {
  hold_queues(ports_[2], 3);
  alice_.say(channel, "helo");
  EXPECT_EQ(alice_.say_about(channel, RecordKind::edit, 2, "hello"), MessageId{3});
  for (int i = 0; i < 2; ++i) bob_.hear();
  EXPECT_EQ(bob_.say_about(channel, RecordKind::reaction, 2, "+1"), MessageId{4});
  EXPECT_EQ(bob_.say_about(channel, RecordKind::message, 2, "hi", {1, 3, 1}), MessageId{5});
  bob_.say(channel, "what a day");
  for (int i = 0; i < 3; ++i) alice_.hear();
  std::vector<std::string> all{"join",
                               "message: helo",
                               "edit of 2: hello",
                               "reaction of 2: +1",
                               "message of 2 @1 @3: hi",
                               "message: what a day"};
  EXPECT_EQ(carol_gets(1), all);

  EXPECT_EQ(alice_.say_about(channel, RecordKind::deletion, 2), MessageId{7});
  EXPECT_EQ(alice_.say_about(channel, RecordKind::deletion, 6), MessageId{8}) << "the admin may";
  EXPECT_EQ(told(bob_.hear()), "deletion of 2: ");
  EXPECT_EQ(told(bob_.hear()), "deletion of 6: ");
  all.insert(all.end(), {"deletion of 2: ", "deletion of 6: "});
  EXPECT_EQ(alice_.ids(channel), (std::vector<std::uint64_t>{1, 4, 5, 6}))
      << "own acks are receipts";

  all[1] = "message gone";
  all[2] = "edit gone";
  all[5] = "message gone";
  EXPECT_EQ(carol_gets(2), all) << "from memory, where the tail has it all";
  wait_for_queues(server_);
  EXPECT_EQ(carol_gets(3), all) << "by its queue, where there is one";
  server_.kill_hard();
  server_.start();
  ports_ = server_.ports();
  EXPECT_EQ(carol_gets(4), all) << "from the log, and queues that were redone from it";

  TestDevice carol{3, 5};
  carol.come_online(ports_[0]);
  const core::Record& stub = carol.kept(channel).at(1).record;
  EXPECT_EQ(stub.sender, UserId{1});
  EXPECT_EQ(stub.device, DeviceId{1});
  EXPECT_EQ(stub.client_message_id, ClientMessageId{1});
}

TEST_P(Records, WhatIsRefusedTakesNoNumberAndAResendKeepsItsIdAfterAKill) {
  bob_.say(channel, "2");
  alice_.hear();
  const auto refusal = [](TestDevice& device, RecordKind kind, std::uint64_t target,
                          const std::vector<std::uint64_t>& mentions = {}) {
    device.send_about(channel, device.sent(channel) + 1, kind, target,
                      kind == RecordKind::deletion ? "" : "x", mentions);
    return device.take_refusal();
  };
  EXPECT_EQ(refusal(alice_, RecordKind::edit, 2), RefusalCode::not_allowed);
  EXPECT_EQ(refusal(bob_, RecordKind::message, 0, {everyone}), RefusalCode::not_allowed);
  EXPECT_EQ(refusal(bob_, RecordKind::edit, 1), RefusalCode::no_such_message);
  EXPECT_EQ(refusal(bob_, RecordKind::edit, 3), RefusalCode::no_such_message);
  EXPECT_EQ(refusal(bob_, RecordKind::message, 0, ids_from(1, 51)), RefusalCode::too_many_mentions);
  bob_.send_about(channel, bob_.sent(channel) + 1, RecordKind::reaction, 2, std::string(65, 'x'));
  EXPECT_EQ(bob_.take_refusal(), RefusalCode::body_too_large);

  EXPECT_EQ(bob_.say_about(channel, RecordKind::edit, 2, "two"), MessageId{3});
  alice_.hear();
  EXPECT_EQ(alice_.say_about(channel, RecordKind::deletion, 2), MessageId{4});
  server_.kill_hard();
  server_.start();
  ports_ = server_.ports();
  bob_.come_online(ports_[1]);
  bob_.send_about(channel, bob_.sent(channel), RecordKind::edit, 2, "two");
  EXPECT_EQ(bob_.client().expect<protocol::Ack>().message_id, MessageId{3});
  EXPECT_EQ(refusal(bob_, RecordKind::edit, 2), RefusalCode::no_such_message);
  alice_.come_online(ports_[0]);
  EXPECT_EQ(alice_.say_about(channel, RecordKind::message, 0, "5", {everyone}), MessageId{5})
      << "the admin is still the admin";
}

TEST_P(Records, MentionsAreCountedBesideUnreadMessagesAndAfterAKill) {
  bob_.say_about(channel, RecordKind::message, 0, "2", {3});
  bob_.say(channel, "3");
  bob_.say_about(channel, RecordKind::reaction, 3, "!");
  for (int i = 0; i < 3; ++i) alice_.hear();
  alice_.say_about(channel, RecordKind::message, 0, "5", {everyone});
  bob_.hear();
  bob_.say_about(channel, RecordKind::message, 0, "6", {3});
  bob_.say_about(channel, RecordKind::deletion, 6);
  const std::vector<protocol::UnreadState> expected{{{channel}, {1}, {7}, 4, 2}};
  for (const bool killed : {false, true}) {
    if (killed) {
      server_.kill_hard();
      server_.start();
      ports_ = server_.ports();
    }
    TestDevice carol{3, killed ? 2U : 1U};
    carol.want_unread();
    carol.come_online(ports_[2]);
    EXPECT_EQ(carol.take_unread(), expected) << "4 messages, one of them deleted and no mention";
  }
}

TEST(ChannelsPerUser, AreBoundedForThoseWhoJoinAndNotForThoseWhoAreAdded) {
  ServerProcess server{"durability: os\nlimits: {channels_per_user: 2}\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  const auto refused = [&](const auto& request) {
    alice.client().send(request);
    return alice.take_refusal();
  };
  for (const std::uint64_t id : {11U, 12U}) {
    alice.create(id, {1});
    alice.hear();
  }
  bob.create(13, {2});
  EXPECT_EQ(refused(protocol::CreateChannel{{14}, {{1}, {2}}}), RefusalCode::too_many_channels);
  EXPECT_EQ(refused(protocol::Join{{13}}), RefusalCode::too_many_channels);
  alice.create(14, {2});  // It is not in it itself.
  bob.hear();
  bob.hear();
  bob.create(15, {1});
  EXPECT_EQ(alice.hear().record.channel, ChannelId{15}) << "added by another";
  alice.client().send(protocol::Leave{{15}});
  alice.take_changed();
  alice.client().send(protocol::Leave{{12}});
  alice.take_changed();
  alice.client().send(protocol::Join{{13}});
  EXPECT_EQ(alice.take_changed(), MessageId{2}) << "there is room again";
}

INSTANTIATE_TEST_SUITE_P(Designs, Records,
                         testing::Values("design: per_user", "design: per_user\npayload: copy",
                                         "design: per_member\npayload: copy", "design: per_group"),
                         [](const auto& of) {
                           std::string name = std::string{of.param}.substr(8);
                           const std::size_t line = name.find('\n');
                           return line == std::string::npos ? name
                                                            : name.substr(0, line) + "_copies";
                         });

}  // namespace
}  // namespace clamor::test
