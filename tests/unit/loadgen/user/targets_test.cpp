#include "loadgen/user/targets.hpp"

#include "loadgen/user/virtual_user.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <variant>
#include <vector>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;
using scenario::SendKind;

Instant at(Duration d) { return Instant{d}; }

/// A client that is online, and sends that are about others.
class SendsAbout : public testing::Test {
 protected:
  void SetUp() override {
    give(Start{}, at(0s));
    give(Connected{}, at(0s));
    give(LoggedIn{}, at(0s));
    give(CaughtUp{}, at(0s));
    actions.clear();
  }
  void give(const Input& input, Instant now) { step(user, input, now, settings, pool, actions); }
  void due(SendKind kind, std::uint64_t pair, Instant now) {
    give(SendDue{.channel = 4, .due = now, .bytes = 20, .kind = kind, .pair = pair}, now);
  }
  std::vector<SendMessage> sent() {
    std::vector<SendMessage> found;
    for (const Action& action : actions) {
      if (const auto* send = std::get_if<SendMessage>(&action)) found.push_back(*send);
    }
    actions.clear();
    return found;
  }

  UserSettings settings{.seed = 7, .sends_about = true};
  OutboxPool pool;
  VirtualUser user{.client = 3};
  std::vector<Action> actions;
};

TEST_F(SendsAbout, AnEditNamesTheMessageOfItsPairOnceThatIsAcknowledged) {
  due(SendKind::message, 9, at(1s));
  due(SendKind::message, 0, at(1s));
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_TRUE(messages[0].revised) << "nobody else may be about it";
  EXPECT_FALSE(messages[1].revised);
  due(SendKind::edit, 9, at(1100ms));
  EXPECT_TRUE(sent().empty()) << "what it edits has no id yet";
  give(AckCame{4, {1}, {70}}, at(1150ms));
  give(AckCame{4, {2}, {71}}, at(1150ms));
  give(TimerDue{}, at(1350ms));
  const auto edits = sent();
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(edits[0].kind, SendKind::edit);
  EXPECT_EQ(edits[0].target, MessageId{70});
  EXPECT_EQ(edits[0].client_message_id.value, 3U);
  EXPECT_EQ(edits[0].due, at(1100ms));
}

TEST_F(SendsAbout, AResendIsAboutTheSameMessage) {
  pool.targets().note(4, {20});
  due(SendKind::reaction, 0, at(1s));
  const auto first = sent();
  ASSERT_EQ(first.size(), 1U);
  pool.targets().note(4, {30});
  give(TimerDue{}, first[0].resend_at);
  const auto again = sent();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].attempt, 1U);
  EXPECT_EQ(again[0].target, MessageId{20});
}

TEST_F(SendsAbout, AReplyWaitsUntilItsChannelHasAMessageAndKeepsLaterSendsBehindIt) {
  due(SendKind::reply, 0, at(1s));
  due(SendKind::message, 0, at(1s));
  EXPECT_TRUE(sent().empty());
  pool.targets().note(5, {8});
  give(TimerDue{}, at(1250ms));
  EXPECT_TRUE(sent().empty()) << "another channel's message is none";
  pool.targets().note(4, {8});
  give(TimerDue{}, at(1500ms));
  const auto sends = sent();
  ASSERT_EQ(sends.size(), 2U);
  EXPECT_EQ(sends[0].target, MessageId{8});
  EXPECT_EQ(sends[0].client_message_id.value, 1U);
  EXPECT_TRUE(sends[0].waited);
  EXPECT_EQ(sends[1].kind, SendKind::message);
}

TEST_F(SendsAbout, AnEditOfAMessageThatWasGivenUpIsAMessage) {
  due(SendKind::message, 9, at(1s));
  give(SendRefused{.channel = 4, .client_message_id = {1}, .how = SendRefusal::permanent}, at(1s));
  actions.clear();
  due(SendKind::edit, 9, at(2s));
  const auto sends = sent();
  ASSERT_EQ(sends.size(), 1U);
  EXPECT_EQ(sends[0].kind, SendKind::message);
  EXPECT_EQ(sends[0].target, MessageId{});
  EXPECT_FALSE(sends[0].revised);
}

TEST_F(SendsAbout, WhatNobodyWillReviseIsATargetOnceAcknowledgedAndNothingIsKeptUnasked) {
  due(SendKind::message, 0, at(1s));
  give(AckCame{4, {1}, {12}}, at(1s));
  EXPECT_EQ(pool.targets().take(SendKind::reaction, 4, 0), MessageId{12});

  settings.sends_about = false;
  give(SendDue{.channel = 6, .due = at(2s), .bytes = 20}, at(2s));
  give(AckCame{6, {1}, {3}}, at(2s));
  EXPECT_EQ(pool.targets().take(SendKind::reaction, 6, 0), std::nullopt);
}

TEST_F(SendsAbout, ANoticeIsSaidAtOnceOrNever) {
  give(TypingDue{4}, at(1s));
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(std::get<SendTyping>(actions[0]).channel, 4U);
  EXPECT_EQ(user.last_sent_at, at(1s)) << "any frame fills a silence";
  give(Leave{}, at(2s));
  actions.clear();
  give(TypingDue{4}, at(3s));
  EXPECT_TRUE(actions.empty());
}

TEST(Targets, AReceiptThatComesLateDoesNotGoBack) {
  Targets targets;
  targets.note(1, {9});
  targets.note(1, {4});
  EXPECT_EQ(targets.take(SendKind::reply, 1, 0), MessageId{9});
}

TEST(Targets, WhatIsAssumedIsForRepliesAndReactionsOnly) {
  Targets targets;
  targets.assume({1});
  EXPECT_EQ(targets.take(SendKind::reaction, 7, 0), MessageId{1});
  EXPECT_EQ(targets.take(SendKind::edit, 7, 3), std::nullopt);
}

TEST(Targets, WhatIsRevisedIsToldOnce) {
  Targets targets;
  EXPECT_EQ(targets.take(SendKind::deletion, 1, 5), std::nullopt);
  targets.keep(5, {2});
  EXPECT_EQ(targets.take(SendKind::deletion, 1, 5), MessageId{2});
  EXPECT_EQ(targets.take(SendKind::deletion, 1, 5), std::nullopt);
}

}  // namespace
}  // namespace clamor::loadgen
