// What devices hold leaves the queues, and nothing else does.

#include "server/store/store.hpp"
#include "tests/temporary_directory.hpp"
#include "tests/unit/server/store/fan_outs.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <rapidcheck/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace clamor::store {
namespace {

using core::ChannelDesign;
using core::HeldUpTo;
using test::fan_out_of;
using test::TemporaryDirectory;
using Ids = std::vector<std::uint64_t>;

constexpr std::size_t plenty = 1'000'000;

core::DeviceReport report_of(std::uint64_t user, std::uint32_t device, std::vector<HeldUpTo> holds,
                             bool login = false, std::int64_t at_s = 1000) {
  return {.user = {user}, .device = {device}, .login = login, .at_s = at_s, .holds = holds};
}

/// Ids in a user's queue, its own or those of its channels, of one channel.
Ids ids_of(const Store& store, std::uint64_t user, std::uint64_t channel) {
  std::vector<QueueRun> runs;
  std::vector<UserQueueRow> rows;
  store.scan_user_queue({user}, {0}, plenty, plenty, rows).value();
  for (const UserQueueRow& row : rows) {
    for (const QueueRun& run : row.runs) {
      if (run.channel == ChannelId{channel}) runs.push_back(run);
    }
  }
  std::vector<MemberQueueRow> members;
  store.scan_member_queue({channel}, {user}, {0}, plenty, plenty, members).value();
  for (const MemberQueueRow& row : members) runs.push_back(row.run);
  Ids ids;
  for (const QueueRun& run : runs) {
    for (std::uint32_t i = 0; i < run.count; ++i) ids.push_back((run.first + i).value);
  }
  return ids;
}

struct Queueing {
  ChannelDesign design = ChannelDesign::per_user;
  QueuePayload payload = QueuePayload::reference;
};

class QueueTrim : public testing::TestWithParam<Queueing> {
 protected:
  TemporaryDirectory directory_;
  std::optional<Store> store_{std::in_place, settings()};

  [[nodiscard]] StoreSettings settings() const {
    return {.path = directory_ / "data",
            .durability = Durability::os,
            .payload = GetParam().payload,
            .device_expires_after = std::chrono::seconds{30},
            .queue_entries_max = 20};
  }
  void apply(std::uint64_t channel, std::uint64_t first, std::uint32_t count,
             const Ids& users = {1}) {
    const FanOut fan_out = fan_out_of(channel, GetParam().design, first, count, users, 1);
    store_->apply({&fan_out, 1}).value();
  }
  std::size_t take(const core::DeviceReport& report) { return store_->take({&report, 1}); }
  void flush() { store_->flush_queues().value(); }
  void restart() {
    store_.reset();
    store_.emplace(settings());
  }
  [[nodiscard]] Ids ids(std::uint64_t channel, std::uint64_t user = 1) const {
    return ids_of(*store_, user, channel);
  }
};

TEST_P(QueueTrim, WhatIsHeldLeavesMemoryAndIsNeverWritten) {
  take(report_of(1, 1, {}, true));
  apply(10, 1, 6, {1, 2});
  apply(11, 1, 1, {1, 2});
  const std::size_t bytes = store_->unflushed().bytes;
  EXPECT_GT(take(report_of(1, 1, {{{11}, {1}}})), 0U);
  (void)take(report_of(1, 1, {{{10}, {4}}}));
  EXPECT_EQ(ids(10), (Ids{5, 6}));
  EXPECT_EQ(ids(11), Ids{});
  EXPECT_LE(store_->unflushed().bytes, bytes);
  apply(10, 7, 1);
  EXPECT_EQ(ids(10), (Ids{5, 6, 7}));
  EXPECT_GT(take(report_of(1, 1, {{{10}, {7}}})), 0U);
  EXPECT_EQ(ids(10), Ids{});
  flush();
  EXPECT_EQ(ids(10), Ids{});
  EXPECT_EQ(ids(10, 2), (Ids{1, 2, 3, 4, 5, 6})) << "nobody said anything for user 2";
  apply(10, 8, 2);
  flush();
  EXPECT_EQ(ids(10), (Ids{8, 9})) << "what comes later is new";
}

TEST_P(QueueTrim, RowsOnDiskGoWithTheNextFlushOnceAllOfThemIsHeld) {
  take(report_of(1, 1, {}, true));
  apply(10, 1, 3, {1, 2});
  flush();
  apply(10, 4, 2, {1, 2});
  flush();
  (void)take(report_of(1, 1, {{{10}, {4}}}));
  flush();
  EXPECT_EQ(ids(10).back(), 5U) << "5 is not held";
  (void)take(report_of(1, 1, {{{10}, {5}}}));
  apply(10, 6, 1, {1, 2});
  flush();
  EXPECT_EQ(ids(10), Ids{6});
  EXPECT_EQ(ids(10, 2), (Ids{1, 2, 3, 4, 5, 6})) << "of another user";
  restart();
  EXPECT_EQ(ids(10), Ids{6});
  take(report_of(1, 1, {{{10}, {6}}}, true));
  flush();
  EXPECT_EQ(ids(10), Ids{}) << "rows from before a restart go as well";
}

TEST_P(QueueTrim, TheDeviceThatIsFurthestBehindHoldsTheQueueAcrossARestart) {
  take(report_of(1, 1, {}, true));
  take(report_of(1, 2, {}, true));
  apply(10, 1, 5);
  (void)take(report_of(1, 1, {{{10}, {5}}}));
  (void)take(report_of(1, 2, {{{10}, {2}}}));
  EXPECT_EQ(ids(10), (Ids{3, 4, 5}));
  flush();
  restart();
  apply(10, 6, 2);
  take(report_of(1, 1, {{{10}, {7}}}, true));
  EXPECT_EQ(ids(10), (Ids{3, 4, 5, 6, 7})) << "nobody knows yet what the other one holds";
  take(report_of(1, 2, {{{10}, {6}}}, true));
  flush();
  EXPECT_EQ(ids(10), Ids{7});
}

TEST_P(QueueTrim, AKillUndoesWhatWasNotFlushedAndItIsTrimmedAgain) {
  take(report_of(1, 1, {}, true));
  apply(10, 1, 4);
  flush();
  (void)take(report_of(1, 1, {{{10}, {4}}}));
  // The kill: files are copied while the trim is in memory only.
  std::filesystem::copy(directory_ / "data", directory_ / "killed",
                        std::filesystem::copy_options::recursive);
  StoreSettings after = settings();
  after.path = directory_ / "killed";
  Store killed{after};
  EXPECT_EQ(ids_of(killed, 1, 10), (Ids{1, 2, 3, 4}));
  const auto again = report_of(1, 1, {{{10}, {4}}}, true);
  (void)killed.take({&again, 1});
  killed.flush_queues().value();
  EXPECT_EQ(ids_of(killed, 1, 10), Ids{});
}

TEST_P(QueueTrim, ReopeningForgetsTrimsThatWereNotFlushedAndUsesNoPlaceTwice) {
  take(report_of(1, 1, {}, true));
  apply(10, 1, 3);
  flush();
  apply(10, 4, 3);
  (void)take(report_of(1, 1, {{{10}, {6}}}));
  const QueueSequence end = store_->user_queue_end({1}).value();
  store_->reopen().value();
  EXPECT_EQ(ids(10), (Ids{1, 2, 3}));
  EXPECT_GE(store_->user_queue_end({1}).value(), end);
  apply(10, 4, 3);  // The redo.
  flush();
  (void)take(report_of(1, 1, {{{10}, {6}}}));
  flush();
  EXPECT_EQ(ids(10), Ids{});
}

TEST_P(QueueTrim, WhatWasHeldBeforeItCameIsNotWrittenEither) {
  take(report_of(1, 1, {{{10}, {5}}}, true));
  apply(10, 1, 5);
  EXPECT_EQ(ids(10).size(), 5U);
  EXPECT_GT(store_->trim(1000).bytes, 0U);
  EXPECT_EQ(ids(10), Ids{});
}

TEST_P(QueueTrim, ASilentDeviceHoldsNoQueueAndIsForgotten) {
  take(report_of(1, 1, {}, true, 1000));
  take(report_of(1, 2, {}, true, 1001));
  apply(10, 1, 4);
  flush();
  apply(10, 5, 1);
  (void)take(report_of(1, 2, {{{10}, {4}}}, false, 1020));
  EXPECT_EQ(store_->trim(1030).devices_expired, 0U);
  EXPECT_EQ(ids(10).size(), 5U);
  EXPECT_EQ(store_->trim(1031).devices_expired, 1U) << "31 s are more than 30 s";
  flush();
  EXPECT_EQ(ids(10), Ids{5});
  restart();
  take(report_of(1, 2, {{{10}, {5}}}, true, 1040));
  flush();
  EXPECT_EQ(ids(10), Ids{}) << "it does not come back with a restart";
}

TEST_P(QueueTrim, TheQueueOfAUserWhoseDevicesAllExpiredIsDropped) {
  take(report_of(1, 1, {}, true, 1000));
  apply(10, 1, 4);
  flush();
  apply(10, 5, 1);
  EXPECT_EQ(store_->trim(1031).devices_expired, 1U);
  flush();
  EXPECT_EQ(ids(10), Ids{});
}

TEST_P(QueueTrim, AQueueBeyondItsBoundIsDropped) {
  take(report_of(1, 1, {}, true));
  apply(10, 1, 15, {1, 2});
  flush();
  apply(10, 16, 5, {1, 2});
  EXPECT_EQ(store_->trim(1000).queues_expired, 0U);
  (void)take(report_of(2, 1, {{{10}, {18}}}, true));
  apply(10, 21, 1, {1, 2});
  EXPECT_EQ(store_->trim(1000).queues_expired, 1U) << "21 are more than 20";
  flush();
  EXPECT_EQ(ids(10), Ids{});
  EXPECT_EQ(ids(10, 2).back(), 21U) << "the other user's device holds enough of it";
  apply(10, 22, 1);
  EXPECT_EQ(ids(10), Ids{22}) << "a new queue begins";
  EXPECT_EQ(store_->trim(1000).queues_expired, 0U);
}

INSTANTIATE_TEST_SUITE_P(Forms, QueueTrim,
                         testing::Values(Queueing{ChannelDesign::per_user},
                                         Queueing{ChannelDesign::per_user, QueuePayload::copy},
                                         Queueing{ChannelDesign::per_member},
                                         Queueing{ChannelDesign::per_member, QueuePayload::copy}),
                         [](const auto& of) {
                           return std::string{of.param.design == ChannelDesign::per_user
                                                  ? "per_user"
                                                  : "per_member"} +
                                  "_" + std::string{name_of(of.param.payload)};
                         });

// However commits, flushes, scans and acknowledgements interleave: each of two devices that scans
// on from where its last scan ended, and takes what is next in its channel, has everything.
RC_GTEST_PROP(QueueTrimmed, EachDeviceStillFindsWhatItLacks, ()) {
  // Opening a store takes longer than a case: each has a user and channels of its own instead.
  static const TemporaryDirectory directory;
  static Store references{{.path = directory / "references"}};
  static Store copies{{.path = directory / "copies", .payload = QueuePayload::copy}};
  static std::uint64_t user = 0;
  ++user;
  Store& store = *rc::gen::arbitrary<bool>() ? references : copies;
  struct Reader {
    std::map<ChannelId, MessageId> held;
    QueueSequence after;
  };
  std::array<Reader, 2> readers;
  std::map<ChannelId, MessageId> heads;
  const auto report = [&](std::size_t i, bool login) {
    std::vector<HeldUpTo> holds;
    for (const auto& [channel, id] : readers[i].held) holds.push_back({channel, id});
    const auto told = report_of(user, static_cast<std::uint32_t>(i + 1), holds, login);
    (void)store.take({&told, 1});
  };
  const auto scan = [&](Reader& reader, std::size_t rows_max, std::size_t bytes_max) {
    std::vector<UserQueueRow> rows;
    store.scan_user_queue({user}, reader.after, rows_max, bytes_max, rows).value();
    for (const UserQueueRow& row : rows) {
      RC_ASSERT(row.last > reader.after);
      reader.after = row.last;
      for (const QueueRun& run : row.runs) {
        MessageId& held = reader.held[run.channel];
        RC_ASSERT(run.first <= held + 1);
        held = std::max(held, run.first + (run.count - 1));
      }
    }
    return !rows.empty();
  };
  for (std::size_t i = 0; i < readers.size(); ++i) report(i, true);
  const auto steps = *rc::gen::inRange<std::size_t>(1, 60);
  for (std::size_t step = 0; step < steps; ++step) {
    const auto who = *rc::gen::inRange<std::size_t>(0, readers.size());
    switch (*rc::gen::inRange(0, 9)) {
      case 0:
        store.flush_queues().value();
        break;
      case 1:
      case 2:
        (void)scan(readers[who], *rc::gen::inRange<std::size_t>(1, 4),
                   *rc::gen::inRange<std::size_t>(1, 500));
        break;
      case 3:
      case 4:
        report(who, *rc::gen::arbitrary<bool>());
        break;
      default: {
        const ChannelId channel{10 * user + *rc::gen::inRange<std::uint64_t>(0, 3)};
        const auto count = *rc::gen::inRange<std::uint32_t>(1, 5);
        const FanOut fan_out = fan_out_of(channel.value, ChannelDesign::per_user,
                                          heads[channel].value + 1, count, {user}, step + 1);
        heads[channel] = heads[channel] + count;
        store.apply({&fan_out, 1}).value();
      }
    }
  }
  for (std::size_t i = 0; i < readers.size(); ++i) {
    for (int rounds = 0; scan(readers[i], 3, 200); ++rounds) RC_ASSERT(rounds < 1000);
    for (const auto& [channel, head] : heads) RC_ASSERT(readers[i].held[channel] == head);
    report(i, false);
  }
  store.flush_queues().value();
  std::vector<UserQueueRow> rows;
  store.scan_user_queue({user}, {0}, 100, plenty, rows).value();
  RC_ASSERT(rows.empty());  // Both hold everything: nothing is left.
}

}  // namespace
}  // namespace clamor::store
