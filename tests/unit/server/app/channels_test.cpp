#include "server/app/channels.hpp"

#include "server/core/limits.hpp"
#include "tests/unit/server/app/channels_log.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <rapidcheck/gtest.h>
#include <set>
#include <utility>
#include <vector>

namespace clamor::server {
namespace {

/// What there is to know of all channels, in a form that compares. What is gone of `trimmed` counts
/// as read, and is redacted no more.
std::vector<std::vector<std::uint64_t>> facts_of(const Channels& channels,
                                                 std::uint64_t channel_count,
                                                 const Channels& trimmed) {
  std::vector<std::vector<std::uint64_t>> facts;
  for (std::uint64_t id = 1; id <= channel_count; ++id) {
    const auto index = channels.find({id});
    if (!index) continue;
    const Channel& channel = channels.channel(*index);
    const core::CountedId gone = trimmed.channel(*trimmed.find({id})).trimmed;
    std::vector<std::uint64_t> row{id,
                                   channel.head.head.value,
                                   channel.head.durable_head.value,
                                   static_cast<std::uint64_t>(channel.head.design),
                                   static_cast<std::uint64_t>(channel.next_design),
                                   channel.queue_from.value,
                                   channel.members_now,
                                   channel.admin.value,
                                   channel.uncountable,
                                   channel.announced_uncountable};
    for (std::uint64_t user = 1; user <= 6; ++user) {
      core::CountedId read = channels.read_mark(*index, {user});
      core::advance(read, gone);
      row.insert(row.end(),
                 {read.id.value, read.uncountable,
                  channels.mentions(*index, {user}, read.id, channel.head.durable_head)});
    }
    for (const MessageId stub : channels.redacted(*index, gone.id)) row.push_back(stub.value);
    for (const MessageId from : channel.member_queue_from) row.push_back(from.value);
    for (const core::MemberReads& reads : channel.reads) row.push_back(reads.queued ? 1 : 0);
    for (const core::MemberRow& member : channel.members) {
      row.insert(row.end(), {member.user.value, member.partition.value, member.interval.join.value,
                             member.interval.leave.value});
    }
    facts.push_back(row);
  }
  return facts;
}
std::vector<std::vector<std::uint64_t>> facts_of(const Channels& channels,
                                                 std::uint64_t channel_count) {
  return facts_of(channels, channel_count, channels);
}

TEST(Channels, ARecordIsTentativeUntilItsCommitIsApplied) {
  Channels channels{settings_of(QueueDesign::per_user)};
  store::Commit commit;
  const std::vector<UserId> members{{1}, {2}};
  ASSERT_TRUE(channels.create({7}, {1}, members, Instant{}, commit));
  EXPECT_EQ(accepted(channels, 1, 7, 1, commit).id, MessageId{2});
  EXPECT_EQ(accepted(channels, 1, 7, 1, commit).outcome, core::AcceptOutcome::duplicate_pending);
  const Channel& channel = channels.channel(*channels.find({7}));
  EXPECT_EQ(channel.head.head, MessageId{2});
  EXPECT_EQ(channel.head.durable_head, MessageId{0});
  const auto planned = channels.apply(commit);
  EXPECT_EQ(channel.head.durable_head, MessageId{2});
  EXPECT_EQ(accepted(channels, 1, 7, 1, commit).outcome, core::AcceptOutcome::duplicate);
  EXPECT_EQ(planned.entries, 4U) << "two records for two members";
  ASSERT_EQ(planned.runs.size(), 1U) << "consecutive records of a channel are one run";
  EXPECT_EQ(planned.fan_out.entries.size(), 2U) << "packed: one entry a member";
  EXPECT_EQ(channel.covered, MessageId{0});
  channels.set_covered(planned.runs);
  EXPECT_EQ(channel.covered, MessageId{2});
}

TEST(Channels, ALeaverGetsTheLeaveAndNothingAfterIt) {
  Channels channels{settings_of(QueueDesign::per_user)};
  store::Commit commit;
  const std::vector<UserId> members{{1}, {2}};
  ASSERT_TRUE(channels.create({7}, {1}, members, Instant{}, commit));
  ASSERT_TRUE(channels.leave({7}, {2}, Instant{}, commit));
  (void)accepted(channels, 1, 7, 1, commit);
  const auto planned = channels.apply(commit);
  std::map<std::uint64_t, std::uint64_t> entries;
  for (const core::DurableEntry& entry : planned.fan_out.entries) {
    entries[entry.user.value] += entry.count;
  }
  EXPECT_EQ(entries[1], 3U);
  EXPECT_EQ(entries[2], 2U);
}

TEST(Channels, TheRingOfSendsGrowsWithoutForgetting) {
  Channels channels{settings_of(QueueDesign::per_group)};
  store::Commit commit;
  const std::vector<UserId> members{{1}};
  ASSERT_TRUE(channels.create({7}, {1}, members, Instant{}, commit));
  (void)channels.apply(commit);
  for (std::uint64_t sent = 1; sent <= 200; ++sent) {
    store::Commit next;
    ASSERT_EQ(accepted(channels, 1, 7, sent, next).id, MessageId{sent + 1});
    (void)channels.apply(next);
    const std::uint64_t oldest = sent <= 64 ? 1 : sent - 63;
    store::Commit none;
    for (std::uint64_t id = oldest; id <= sent; ++id) {
      ASSERT_EQ(accepted(channels, 1, 7, id, none).id, MessageId{id + 1});
    }
    ASSERT_TRUE(none.batch.empty());
  }
}

/// Draws requests of four users in two channels, turn by turn, and keeps what happened.
class Traffic {
 public:
  static constexpr std::uint64_t channel_count = 2;

  Traffic(Channels& channels, Log& log) : channels_{channels}, log_{log} {}

  /// Calls each(planned) for every commit that was applied.
  template <class Each>
  void run(Each&& each) {
    for (auto turns = *rc::gen::inRange(1, 30); turns > 0; --turns) {
      store::Commit commit;
      for (auto requests = *rc::gen::inRange(1, 6); requests > 0; --requests) request(commit);
      if (commit.batch.empty()) continue;
      log_.append(commit);
      each(channels_.apply(commit));
      for (std::size_t i = 0; i < commit.batch.size(); ++i) {
        channels_.set_announced(*channels_.find(commit.batch.record(i).channel),
                                commit.batch.record(i));
      }
    }
    for (const auto& [what, times] : happened_) RC_TAG(what);
  }
  /// Highest client_message_id by (user, channel).
  [[nodiscard]] const auto& sent() const { return sent_; }

 private:
  void request(store::Commit& commit) {
    const UserId user{*rc::gen::inRange<std::uint64_t>(1, 5)};
    const ChannelId channel{*rc::gen::inRange<std::uint64_t>(1, channel_count + 1)};
    if (!channels_.find(channel)) {
      const std::vector<UserId> members{user, {user.value + 1}};
      RC_ASSERT(channels_.create(channel, user, members, Instant{}, commit).has_value());
      ++happened_["create"];
      return;
    }
    const std::size_t records = commit.batch.size();
    const ChannelIndex index = *channels_.find(channel);
    for (auto catch_ups = *rc::gen::inRange(0, 3); catch_ups > 0; --catch_ups) {
      channels_.note_catch_up(index, user, {*rc::gen::inRange<std::uint64_t>(0, 12)});
    }
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        if (channels_.join(channel, user, Instant{}, commit)) ++happened_["join"];
        break;
      case 1:
        if (channels_.leave(channel, user, Instant{}, commit)) ++happened_["leave"];
        break;
      default: {
        std::uint64_t& last = sent_[{user.value, channel.value}];
        protocol::Send send{channel, {last + 1}, {}};
        draw_about(send);
        const auto target = log_.target(channel, send.target);
        const auto answer =
            channels_.send(user, {1}, 1, send, Instant{}, commit, target ? &*target : nullptr);
        if (answer.refused) return;
        if (send.is_about()) ++happened_["about " + std::to_string(static_cast<int>(send.kind))];
        RC_ASSERT(answer.accepted.outcome == core::AcceptOutcome::accepted);
        ++last;
        ++happened_["send"];
        return;
      }
    }
    if (commit.batch.size() != records + 2) return;
    const bool of_member = commit.batch.record(records + 1).kind == core::RecordKind::member_mode;
    ++happened_[of_member ? "member mode" : "design changed"];
  }

  void draw_about(protocol::Send& send) const {
    send.kind = *rc::gen::element(core::RecordKind::message, core::RecordKind::message,
                                  core::RecordKind::edit, core::RecordKind::deletion,
                                  core::RecordKind::reaction);
    const bool message = send.kind == core::RecordKind::message;
    if (!message || *rc::gen::inRange(0, 3) == 0)
      send.target = {*rc::gen::inRange<std::uint64_t>(0, 12)};
    if (message && *rc::gen::inRange(0, 3) == 0) {
      send.mentions = {*rc::gen::element(UserId{1}, UserId{2}, UserId{6}, protocol::everyone)};
    }
  }

  Channels& channels_;
  Log& log_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> sent_;
  std::map<std::string, int> happened_;
};

/// Deduplication is part of the state: the same answers to resends, and the same next number.
void expect_same_answers(Channels& before, Channels& after, const Traffic& traffic,
                         store::Commit& scratch) {
  for (const auto& [key, last] : traffic.sent()) {
    const auto [user, channel] = key;
    for (std::uint64_t id = 1; id <= last + 1; ++id) {
      const protocol::Send send{{channel}, {id}, {}};
      const auto one = before.send({user}, {1}, 1, send, Instant{}, scratch);
      const auto other = after.send({user}, {1}, 1, send, Instant{}, scratch);
      RC_ASSERT(one.refused == other.refused);
      RC_ASSERT(one.accepted.outcome == other.accepted.outcome);
      RC_ASSERT(one.accepted.id == other.accepted.id);
    }
  }
}

RC_GTEST_PROP(Channels, ACheckpointStandsForTheRecordsThatItIsMadeOf, ()) {
  const auto design =
      *rc::gen::element(QueueDesign::per_user, QueueDesign::per_member, QueueDesign::per_group,
                        QueueDesign::hybrid, QueueDesign::adaptive);
  const ChannelsSettings settings = settings_of(design, 2);
  Channels channels{settings};
  Log log;
  Traffic traffic{channels, log};
  traffic.run([](const Channels::Planned&) {});
  Channels whole = log.fold(settings);
  Channels cut = log.fold_from_checkpoints(settings, *rc::gen::inRange<std::uint64_t>(0, 60));
  RC_ASSERT(facts_of(cut, Traffic::channel_count) == facts_of(whole, Traffic::channel_count, cut));
  store::Commit scratch;
  expect_same_answers(whole, cut, traffic, scratch);
}

TEST(Channels, ADamagedCheckpointIsToldFromAWholeOne) {
  const ChannelsSettings settings = settings_of(QueueDesign::per_user);
  Channels channels{settings};
  store::Commit commit;
  const std::vector<UserId> members{{1}, {2}};
  ASSERT_TRUE(channels.create({7}, {1}, members, Instant{}, commit));
  (void)accepted(channels, 1, 7, 1, commit);
  (void)channels.apply(commit);
  const store::Checkpoint whole = channels.checkpoint(0);
  EXPECT_TRUE(Channels{settings}.restore(whole));
  for (std::size_t bytes = 0; bytes < whole.state.size(); ++bytes) {
    store::Checkpoint cut = whole;
    cut.state.resize(bytes);
    EXPECT_FALSE(Channels{settings}.restore(cut)) << bytes << " bytes of it";
  }
}

RC_GTEST_PROP(Channels, TheFoldOfTheLogIsTheStateThatMadeIt, ()) {
  const auto design =
      *rc::gen::element(QueueDesign::per_user, QueueDesign::per_member, QueueDesign::per_group,
                        QueueDesign::hybrid, QueueDesign::adaptive);
  const ChannelsSettings settings = settings_of(design, 2);
  Channels channels{settings};
  Log log;
  Traffic traffic{channels, log};
  traffic.run([](const Channels::Planned&) {});
  Channels folded = log.fold(settings);
  RC_ASSERT(facts_of(folded, Traffic::channel_count) == facts_of(channels, Traffic::channel_count));
  // How often members read is not in the log: from here on modes may change at other records.
  if (design == QueueDesign::adaptive) return;
  store::Commit scratch;
  expect_same_answers(channels, folded, traffic, scratch);
  // And the same place in the journal.
  for (std::size_t i = 0; i + 1 < scratch.places.size(); i += 2) {
    RC_ASSERT(scratch.places[i] == scratch.places[i + 1]);
  }
}

/// One channel of users 1 to 3, the first its admin; every send is durable at once.
class OneChannel {
 public:
  OneChannel() {
    store::Commit commit;
    const std::vector<UserId> members{{1}, {2}, {3}};
    EXPECT_TRUE(channels.create({7}, {1}, members, Instant{}, commit));
    make_durable(commit);
  }
  /// The user's next send; its id, or why not.
  ChangeResult send(std::uint64_t user, core::RecordKind kind, std::uint64_t target,
                    std::vector<UserId> mentions = {}) {
    store::Commit commit;
    const auto answer = decide(user, kind, target, std::move(mentions), commit);
    if (answer.refused) return *answer.refused;
    ++sent_[user];
    make_durable(commit);
    return answer.accepted.id;
  }
  Channels::SendAnswer decide(std::uint64_t user, core::RecordKind kind, std::uint64_t target,
                              std::vector<UserId> mentions, store::Commit& commit,
                              std::uint64_t ahead = 1) {
    const std::array text{std::byte{'x'}};
    const bool has_text = kind != core::RecordKind::deletion;
    const protocol::Send send{
        {7},      {sent_[user] + ahead}, has_text ? protocol::Bytes{text} : protocol::Bytes{}, kind,
        {target}, std::move(mentions)};
    const auto found = log.target({7}, {target});
    return channels.send({user}, {1}, 1, send, Instant{}, commit, found ? &*found : nullptr);
  }
  void make_durable(const store::Commit& commit) {
    log.append(commit);
    (void)channels.apply(commit);
    for (const core::Record& record : commit.batch.records()) channels.set_announced(0, record);
  }
  [[nodiscard]] std::uint32_t mentions(std::uint64_t user) const {
    return channels.mentions(0, {user}, channels.read_mark(0, {user}).id,
                             channels.channel(0).announced);
  }

  Channels channels{settings_of(QueueDesign::per_user)};
  Log log;

 private:
  std::map<std::uint64_t, std::uint64_t> sent_;
};

using core::RecordKind;
using protocol::RefusalCode;

TEST(Channels, AnEditIsForTheSenderADeletionForTheAdminToo) {
  OneChannel chat;
  ASSERT_EQ(*chat.send(2, RecordKind::message, 0), MessageId{2});
  EXPECT_EQ(chat.send(3, RecordKind::edit, 2).error(), RefusalCode::not_allowed);
  EXPECT_EQ(chat.send(1, RecordKind::edit, 2).error(), RefusalCode::not_allowed) << "the admin";
  EXPECT_EQ(*chat.send(2, RecordKind::edit, 2), MessageId{3});
  EXPECT_EQ(chat.send(3, RecordKind::deletion, 2).error(), RefusalCode::not_allowed);
  EXPECT_EQ(*chat.send(3, RecordKind::reaction, 2), MessageId{4});
  for (const std::uint64_t none : {0U, 1U, 3U, 4U, 99U}) {
    for (const auto kind : {RecordKind::edit, RecordKind::deletion, RecordKind::reaction}) {
      EXPECT_EQ(chat.send(1, kind, none).error(), RefusalCode::no_such_message) << none;
    }
  }
  EXPECT_EQ(*chat.send(1, RecordKind::deletion, 2), MessageId{5});
  EXPECT_EQ(chat.send(2, RecordKind::edit, 2).error(), RefusalCode::no_such_message);
  EXPECT_EQ(chat.send(2, RecordKind::message, 2).error(), RefusalCode::no_such_message);
}

TEST(Channels, ADeletionTakesTheMessageAndItsEditsOutOfTheLog) {
  OneChannel chat;
  ASSERT_TRUE(chat.send(2, RecordKind::message, 0));
  const std::size_t empty = chat.log.bytes() - 1;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(chat.send(2, RecordKind::edit, 2));
  ASSERT_TRUE(chat.send(2, RecordKind::deletion, 2));
  EXPECT_EQ(chat.log.bytes(), empty + 12) << "what the deletion itself says is left";
  const auto gone = chat.channels.redacted(0, {2});
  EXPECT_EQ((std::vector<MessageId>{gone.begin(), gone.end()}),
            (std::vector<MessageId>{{3}, {4}, {5}}))
      << "above what is asked for";
}

TEST(Channels, WhatIsNotDurableYetIsWaitedForByTheNextEditOrDeletion) {
  OneChannel chat;
  ASSERT_TRUE(chat.send(2, RecordKind::message, 0));
  store::Commit open;
  EXPECT_FALSE(chat.decide(2, RecordKind::edit, 2, {}, open).refused);
  store::Commit none;
  EXPECT_EQ(chat.decide(1, RecordKind::deletion, 2, {}, none).refused,
            RefusalCode::too_many_pending)
      << "it would leave the edit's body";
  chat.make_durable(open);
  EXPECT_FALSE(chat.decide(1, RecordKind::deletion, 2, {}, none).refused);
  EXPECT_EQ(none.redactions.size(), 2U);
}

TEST(Channels, AResendIsAnsweredAfterItsTargetIsGone) {
  OneChannel chat;
  ASSERT_TRUE(chat.send(2, RecordKind::message, 0));
  ASSERT_EQ(*chat.send(3, RecordKind::reaction, 2), MessageId{3});
  ASSERT_TRUE(chat.send(2, RecordKind::deletion, 2));
  store::Commit none;
  const auto again = chat.decide(3, RecordKind::reaction, 2, {}, none, 0);
  EXPECT_EQ(again.refused, std::nullopt);
  EXPECT_EQ(again.accepted.id, MessageId{3});
  EXPECT_TRUE(none.batch.empty());
}

TEST(Channels, EditsOfAMessageAreBounded) {
  OneChannel chat;
  ASSERT_TRUE(chat.send(2, RecordKind::message, 0));
  for (std::uint32_t i = 0; i < core::edits_max; ++i) {
    ASSERT_TRUE(chat.send(2, RecordKind::edit, 2));
  }
  EXPECT_EQ(chat.send(2, RecordKind::edit, 2).error(), RefusalCode::too_many_edits);
  EXPECT_TRUE(chat.send(2, RecordKind::deletion, 2));
}

TEST(Channels, MentionsCountUntilTheyAreReadOrDeleted) {
  OneChannel chat;
  const std::vector<UserId> second{{2}, {9}};
  const std::vector<UserId> all{protocol::everyone};
  ASSERT_TRUE(chat.send(1, RecordKind::message, 0, second));
  EXPECT_EQ(chat.send(3, RecordKind::message, 0, all).error(), RefusalCode::not_allowed);
  ASSERT_TRUE(chat.send(1, RecordKind::message, 0, all));
  ASSERT_TRUE(chat.send(1, RecordKind::message, 0));
  EXPECT_EQ(chat.mentions(1), 0U) << "who sends has read";
  EXPECT_EQ(chat.mentions(2), 2U);
  EXPECT_EQ(chat.mentions(3), 1U);
  EXPECT_EQ(chat.mentions(9), 1U) << "no member: everyone's is all that could be counted";
  ASSERT_TRUE(chat.send(1, RecordKind::deletion, 2));
  EXPECT_EQ(chat.mentions(2), 1U);
  store::Commit reads;
  reads.reads.push_back({{7}, {2}, {{3}, 1}});
  (void)chat.channels.apply(reads);
  EXPECT_EQ(chat.mentions(2), 0U);
  EXPECT_EQ(chat.mentions(3), 1U);
  for (std::uint32_t i = 0; i < core::mentions_counted_max + 5; ++i) {
    ASSERT_TRUE(chat.send(1, RecordKind::message, 0, second));
  }
  EXPECT_EQ(chat.mentions(2), core::mentions_counted_max);
}

/// Entries by (user, channel, id).
using EntryCounts = std::map<std::array<std::uint64_t, 3>, int>;

void count(const Channels::Planned& planned, EntryCounts& into) {
  std::size_t entry = 0;
  for (const store::FanOut::Run& run : planned.fan_out.runs) {
    for (; entry < run.entries_end; ++entry) {
      const core::DurableEntry& found = planned.fan_out.entries[entry];
      for (std::uint64_t i = 0; i < found.count; ++i) {
        ++into[{found.user.value, run.channel.value, (found.first + i).value}];
      }
    }
  }
}

RC_GTEST_PROP(Channels, ARedoPlansTheEntriesThatTheCommitsDid, ()) {
  const ChannelsSettings settings =
      settings_of(*rc::gen::element(QueueDesign::per_user, QueueDesign::per_member));
  Channels channels{settings};
  Log log;
  EntryCounts planned;
  Traffic traffic{channels, log};
  traffic.run([&](const Channels::Planned& plan) { count(plan, planned); });
  Channels folded = log.fold(settings);
  EntryCounts redone;
  for (const auto& [partition, rows] : log.journals()) count(folded.redo(rows), redone);
  RC_ASSERT(redone == planned);
}

RC_GTEST_PROP(Channels, ARedoPlansTheEntriesOfMembersWhoHaveAQueueNow, ()) {
  const ChannelsSettings settings = settings_of(QueueDesign::adaptive);
  Channels channels{settings};
  Log log;
  EntryCounts planned;
  Traffic traffic{channels, log};
  traffic.run([&](const Channels::Planned& plan) { count(plan, planned); });
  std::erase_if(planned, [&](const auto& entry) {
    const auto [user, channel_id, id] = entry.first;
    const Channel& channel = channels.channel(*channels.find({channel_id}));
    for (std::size_t row = 0; row < channel.members.size(); ++row) {
      const core::MemberRow& member = channel.members[row];
      if (member.user == UserId{user} && member.interval.contains({id})) {
        return channel.member_queue_from[row] > MessageId{id};
      }
    }
    return true;
  });
  Channels folded = log.fold(settings);
  EntryCounts redone;
  for (const auto& [partition, rows] : log.journals()) count(folded.redo(rows), redone);
  RC_ASSERT(redone == planned);
}

}  // namespace
}  // namespace clamor::server
