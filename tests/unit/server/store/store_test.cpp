#include "server/store/store.hpp"

#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace clamor::store {
namespace {

using test::TemporaryDirectory;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

core::Record message(std::uint64_t channel, std::uint64_t id) {
  return {.channel = {channel},
          .id = {id},
          .sender = {9},
          .device = {1},
          .device_incarnation = 1,
          .client_message_id = {id}};
}

/// A commit of messages first..last of a channel, with journal places from `sequence` on.
std::shared_ptr<Commit> commit_of(std::uint64_t channel, std::uint64_t first, std::uint64_t last,
                                  std::uint64_t sequence, std::uint32_t partition = 0) {
  auto commit = std::make_shared<Commit>();
  for (std::uint64_t id = first; id <= last; ++id) {
    commit->add(message(channel, id), bytes_of("m" + std::to_string(id)),
                {{partition}, {sequence + id - first}});
  }
  return commit;
}

std::size_t append(Store& store, std::shared_ptr<const Commit> commit) {
  return store.append(std::vector{std::move(commit)}).value();
}

std::vector<std::uint64_t> ids_of(const RecordBatch& batch) {
  std::vector<std::uint64_t> ids;
  for (const core::Record& record : batch.records()) ids.push_back(record.id.value);
  return ids;
}

TEST(Store, ScanReadsARangeOfOneChannelInOrderAndNothingElse) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  append(store, commit_of(1, 1, 3, 1));
  append(store, commit_of(2, 1, 9, 4));
  append(store, commit_of(3, 1, 3, 13));

  RecordBatch batch;
  store.scan_log({2}, {2}, {5}, 100, 1'000'000, batch).value();
  EXPECT_EQ(ids_of(batch), (std::vector<std::uint64_t>{3, 4, 5}));
  EXPECT_EQ(text_of(batch.body(1)), "m4");
  EXPECT_EQ(batch.record(1).channel, ChannelId{2});

  batch.clear();
  store.scan_log({2}, {9}, {20}, 100, 1'000'000, batch).value();
  EXPECT_TRUE(batch.empty()) << "nothing new must not run into the next channel";
}

TEST(Store, ScanStopsAtItsLimitsButTakesAtLeastOneRecord) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  append(store, commit_of(1, 1, 9, 1));
  RecordBatch batch;
  store.scan_log({1}, {0}, {9}, 4, 1'000'000, batch).value();
  EXPECT_EQ(ids_of(batch), (std::vector<std::uint64_t>{1, 2, 3, 4}));
  batch.clear();
  store.scan_log({1}, {4}, {9}, 100, 1, batch).value();
  EXPECT_EQ(ids_of(batch), (std::vector<std::uint64_t>{5}));
}

TEST(Store, GetReadsRecordsByReference) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  append(store, commit_of(1, 1, 9, 1));
  RecordBatch batch;
  store.get_log({1}, std::vector<MessageId>{{2}, {12}, {7}}, batch).value();
  EXPECT_EQ(ids_of(batch), (std::vector<std::uint64_t>{2, 7})) << "12 does not exist";
}

TEST(Store, WhatWasAppendedIsThereAfterReopening) {
  const TemporaryDirectory directory;
  {
    Store store{{.path = directory / "data"}};
    EXPECT_EQ(store.term(), Term{1});
    append(store, commit_of(5, 1, 2, 1, 3));
    append(store, commit_of(4, 1, 1, 3, 3));
  }
  Store store{{.path = directory / "data"}};
  EXPECT_EQ(store.term(), Term{2}) << "every opening is a new term";
  std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
  store
      .visit_log([&](const core::Record& record, std::span<const std::byte> body) {
        seen.emplace_back(record.channel.value, record.id.value);
        EXPECT_EQ(text_of(body), "m" + std::to_string(record.id.value));
      })
      .value();
  EXPECT_EQ(seen, (std::vector<std::pair<std::uint64_t, std::uint64_t>>{{4, 1}, {5, 1}, {5, 2}}));
  EXPECT_EQ(store.journal_end({3}).value(), JournalSequence{3});
  EXPECT_EQ(store.journal_end({2}).value(), JournalSequence{0});
  EXPECT_EQ(store.cursor({3}).value(), JournalSequence{0});
}

TEST(Store, JournalGivesThePartitionsOneOrderFromASequenceOn) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  append(store, commit_of(5, 1, 3, 1, 1));
  append(store, commit_of(4, 1, 2, 4, 1));
  append(store, commit_of(6, 1, 2, 1, 2));
  std::vector<JournalRow> rows;
  store.visit_journal({1}, {2}, 100, [&](const JournalRow& row) { rows.push_back(row); }).value();
  ASSERT_EQ(rows.size(), 3U) << "partition 2 is not partition 1's";
  EXPECT_EQ(rows[0].channel, ChannelId{5});
  EXPECT_EQ(rows[0].id, MessageId{3});
  EXPECT_EQ(rows[2].place.sequence, JournalSequence{5});
  EXPECT_EQ(rows[2].channel, ChannelId{4});
}

TEST(Store, TrimmedJournalKeepsItsEnd) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  append(store, commit_of(5, 1, 9, 1, 1));
  FanOut fan_out;
  fan_out.cursors.push_back({{1}, {9}});
  store.apply({&fan_out, 1}).value();
  store.flush_queues().value();
  store.trim_journal({{1}, {9}}).value();
  int rows = 0;
  store.visit_journal({1}, {0}, 100, [&](const JournalRow&) { ++rows; }).value();
  EXPECT_EQ(rows, 0);
  EXPECT_EQ(store.journal_end({1}).value(), JournalSequence{9}) << "sequences must not start again";
}

TEST(Store, DurabilityDecidesWhetherAnAppendSyncs) {
  const TemporaryDirectory directory;
  Store os{{.path = directory / "os", .durability = Durability::os}};
  append(os, commit_of(1, 1, 1, 1));
  EXPECT_EQ(os.syncs(), 0U);
  Store fsync{{.path = directory / "fsync", .durability = Durability::fsync}};
  append(fsync, commit_of(1, 1, 5, 1));
  append(fsync, commit_of(1, 6, 6, 6));
  EXPECT_EQ(fsync.syncs(), 2U) << "one a batch, not one a record";
}

TEST(Store, AnAccountIsWhatTheLastCommitSaysAndAnEmptyTextRemovesIt) {
  const TemporaryDirectory directory;
  const auto put = [](Store& store, std::uint64_t user, const char* stored) {
    auto commit = std::make_shared<Commit>();
    EXPECT_TRUE(commit->empty());
    commit->accounts.push_back({{user}, stored});
    EXPECT_FALSE(commit->empty()) << "it has to be appended though it has no record";
    append(store, std::move(commit));
  };
  {
    Store store{{.path = directory / "data"}};
    EXPECT_EQ(store.account({7}).value(), "");
    put(store, 7, "first");
    put(store, 8, "another");
    put(store, 7, "second");
    EXPECT_EQ(store.account({7}).value(), "second");
    store.abandon();  // As by a kill.
  }
  Store store{{.path = directory / "data"}};
  EXPECT_EQ(store.account({7}).value(), "second");
  put(store, 7, "");
  EXPECT_EQ(store.account({7}).value(), "");
  EXPECT_EQ(store.account({8}).value(), "another");
}

TEST(Store, OpeningSaysWhyADirectoryCannotBeUsed) {
  const TemporaryDirectory directory;
  const auto message_of = [](const StoreSettings& settings) -> std::string {
    try {
      const Store store{settings};
    } catch (const OpenError& error) {
      return error.what();
    }
    return "opened";
  };
  const std::string path = directory / "data";
  const Store first{{.path = path}};
  EXPECT_NE(message_of({.path = path}).find("another server uses this data directory"),
            std::string::npos);
  const std::string file = directory / "file";
  std::ofstream{file} << "text";
  EXPECT_NE(message_of({.path = file}).find("this is a file"), std::string::npos);
  EXPECT_NE(message_of({.path = "/proc/nowhere"}).find("/proc/nowhere: cannot open"),
            std::string::npos);
  const std::string other = directory / "other";
  { const Store store{{.path = other, .layout = "per_group"}}; }
  EXPECT_NE(message_of({.path = other, .layout = "per_user"})
                .find("layout per_group, the settings say per_user"),
            std::string::npos);
  EXPECT_NE(
      message_of({.path = other, .partitions = 8, .layout = "per_group"}).find("partitions 4"),
      std::string::npos);
}

}  // namespace
}  // namespace clamor::store
