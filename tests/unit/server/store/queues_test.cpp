#include "server/store/store.hpp"
#include "tests/temporary_directory.hpp"
#include "tests/unit/server/store/fan_outs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <rapidcheck/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace clamor::store {
namespace {

using core::ChannelDesign;
using test::fan_out_of;
using test::TemporaryDirectory;

constexpr std::size_t plenty = 1'000'000;

std::string text_of(std::span<const std::byte> body) {
  return {reinterpret_cast<const char*>(body.data()), body.size()};
}

/// Queue scans, whatever their rows carry.
class Queues : public testing::TestWithParam<QueuePayload> {
 protected:
  TemporaryDirectory directory_;
  Store store_{{.path = directory_ / "data", .payload = GetParam()}};

  void apply(std::uint64_t channel, ChannelDesign design, std::uint64_t first, std::uint32_t count,
             const std::vector<std::uint64_t>& users) {
    const FanOut fan_out = fan_out_of(channel, design, first, count, users, 1);
    store_.apply({&fan_out, 1}).value();
  }
  /// The n-th place in a queue: terms begin anew.
  [[nodiscard]] QueueSequence place(std::uint64_t n) const {
    return queue_begin(store_.term()) + n;
  }
  std::vector<UserQueueRow> rows(std::uint64_t user, std::uint64_t after) {
    std::vector<UserQueueRow> found;
    store_.scan_user_queue({user}, place(after), 100, plenty, found).value();
    for (const UserQueueRow& row : found) expect_copies(row.runs, row.copies);
    return found;
  }
  std::vector<QueueRun> runs(std::uint64_t user, std::uint64_t after) {
    std::vector<QueueRun> found;
    for (const UserQueueRow& row : rows(user, after)) {
      found.insert(found.end(), row.runs.begin(), row.runs.end());
    }
    return found;
  }
  std::vector<QueueRun> member_runs(std::uint64_t channel, std::uint64_t user,
                                    std::uint64_t after) {
    std::vector<MemberQueueRow> found;
    store_.scan_member_queue({channel}, {user}, {after}, 100, plenty, found).value();
    std::vector<QueueRun> runs;
    for (const MemberQueueRow& row : found) {
      runs.push_back(row.run);
      expect_copies({row.run}, row.copies);
    }
    return runs;
  }
  static void expect_copies(const std::vector<QueueRun>& runs, const RecordBatch& copies) {
    if (GetParam() == QueuePayload::reference) {
      EXPECT_TRUE(copies.empty());
      return;
    }
    std::size_t at = 0;
    for (const QueueRun& run : runs) {
      for (std::uint32_t i = 0; i < run.count; ++i, ++at) {
        ASSERT_LT(at, copies.size());
        EXPECT_EQ(copies.record(at).channel, run.channel);
        EXPECT_EQ(copies.record(at).id, run.first + i);
        EXPECT_EQ(text_of(copies.body(at)),
                  std::to_string(run.channel.value) + ":" + std::to_string(run.first.value + i));
      }
    }
    EXPECT_EQ(at, copies.size());
  }
};

TEST_P(Queues, ScansStayWithTheirUserOrMemberBeforeAndAfterAFlush) {
  apply(10, ChannelDesign::per_user, 1, 2, {1, 2});
  apply(11, ChannelDesign::per_user, 7, 1, {2});
  apply(12, ChannelDesign::per_member, 1, 2, {1, 2, 3});
  apply(13, ChannelDesign::per_member, 1, 9, {2});
  apply(12, ChannelDesign::per_member, 4, 3, {2});
  for (const bool flushed : {false, true}) {
    SCOPED_TRACE(flushed);
    if (flushed) store_.flush_queues().value();
    EXPECT_EQ(runs(2, 0), (std::vector<QueueRun>{{{10}, {1}, 2}, {{11}, {7}, 1}}));
    EXPECT_EQ(runs(1, 0), (std::vector<QueueRun>{{{10}, {1}, 2}}));
    EXPECT_TRUE(runs(3, 0).empty()) << "member queues are others";
    EXPECT_EQ(rows(2, 0).back().last, place(3));
    EXPECT_TRUE(runs(2, 3).empty()) << "rows at or below the position are not read";
    EXPECT_FALSE(runs(2, 2).empty()) << "a position inside a row needs the row";
    EXPECT_EQ(store_.user_queue_end({2}).value(), place(3));
    EXPECT_EQ(store_.user_queue_end({4}).value(), place(0));
    EXPECT_EQ(member_runs(12, 2, 0), (std::vector<QueueRun>{{{12}, {1}, 2}, {{12}, {4}, 3}}))
        << "3 is not the member's";
    EXPECT_TRUE(member_runs(12, 2, 6).empty());
    EXPECT_EQ(member_runs(12, 3, 0), (std::vector<QueueRun>{{{12}, {1}, 2}}));
  }
}

TEST_P(Queues, AFlushWritesOneRowAUserHoweverManyCommitsThereWere) {
  for (std::uint64_t id = 1; id <= 50; ++id) {
    apply(10, ChannelDesign::per_user, id, 1, {1, 2});
    if (id % 10 == 0) apply(11, ChannelDesign::per_user, id / 10, 1, {1});
  }
  store_.flush_queues().value();
  apply(10, ChannelDesign::per_user, 51, 1, {1});
  const auto found = rows(1, 0);
  ASSERT_EQ(found.size(), 2U) << "one flushed, one in memory";
  EXPECT_EQ(found[0].last, place(55));
  EXPECT_EQ(found[1].last, place(56));
  if (GetParam() == QueuePayload::reference) {
    EXPECT_EQ(found[0].runs, (std::vector<QueueRun>{{{10}, {1}, 50}, {{11}, {1}, 5}}));
  }
}

TEST_P(Queues, EntriesThatArriveAfterAScanAreSeenByTheNextThoughTheyJoinEarlierRuns) {
  apply(10, ChannelDesign::per_user, 1, 3, {1});
  apply(11, ChannelDesign::per_user, 1, 2, {1});
  const std::uint64_t seen = rows(1, 0).back().last - place(0);
  apply(10, ChannelDesign::per_user, 4, 1, {1});
  bool found = false;
  for (const QueueRun& run : runs(1, seen)) {
    found |= run.channel == ChannelId{10} && run.first + (run.count - 1) == MessageId{4};
  }
  EXPECT_TRUE(found);
}

TEST_P(Queues, ReopeningForgetsWhatWasNotFlushedWithItsCursor) {
  const FanOut first = fan_out_of(10, ChannelDesign::per_user, 1, 2, {1}, 2);
  const FanOut second = fan_out_of(10, ChannelDesign::per_user, 3, 2, {1}, 4);
  store_.apply({&first, 1}).value();
  store_.flush_queues().value();
  store_.apply({&second, 1}).value();
  EXPECT_EQ(store_.unflushed().entries, 2U);
  store_.reopen().value();
  EXPECT_EQ(store_.unflushed().entries, 0U);
  EXPECT_EQ(store_.cursor({0}).value(), JournalSequence{2});
  EXPECT_EQ(runs(1, 0), (std::vector<QueueRun>{{{10}, {1}, 2}}));
}

INSTANTIATE_TEST_SUITE_P(Payloads, Queues,
                         testing::Values(QueuePayload::reference, QueuePayload::copy),
                         [](const auto& tested) { return std::string{name_of(tested.param)}; });

TEST(QueueScan, CopiesStopAtTheirBytesAndGoOnWhereTheyStopped) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .payload = QueuePayload::copy}};
  for (std::uint64_t id = 1; id <= 2000; ++id) {
    const FanOut fan_out =
        fan_out_of(10 + id % 2, ChannelDesign::per_user, (id + 1) / 2, 1, {1}, id);
    store.apply({&fan_out, 1}).value();
    if (id == 1200) store.flush_queues().value();
  }
  std::map<ChannelId, MessageId> held;
  QueueSequence after;
  std::size_t scans = 0;
  for (;; ++scans) {
    std::vector<UserQueueRow> rows;
    store.scan_user_queue({1}, after, 100, 4096, rows).value();
    if (rows.empty()) break;
    for (const UserQueueRow& row : rows) {
      EXPECT_LT(row.copies.bytes(), 32U * 1024) << "a row is a part of a page";
      for (const core::Record& record : row.copies.records()) {
        EXPECT_EQ(record.id, held[record.channel] + 1) << "nothing twice, nothing left out";
        held[record.channel] = record.id;
      }
      after = row.last;
    }
    ASSERT_LT(scans, 1000U);
  }
  EXPECT_GT(scans, 10U);
  EXPECT_EQ(held[ChannelId{10}], MessageId{1000});
  EXPECT_EQ(held[ChannelId{11}], MessageId{1000});
  EXPECT_EQ(after, queue_begin(store.term()) + 2000);
}

// However commits, flushes and scans interleave: whoever scans on from where the last scan ended
// and takes what is next in its channel has everything that was applied.
RC_GTEST_PROP(QueueScan, AReaderThatFollowsTheQueueMissesNothing, ()) {
  // Opening a store takes longer than a case: each has a user and channels of its own instead.
  static const TemporaryDirectory directory;
  static Store references{{.path = directory / "references"}};
  static Store copies{{.path = directory / "copies", .payload = QueuePayload::copy}};
  static std::uint64_t user = 0;
  user += 2;
  Store& store = *rc::gen::arbitrary<bool>() ? references : copies;
  std::map<ChannelId, MessageId> heads;
  std::map<ChannelId, MessageId> held;
  QueueSequence after;
  const auto scan = [&](std::size_t rows_max, std::size_t bytes_max) {
    std::vector<UserQueueRow> rows;
    store.scan_user_queue({user}, after, rows_max, bytes_max, rows).value();
    for (const UserQueueRow& row : rows) {
      RC_ASSERT(row.last > after);
      after = row.last;
      for (const QueueRun& run : row.runs) {
        const MessageId last = run.first + (run.count - 1);
        RC_ASSERT(run.first <= held[run.channel] + 1);
        held[run.channel] = std::max(held[run.channel], last);
      }
    }
    return !rows.empty();
  };
  const auto steps = *rc::gen::inRange<std::size_t>(1, 40);
  for (std::size_t step = 0; step < steps; ++step) {
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        store.flush_queues().value();
        break;
      case 1:
        (void)scan(*rc::gen::inRange<std::size_t>(1, 4), *rc::gen::inRange<std::size_t>(1, 500));
        break;
      default: {
        const ChannelId channel{10 * user + *rc::gen::inRange<std::uint64_t>(0, 3)};
        const auto count = *rc::gen::inRange<std::uint32_t>(1, 5);
        const FanOut fan_out =
            fan_out_of(channel.value, ChannelDesign::per_user, heads[channel].value + 1, count,
                       {user, user + 1}, step + 1);
        heads[channel] = heads[channel] + count;
        store.apply({&fan_out, 1}).value();
      }
    }
  }
  for (int rounds = 0; scan(3, 200); ++rounds) RC_ASSERT(rounds < 1000);
  for (const auto& [channel, head] : heads) RC_ASSERT(held[channel] == head);
}

}  // namespace
}  // namespace clamor::store
