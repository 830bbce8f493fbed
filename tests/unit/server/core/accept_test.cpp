#include "server/core/accept.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace clamor::core {
namespace {

using Ring = std::array<MessageId, dedup_ring_size>;

/// One sending device in one channel.
struct Sender {
  ChannelHead channel;
  DedupRow row;
  Ring ring{};

  Accepted send(std::uint64_t id, std::uint32_t incarnation = 1) {
    return accept(channel, row, ring, incarnation, ClientMessageId{id});
  }
  void commit() { channel.durable_head = channel.head; }
  /// Sends and commits ids first..last, one by one.
  void send_durably(std::uint64_t first, std::uint64_t last, std::uint32_t incarnation = 1) {
    for (std::uint64_t id = first; id <= last; ++id) {
      ASSERT_EQ(send(id, incarnation).outcome, AcceptOutcome::accepted) << id;
      commit();
    }
  }
};

TEST(Accept, NextIdIsAcceptedUnderTheChannelsNextMessageId) {
  Sender sender;
  sender.channel.head = sender.channel.durable_head = MessageId{10};
  const Accepted accepted = sender.send(1);
  EXPECT_EQ(accepted.outcome, AcceptOutcome::accepted);
  EXPECT_EQ(accepted.id, MessageId{11});
  EXPECT_EQ(sender.channel.head, MessageId{11});
  EXPECT_EQ(sender.channel.durable_head, MessageId{10}) << "accept is tentative";
}

TEST(Accept, ResendBeforeTheCommitIsPendingAndAfterItADuplicate) {
  Sender sender;
  const MessageId id = sender.send(1).id;
  EXPECT_EQ(sender.send(1).outcome, AcceptOutcome::duplicate_pending);
  sender.commit();
  const Accepted again = sender.send(1);
  EXPECT_EQ(again.outcome, AcceptOutcome::duplicate);
  EXPECT_EQ(again.id, id);
  EXPECT_EQ(sender.channel.head, id) << "a resend takes no message_id";
}

TEST(Accept, SkippedIdIsAnsweredWithTheExpectedOne) {
  Sender sender;
  sender.send_durably(1, 5);
  for (const std::uint64_t id : {7U, 1000U, 0U}) {
    const Accepted answer = sender.send(id);
    EXPECT_EQ(answer.outcome, AcceptOutcome::expected_next);
    EXPECT_EQ(answer.expected, ClientMessageId{6});
  }
  EXPECT_EQ(sender.send(6).outcome, AcceptOutcome::accepted);
}

TEST(Accept, RingRemembersExactlyTheLatestSends) {
  Sender sender;
  sender.send_durably(1, 100);
  EXPECT_EQ(sender.send(100 - dedup_ring_size).outcome, AcceptOutcome::too_old);
  const Accepted oldest = sender.send(101 - dedup_ring_size);
  EXPECT_EQ(oldest.outcome, AcceptOutcome::duplicate);
  EXPECT_EQ(oldest.id, MessageId{101 - dedup_ring_size});
}

TEST(Accept, RefusesOnceAFullRingIsPendingUntilTheOldestIsDurable) {
  Sender sender;
  sender.send_durably(1, 10);
  for (std::uint64_t id = 11; id < 11 + dedup_ring_size; ++id) {
    ASSERT_EQ(sender.send(id).outcome, AcceptOutcome::accepted) << id;
  }
  const std::uint64_t next = 11 + dedup_ring_size;
  const ChannelHead before = sender.channel;
  EXPECT_EQ(sender.send(next).outcome, AcceptOutcome::too_many_pending);
  EXPECT_EQ(sender.channel.head, before.head);
  sender.channel.durable_head = MessageId{11};
  EXPECT_EQ(sender.send(next).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(sender.send(next + 1).outcome, AcceptOutcome::too_many_pending);
}

TEST(Accept, NewDeviceIncarnationStartsFromOneAgain) {
  Sender sender;
  sender.send_durably(1, 70, 1);
  const Accepted early = sender.send(71, 2);
  EXPECT_EQ(early.outcome, AcceptOutcome::expected_next);
  EXPECT_EQ(early.expected, ClientMessageId{1});
  EXPECT_EQ(sender.row.device_incarnation, 1U) << "a refusal must not change what the log says";
  const Accepted first = sender.send(1, 2);
  EXPECT_EQ(first.outcome, AcceptOutcome::accepted);
  EXPECT_EQ(first.id, MessageId{71});
  EXPECT_EQ(sender.send(1, 2).id, MessageId{71});
}

TEST(Accept, PendingSendsOfAnOldIncarnationDoNotBlockTheNewOne) {
  Sender sender;
  for (std::uint64_t id = 1; id <= dedup_ring_size; ++id) sender.send(id, 1);
  EXPECT_EQ(sender.send(dedup_ring_size + 1, 1).outcome, AcceptOutcome::too_many_pending);
  EXPECT_EQ(sender.send(1, 2).outcome, AcceptOutcome::accepted);
  EXPECT_EQ(sender.send(2, 2).outcome, AcceptOutcome::accepted);
}

// Method: run random-looking sends, keep what was logged, fold it into a fresh row, and compare all
// answers that follow.
TEST(Accept, RowRestoredFromTheLogAnswersLikeTheOriginal) {
  struct Logged {
    std::uint32_t incarnation;
    ClientMessageId client_message_id;
    MessageId id;
  };
  Sender sender;
  std::vector<Logged> log;
  for (const auto& [incarnation, sends] : {std::pair{1U, 90U}, {2U, 3U}, {3U, 150U}}) {
    for (std::uint64_t id = 1; id <= sends; ++id) {
      log.push_back({incarnation, ClientMessageId{id}, sender.send(id, incarnation).id});
      sender.commit();
      ++sender.channel.head;  // somebody else's record
      sender.commit();
    }
  }
  Sender restored;
  restored.channel = sender.channel;
  for (const Logged& entry : log) {
    restore(restored.row, restored.ring, entry.incarnation, entry.client_message_id, entry.id);
  }
  for (std::uint64_t id = 0; id <= 152; ++id) {
    if (id == 151) continue;  // would be accepted
    const Accepted expected = sender.send(id, 3);
    const Accepted actual = restored.send(id, 3);
    EXPECT_EQ(actual.outcome, expected.outcome) << id;
    EXPECT_EQ(actual.id, expected.id) << id;
    EXPECT_EQ(actual.expected, expected.expected) << id;
  }
}

TEST(Accept, SendsFromBeforeATrimmedLogAreTooOldNotWronglyNamed) {
  Sender sender;
  sender.channel.head = sender.channel.durable_head = MessageId{500};
  for (std::uint64_t id = 1; id <= 64; ++id) {
    restore(sender.row, sender.ring, 1, ClientMessageId{id}, MessageId{id});
  }
  restore(sender.row, sender.ring, 1, ClientMessageId{90}, MessageId{400});
  EXPECT_EQ(sender.send(89).outcome, AcceptOutcome::too_old);
  EXPECT_EQ(sender.send(65).outcome, AcceptOutcome::too_old);
  EXPECT_EQ(sender.send(64).id, MessageId{64});
  EXPECT_EQ(sender.send(90).id, MessageId{400});
  EXPECT_EQ(sender.send(91).outcome, AcceptOutcome::accepted);
}

TEST(Accept, SmallerRingOfASimulatorDecidesAlikeForRecentResends) {
  Sender sender;
  ChannelHead channel;
  DedupRow row;
  std::array<MessageId, 4> small{};
  for (std::uint64_t id = 1; id <= 40; ++id) {
    const Accepted big = sender.send(id);
    EXPECT_EQ(accept(channel, row, small, 1, ClientMessageId{id}).id, big.id);
    if (id < 4) continue;
    const Accepted again = accept(channel, row, small, 1, ClientMessageId{id - 3});
    EXPECT_EQ(again.outcome, AcceptOutcome::duplicate_pending);
    EXPECT_EQ(again.id, sender.send(id - 3).id);
  }
}

}  // namespace
}  // namespace clamor::core
