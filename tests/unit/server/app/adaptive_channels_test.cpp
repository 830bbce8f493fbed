#include "server/app/channels.hpp"
#include "tests/unit/server/app/channels_log.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace clamor::server {
namespace {

/// A channel of users 1 and 2 under adaptive with windows of 4 records; 1 sends, 2 comes and goes.
class TwoUnderAdaptive {
 public:
  TwoUnderAdaptive() {
    store::Commit commit;
    const std::vector<UserId> members{{1}, {2}};
    EXPECT_TRUE(channels.create({7}, {1}, members, Instant{}, commit));
    make_durable(commit);
  }
  /// The next message is durable, and then user 2 reads up to the head, or not. The number of queue
  /// entries, and the head.
  std::pair<std::uint64_t, std::uint64_t> say(bool read) {
    store::Commit commit;
    (void)accepted(channels, 1, 7, ++sent_, commit);
    const std::uint64_t entries = make_durable(commit);
    if (read) channels.note_catch_up(0, {2}, channels.channel(0).announced - 1);
    return {entries, channels.channel(0).announced.value};
  }
  std::uint64_t make_durable(const store::Commit& commit) {
    log.append(commit);
    const auto planned = channels.apply(commit);
    for (const core::Record& record : commit.batch.records()) channels.set_announced(0, record);
    return planned.entries;
  }

  Channels channels{settings_of(QueueDesign::adaptive)};
  Log log;

 private:
  std::uint64_t sent_ = 0;
};

using EntriesAndHead = std::pair<std::uint64_t, std::uint64_t>;
using core::ChannelDesign;

TEST(AdaptiveChannels, AQueueComesByARecordBehindAWindowAndHoldsFromThatRecordOn) {
  TwoUnderAdaptive chat;
  EXPECT_EQ(chat.say(true), (EntriesAndHead{0, 2}));
  EXPECT_EQ(chat.say(true), (EntriesAndHead{0, 3}));
  EXPECT_EQ(chat.channels.served(0, {2}).design, ChannelDesign::per_group);
  EXPECT_EQ(chat.say(true), (EntriesAndHead{1, 5})) << "the record of modes has the first entry";
  EXPECT_EQ(chat.channels.served(0, {2}).design, ChannelDesign::per_user);
  EXPECT_EQ(chat.channels.served(0, {2}).queue_from, MessageId{5});
  EXPECT_EQ(chat.channels.served(0, {1}).design, ChannelDesign::per_group)
      << "who never comes back";
  EXPECT_EQ(chat.say(false), (EntriesAndHead{1, 6}));
  EXPECT_EQ(chat.say(false), (EntriesAndHead{1, 7}));
  EXPECT_EQ(chat.say(false), (EntriesAndHead{1, 8})) << "read once in four records: kept";
  for (std::uint64_t id = 9; id <= 11; ++id) EXPECT_EQ(chat.say(false), (EntriesAndHead{1, id}));
  EXPECT_EQ(chat.say(false), (EntriesAndHead{1, 13})) << "the message still, the record no more";
  EXPECT_EQ(chat.channels.served(0, {2}).design, ChannelDesign::per_group);
  EXPECT_EQ(chat.say(false), (EntriesAndHead{0, 14}));
}

TEST(AdaptiveChannels, ACatchUpWithoutNewsAndOneOfAStrangerAreNoReads) {
  TwoUnderAdaptive chat;
  for (int i = 0; i < 3; ++i) {
    for (int n = 0; n < 5; ++n) {
      chat.channels.note_catch_up(0, {2}, chat.channels.channel(0).announced);
      chat.channels.note_catch_up(0, {3}, {});
    }
    (void)chat.say(false);
  }
  EXPECT_EQ(chat.channels.channel(0).head.head, MessageId{4});
}

TEST(AdaptiveChannels, AfterAFoldModesHoldAndTheFirstWindowThatWasWatchedIsTheFirstToBeJudged) {
  TwoUnderAdaptive chat;
  for (int i = 0; i < 4; ++i) (void)chat.say(true);
  ASSERT_EQ(chat.channels.served(0, {2}).queue_from, MessageId{5});
  Channels folded = chat.log.fold(settings_of(QueueDesign::adaptive));
  EXPECT_EQ(folded.served(0, {2}).queue_from, MessageId{5});
  std::vector<std::uint64_t> with_entries;
  for (std::uint64_t sent = 5; sent <= 12; ++sent) {
    store::Commit commit;
    (void)accepted(folded, 1, 7, sent, commit);
    if (folded.apply(commit).entries != 0) with_entries.push_back(commit.batch.record(0).id.value);
  }
  EXPECT_EQ(with_entries, (std::vector<std::uint64_t>{7, 8, 9, 10, 11, 12}))
      << "nobody was seen to read, but only from 9 on is that known of a whole window";
}

TEST(AdaptiveChannels, AMemberWhoLeavesKeepsTheQueueUpToTheLeaveAndComesBackWithoutOne) {
  TwoUnderAdaptive chat;
  for (int i = 0; i < 3; ++i) (void)chat.say(true);
  store::Commit gone;
  ASSERT_TRUE(chat.channels.leave({7}, {2}, Instant{}, gone));
  EXPECT_EQ(chat.make_durable(gone), 1U);
  EXPECT_EQ(chat.channels.served(0, {2}).queue_from, MessageId{5});
  EXPECT_EQ(chat.say(false), (EntriesAndHead{0, 7}));
  store::Commit back;
  ASSERT_TRUE(chat.channels.join({7}, {2}, Instant{}, back));
  EXPECT_EQ(chat.make_durable(back), 0U);
  EXPECT_EQ(chat.channels.channel(0).head.head, MessageId{8}) << "no mode of anybody changed";
  EXPECT_EQ(chat.channels.served(0, {2}).design, ChannelDesign::per_group);
}

}  // namespace
}  // namespace clamor::server
