#include "server/store/store.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace clamor::store {
namespace {

using test::TemporaryDirectory;

/// Messages first..last of a channel, at a second each.
void append(Store& store, std::uint64_t channel, std::uint64_t first, std::uint64_t last,
            std::size_t body_bytes = 3) {
  auto commit = std::make_shared<Commit>();
  for (std::uint64_t id = first; id <= last; ++id) {
    // Bodies that do not compress.
    std::vector<std::byte> body(body_bytes);
    std::uint64_t state = id * 0x9E3779B97F4A7C15ULL;
    for (std::byte& byte : body) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      byte = static_cast<std::byte>(state >> 56U);
    }
    commit->add(
        {.channel = {channel}, .id = {id}, .accepted_at = Instant{std::chrono::seconds{id}}}, body,
        {{0}, {id}});
  }
  store.append(std::vector<std::shared_ptr<const Commit>>{commit}).value();
}

std::vector<std::uint64_t> scanned(const Store& store, std::uint64_t channel, std::uint64_t after,
                                   std::uint64_t up_to) {
  RecordBatch batch;
  store.scan_log({channel}, {after}, {up_to}, 1000, 1'000'000, batch).value();
  std::vector<std::uint64_t> ids;
  for (const core::Record& record : batch.records()) ids.push_back(record.id.value);
  return ids;
}

std::vector<std::uint64_t> visited(const Store& store) {
  std::vector<std::uint64_t> ids;
  store
      .visit_log([&](const core::Record& record, std::span<const std::byte>) {
        ids.push_back(record.channel.value * 100 + record.id.value);
      })
      .value();
  return ids;
}

using Ids = std::vector<std::uint64_t>;

TEST(LogTrim, NoReadSeesWhatIsGoneAndTheCheckpointStandsInItsPlace) {
  const TemporaryDirectory directory;
  {
    Store store{{.path = directory / "data", .durability = Durability::os}};
    append(store, 1, 1, 6);
    append(store, 2, 1, 3);
    store.trim_log(std::vector<Checkpoint>{{{1}, {4}, "what was"}}).value();
    EXPECT_EQ(store.trimmed({1}), MessageId{4});
    EXPECT_EQ(store.trimmed({2}), MessageId{0});
    EXPECT_EQ(scanned(store, 1, 0, 6), (Ids{5, 6}));
    EXPECT_EQ(scanned(store, 1, 5, 6), (Ids{6}));
    EXPECT_EQ(visited(store), (Ids{105, 106, 201, 202, 203}));
    RecordBatch got;
    store.get_log({1}, std::vector<MessageId>{{4}, {5}}, got).value();
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got.record(0).id, MessageId{5});
    store.abandon();  // As a kill: the checkpoint is durable by itself.
  }
  Store store{{.path = directory / "data", .durability = Durability::os}};
  EXPECT_EQ(store.trimmed({1}), MessageId{4});
  EXPECT_EQ(visited(store), (Ids{105, 106, 201, 202, 203}));
  EXPECT_EQ(store.checkpoint({1}).value()->state, "what was");
  EXPECT_FALSE(store.checkpoint({2}).value());
  std::size_t checkpoints = 0;
  store.visit_checkpoints([&](const Checkpoint&) { ++checkpoints; }).value();
  EXPECT_EQ(checkpoints, 1U);
}

TEST(LogTrim, EditsOfMessagesThatAreGoneAreForgotten) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .durability = Durability::os}};
  auto commit = std::make_shared<Commit>();
  for (std::uint64_t id = 1; id <= 6; ++id) {
    commit->add({.channel = {1}, .id = {id}}, {}, {{0}, {id}});
  }
  commit->edits = {{{1}, {2}, {5}}, {{1}, {4}, {6}}};
  store.append(std::vector<std::shared_ptr<const Commit>>{commit}).value();
  store.trim_log(std::vector<Checkpoint>{{{1}, {3}, ""}}).value();
  EXPECT_TRUE(store.edits_of({1}, {2}, 9).value().empty());
  EXPECT_EQ(store.edits_of({1}, {4}, 9).value(), (std::vector<MessageId>{{6}}));
}

TEST(LogTrim, ARewrittenLogTakesNoRoomForWhatIsGone) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .durability = Durability::os}};
  append(store, 1, 1, 400, 4000);
  append(store, 2, 1, 10, 4000);
  store.settle().value();
  const std::uint64_t before = store.log_disk_bytes();
  ASSERT_GT(before, 1'500'000U);
  store.trim_log(std::vector<Checkpoint>{{{1}, {390}, ""}}).value();
  std::atomic<bool> cancelled{false};
  store.compact_log(cancelled).value();
  EXPECT_LT(store.log_disk_bytes(), before / 10);
  EXPECT_EQ(scanned(store, 1, 0, 400).size(), 10U);
  EXPECT_EQ(scanned(store, 2, 0, 10).size(), 10U);
}

TEST(LogTrim, TheAgeOfARecordIsKnownAfterTheMachineStartedAnew) {
  const TemporaryDirectory directory;
  using namespace std::chrono_literals;
  {
    Store store{{.path = directory / "data", .durability = Durability::os, .clock_ahead = 1000s}};
    append(store, 1, 7, 7);
  }
  // The monotonic clock begins anew with the machine, 1,100 s later.
  Store store{{.path = directory / "data", .durability = Durability::os, .clock_ahead = 2100s}};
  RecordBatch batch;
  store.get_log({1}, std::vector<MessageId>{{7}}, batch).value();
  EXPECT_EQ(batch.record(0).accepted_at, Instant{7s - 1100s});
}

}  // namespace
}  // namespace clamor::store
