#include "server/app/channels.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <rapidcheck/gtest.h>
#include <set>
#include <vector>

namespace clamor::server {
namespace {

ChannelsSettings settings_of(QueueDesign design, std::uint32_t threshold = 3) {
  return {.design = {design, threshold}, .partitions = 4, .group_members_max = 6};
}

core::Accepted accepted(Channels& channels, std::uint64_t user, std::uint64_t channel,
                        std::uint64_t client_message_id, store::Commit& commit,
                        std::uint32_t incarnation = 1) {
  return channels
      .send({user}, {1}, incarnation, {{channel}, {client_message_id}, {}}, Instant{}, commit)
      .accepted;
}

/// What there is to know of all channels, in a form that compares.
std::vector<std::vector<std::uint64_t>> facts_of(const Channels& channels,
                                                 std::uint64_t channel_count) {
  std::vector<std::vector<std::uint64_t>> facts;
  for (std::uint64_t id = 1; id <= channel_count; ++id) {
    const auto index = channels.find({id});
    if (!index) continue;
    const Channel& channel = channels.channel(*index);
    std::vector<std::uint64_t> row{id,
                                   channel.head.head.value,
                                   channel.head.durable_head.value,
                                   static_cast<std::uint64_t>(channel.head.design),
                                   static_cast<std::uint64_t>(channel.next_design),
                                   channel.queue_from.value,
                                   channel.members_now};
    for (const core::MemberRow& member : channel.members) {
      row.insert(row.end(), {member.user.value, member.partition.value, member.interval.join.value,
                             member.interval.leave.value});
    }
    facts.push_back(row);
  }
  return facts;
}

TEST(Channels, ARecordIsTentativeUntilItsCommitIsApplied) {
  Channels channels{settings_of(QueueDesign::per_user)};
  store::Commit commit;
  const std::vector<UserId> members{{1}, {2}};
  ASSERT_TRUE(channels.create({7}, members, Instant{}, commit));
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
  ASSERT_TRUE(channels.create({7}, members, Instant{}, commit));
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
  ASSERT_TRUE(channels.create({7}, members, Instant{}, commit));
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

/// A log in memory: what commits made durable, as a store would give it back.
class Log {
 public:
  void append(const store::Commit& commit) {
    for (std::size_t i = 0; i < commit.batch.size(); ++i) {
      const core::Record& record = commit.batch.record(i);
      const auto body = commit.batch.body(i);
      records_[{record.channel.value, record.id.value}] = {record, {body.begin(), body.end()}};
      journals_[commit.places[i].partition.value].push_back(
          {commit.places[i], record.channel, record.id});
    }
  }
  [[nodiscard]] Channels fold(const ChannelsSettings& settings) const {
    Channels channels{settings};
    for (const auto& [key, row] : records_) channels.restore(row.first, row.second);
    for (const auto& [partition, rows] : journals_) {
      channels.set_journal_end({partition}, rows.back().place.sequence);
    }
    return channels;
  }
  [[nodiscard]] const std::map<std::uint32_t, std::vector<store::JournalRow>>& journals() const {
    return journals_;
  }

 private:
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<core::Record, std::vector<std::byte>>>
      records_;
  std::map<std::uint32_t, std::vector<store::JournalRow>> journals_;
};

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
      RC_ASSERT(channels_.create(channel, members, Instant{}, commit).has_value());
      ++happened_["create"];
      return;
    }
    const std::size_t records = commit.batch.size();
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        if (channels_.join(channel, user, Instant{}, commit)) ++happened_["join"];
        break;
      case 1:
        if (channels_.leave(channel, user, Instant{}, commit)) ++happened_["leave"];
        break;
      default: {
        std::uint64_t& last = sent_[{user.value, channel.value}];
        const auto answer =
            channels_.send(user, {1}, 1, {channel, {last + 1}, {}}, Instant{}, commit);
        if (answer.refused) return;
        RC_ASSERT(answer.accepted.outcome == core::AcceptOutcome::accepted);
        ++last;
        ++happened_["send"];
        return;
      }
    }
    if (commit.batch.size() == records + 2) ++happened_["design changed"];
  }

  Channels& channels_;
  Log& log_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> sent_;
  std::map<std::string, int> happened_;
};

RC_GTEST_PROP(Channels, TheFoldOfTheLogIsTheStateThatMadeIt, ()) {
  const auto design = *rc::gen::element(QueueDesign::per_user, QueueDesign::per_member,
                                        QueueDesign::per_group, QueueDesign::hybrid);
  const ChannelsSettings settings = settings_of(design, 2);
  Channels channels{settings};
  Log log;
  Traffic traffic{channels, log};
  traffic.run([](const Channels::Planned&) {});
  Channels folded = log.fold(settings);
  RC_ASSERT(facts_of(folded, Traffic::channel_count) == facts_of(channels, Traffic::channel_count));
  // Deduplication is part of it: the same answers to resends, and the same next number and place.
  for (const auto& [key, last] : traffic.sent()) {
    const auto [user, channel] = key;
    store::Commit scratch;
    for (std::uint64_t id = 1; id <= last + 1; ++id) {
      const auto before = channels.send({user}, {1}, 1, {{channel}, {id}, {}}, Instant{}, scratch);
      const auto after = folded.send({user}, {1}, 1, {{channel}, {id}, {}}, Instant{}, scratch);
      RC_ASSERT(before.refused == after.refused);
      RC_ASSERT(before.accepted.outcome == after.accepted.outcome);
      RC_ASSERT(before.accepted.id == after.accepted.id);
    }
    RC_ASSERT(scratch.places.size() == 0 || scratch.places.size() == 2);
    if (!scratch.places.empty()) RC_ASSERT(scratch.places[0] == scratch.places[1]);
  }
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

}  // namespace
}  // namespace clamor::server
