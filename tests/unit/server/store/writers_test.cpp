#include "server/store/committer.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"
#include "tests/temporary_directory.hpp"
#include "tests/unit/server/store/fan_outs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <future>
#include <mutex>
#include <optional>
#include <sys/resource.h>
#include <vector>

namespace clamor::store {
namespace {

using namespace std::chrono_literals;
using test::fan_out_of;
using test::TemporaryDirectory;

/// Collects what a writer's thread reports and lets the test wait for it, in bounded time.
template <class Outcome>
class Reports {
 public:
  void add(Outcome outcome) {
    const std::lock_guard lock{mutex_};
    outcomes_.push_back(std::move(outcome));
    changed_.notify_all();
  }
  template <class Predicate>
  [[nodiscard]] bool wait(Predicate&& predicate) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, 20s, [&] { return predicate(outcomes_); });
  }
  [[nodiscard]] std::vector<Outcome> all() {
    const std::lock_guard lock{mutex_};
    return outcomes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Outcome> outcomes_;
};

std::size_t commits_in(const std::vector<CommitOutcome>& outcomes) {
  std::size_t commits = 0;
  for (const CommitOutcome& outcome : outcomes) commits += outcome.commits;
  return commits;
}

std::shared_ptr<Commit> commit_of(std::uint64_t channel, std::uint64_t id, std::uint64_t sequence,
                                  std::size_t body_bytes = 1) {
  auto commit = std::make_shared<Commit>();
  commit->add({.channel = {channel}, .id = {id}}, std::vector<std::byte>(body_bytes),
              {{0}, {sequence}});
  return commit;
}

TEST(Committer, DrainsEverythingThatWaitsIntoOneBatch) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .durability = Durability::fsync}};
  Reports<CommitOutcome> reports;
  std::promise<void> release;
  auto released = release.get_future().share();
  {
    Committer committer{store, [&](CommitOutcome outcome) {
                          reports.add(outcome);
                          released.wait();  // Holds the committer after its first batch.
                        }};
    committer.submit(commit_of(1, 1, 1));
    ASSERT_TRUE(reports.wait([](const auto& all) { return all.size() == 1; }));
    for (std::uint64_t id = 2; id <= 40; ++id) committer.submit(commit_of(1, id, id));
    EXPECT_GT(committer.pending_bytes(), 0U);
    release.set_value();
    ASSERT_TRUE(reports.wait([](const auto& all) { return commits_in(all) == 40; }));
    EXPECT_EQ(committer.pending_bytes(), 0U);
  }
  const auto all = reports.all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].commits, 39U);
  EXPECT_FALSE(all[1].failure);
  EXPECT_EQ(store.syncs(), 2U);
  RecordBatch batch;
  store.scan_log({1}, {0}, {40}, 100, 1'000'000, batch).value();
  EXPECT_EQ(batch.size(), 40U);
}

TEST(Committer, ReportsWhatWasSubmittedBeforeItEnds) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .durability = Durability::os}};
  Reports<CommitOutcome> reports;
  {
    Committer committer{store, [&](CommitOutcome outcome) { reports.add(std::move(outcome)); }};
    for (std::uint64_t id = 1; id <= 9; ++id) committer.submit(commit_of(1, id, id));
  }
  EXPECT_EQ(commits_in(reports.all()), 9U);
}

/// Makes writes beyond `bytes` of any file fail with EFBIG while it lives: a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    previous_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit previous_{};
  void (*previous_handler_)(int) = nullptr;
};

TEST(Committer, FailsEveryCommitAfterAFailedAppendUntilItIsResumed) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .durability = Durability::os}};
  Reports<CommitOutcome> reports;
  Committer committer{store, [&](CommitOutcome outcome) { reports.add(std::move(outcome)); }};
  committer.submit(commit_of(1, 1, 1));
  ASSERT_TRUE(reports.wait([](const auto& all) { return commits_in(all) == 1; }));
  ASSERT_FALSE(reports.all().back().failure);
  {
    const FullDisk full{64 * 1024};
    committer.submit(commit_of(1, 2, 2, 256 * 1024));
    ASSERT_TRUE(reports.wait([](const auto& all) { return commits_in(all) == 2; }));
    ASSERT_TRUE(reports.all().back().failure) << "a failure must be reported, never swallowed";
  }
  committer.submit(commit_of(1, 3, 3));
  ASSERT_TRUE(reports.wait([](const auto& all) { return commits_in(all) == 3; }));
  EXPECT_TRUE(reports.all().back().failure) << "3 rests on 2, which does not exist";

  store.reopen().value();
  RecordBatch batch;
  store.scan_log({1}, {0}, {9}, 100, 1'000'000, batch).value();
  ASSERT_EQ(batch.size(), 1U) << "what was durable stays, what failed is gone";
  committer.resume();
  committer.submit(commit_of(1, 2, 2));
  ASSERT_TRUE(reports.wait([](const auto& all) { return commits_in(all) == 4; }));
  EXPECT_FALSE(reports.all().back().failure);
}

/// Entries that scans find in the user's own queue.
std::uint64_t entries_of(const Store& store, std::uint64_t user) {
  std::vector<UserQueueRow> rows;
  store.scan_user_queue({user}, {0}, 1000, 1'000'000, rows).value();
  std::uint64_t entries = 0;
  for (const UserQueueRow& row : rows) {
    for (const QueueRun& run : row.runs) entries += run.count;
  }
  return entries;
}

TEST(QueueWriter, AppliesEntriesAndReportsThem) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  Reports<QueueOutcome> reports;
  QueueWriter writer{store, {}, [&](QueueOutcome outcome) { reports.add(outcome); }};
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 2, {1, 2}, 2));
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 3, 1, {1, 2}, 3));
  ASSERT_TRUE(writer.drain());
  std::uint64_t entries = 0;
  std::size_t fan_outs = 0;
  for (const QueueOutcome& outcome : reports.all()) {
    entries += outcome.entries;
    fan_outs += outcome.fan_outs;
  }
  EXPECT_EQ(entries, 6U);
  EXPECT_EQ(fan_outs, 2U);
  EXPECT_EQ(entries_of(store, 2), 3U);
}

TEST(QueueWriter, WritesALargeBacklogInParts) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  Reports<QueueOutcome> reports;
  QueueWriter writer{store, {.linger = 1h, .entries_per_write = 5}, [&](QueueOutcome outcome) {
                       reports.add(outcome);
                     }};
  for (std::uint64_t id = 1; id <= 7; ++id) {
    writer.submit(fan_out_of(10, core::ChannelDesign::per_user, id, 1, {1, 2}, id));
  }
  ASSERT_TRUE(writer.drain());
  std::vector<std::size_t> parts;
  for (const QueueOutcome& outcome : reports.all()) parts.push_back(outcome.fan_outs);
  EXPECT_EQ(parts, (std::vector<std::size_t>{2, 2, 2, 1})) << "4 entries, not 6, fit below 5";
  EXPECT_EQ(entries_of(store, 2), 7U);
}

TEST(QueueWriter, FlushesWhatIsLeftAfterAWhileWhereItIsTold) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  Reports<QueueOutcome> reports;
  QueueWriter writer{store, {.linger = 0ms, .flush_after = 20ms}, [&](QueueOutcome outcome) {
                       reports.add(outcome);
                     }};
  const auto flushed = [](std::uint64_t to) {
    return [to](const auto& all) {
      return std::any_of(all.begin(), all.end(), [to](const QueueOutcome& outcome) {
        return outcome.flushed == std::vector<JournalPlace>{{{0}, {to}}};
      });
    };
  };
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 2, {1, 2}, 2));
  EXPECT_TRUE(reports.wait(flushed(2))) << "nothing else came";
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 3, 1, {1, 2}, 3));
  EXPECT_TRUE(reports.wait(flushed(3)));
  EXPECT_EQ(store.cursor({0}).value(), JournalSequence{3});
}

TEST(QueueWriter, PlacesOfATermAreAboveThoseOfEarlierOnes) {
  const TemporaryDirectory directory;
  for (std::uint64_t round = 0; round < 3; ++round) {
    Store store{{.path = directory / "data"}};
    QueueWriter writer{store, {}, [](QueueOutcome) {}};
    writer.submit(
        fan_out_of(10, core::ChannelDesign::per_user, 1 + round * 5, 5, {1}, 5 + round * 5));
  }
  const Store store{{.path = directory / "data"}};
  std::vector<UserQueueRow> rows;
  store.scan_user_queue({1}, {0}, 100, 1'000'000, rows).value();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[1].last, queue_begin({2}) + 5);
  EXPECT_EQ(rows[2].last, queue_begin({3}) + 5);
  EXPECT_EQ(store.user_queue_end({1}).value(), queue_begin({4}));
  EXPECT_EQ(rows[2].runs.at(0), (QueueRun{{10}, {11}, 5}));
}

/// Appends records 1 to `last` of channel 10, whose journal sequences are the same.
void append_up_to(Store& store, std::uint64_t last) {
  for (std::uint64_t id = 1; id <= last; ++id) {
    store.append(std::vector<std::shared_ptr<const Commit>>{commit_of(10, id, id)}).value();
  }
}

std::vector<std::uint64_t> journal_of(const Store& store) {
  std::vector<std::uint64_t> left;
  store
      .visit_journal({0}, {0}, 100,
                     [&](const JournalRow& row) { left.push_back(row.place.sequence.value); })
      .value();
  return left;
}

TEST(QueueWriter, SaysHowFarItFlushedAndTrimsTheJournalWhenTold) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  append_up_to(store, 10);
  Reports<QueueOutcome> reports;
  QueueWriter writer{
      store, {.flush = {.records = 6}}, [&](QueueOutcome outcome) { reports.add(outcome); }};
  const auto submit = [&](std::uint64_t first, std::uint32_t count) {
    writer.submit(
        fan_out_of(10, core::ChannelDesign::per_user, first, count, {1}, first + count - 1));
    EXPECT_TRUE(writer.drain());
  };
  submit(1, 1);
  submit(2, 4);
  EXPECT_EQ(store.cursor({0}).value(), JournalSequence{0}) << "5 rows are not 6";
  submit(6, 1);
  submit(7, 1);
  EXPECT_EQ(store.cursor({0}).value(), JournalSequence{6});
  EXPECT_EQ(reports.all().back().flushed, (std::vector<JournalPlace>{{{0}, {6}}}));
  EXPECT_EQ(journal_of(store).size(), 10U) << "another consumer may need it";
  writer.trim({{0}, {6}});
  ASSERT_TRUE(writer.drain());
  EXPECT_EQ(journal_of(store), (std::vector<std::uint64_t>{7, 8, 9, 10})) << "7 is not flushed";
}

TEST(QueueWriter, FlushesWhereItsEntriesGrowTooMany) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  QueueWriter writer{store, {.flush = {.entries = 4}}, [](QueueOutcome) {}};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    writer.submit(fan_out_of(10, core::ChannelDesign::per_user, id, 1, {1, 2}, id));
    ASSERT_TRUE(writer.drain());
  }
  EXPECT_EQ(store.cursor({0}).value(), JournalSequence{2});
}

TEST(QueueWriter, AFlushThatFailsIsTriedAgainAndNothingIsAppliedMeanwhile) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .durability = Durability::os}};
  append_up_to(store, 3);
  std::vector<std::uint64_t> users;  // So many that their rows do not fit on the disk.
  for (std::uint64_t user = 1; user <= 20'000; ++user) users.push_back(user * 7919);
  const std::uint64_t user = users.front();
  QueueWriter writer{store, {.flush = {.records = 1}}, [](QueueOutcome) {}};
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 1, users, 1));
  ASSERT_TRUE(writer.drain());
  {
    const FullDisk full{64 * 1024};
    writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 2, 1, {user}, 2));
    EXPECT_FALSE(writer.drain()) << "the flush of 1 comes before 2";
    EXPECT_EQ(entries_of(store, user), 1U);
    EXPECT_EQ(journal_of(store), (std::vector<std::uint64_t>{1, 2, 3}));
    writer.discard();
  }
  store.reopen().value();
  EXPECT_EQ(entries_of(store, user), store.cursor({0}).value().value)
      << "entries and cursor are there together or not at all";
  const std::uint64_t next = store.cursor({0}).value().value + 1;
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, next, 1, {user}, next));
  ASSERT_TRUE(writer.drain());
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, next + 1, 1, {user}, next + 1));
  ASSERT_TRUE(writer.drain());
  EXPECT_EQ(store.cursor({0}).value(), JournalSequence{next}) << "it works on";
  EXPECT_EQ(entries_of(store, user), next + 1);
}

TEST(QueueWriter, ACrashLosesUnflushedEntriesAndTheirCursorTogether) {
  // The crash: the store's files are copied while the queues' rows are in memory only.
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data", .durability = Durability::os}};
  store.append(std::vector<std::shared_ptr<const Commit>>{commit_of(10, 1, 1)}).value();
  QueueWriter writer{store, {}, [](QueueOutcome) {}};
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 1, {1}, 1));
  ASSERT_TRUE(writer.drain());
  ASSERT_EQ(entries_of(store, 1), 1U);
  std::filesystem::copy(directory / "data", directory / "crashed",
                        std::filesystem::copy_options::recursive);

  Store crashed{{.path = directory / "crashed"}};
  EXPECT_EQ(crashed.cursor({0}).value(), JournalSequence{0}) << "redo starts at the beginning";
  EXPECT_EQ(entries_of(crashed, 1), 0U);
  EXPECT_EQ(crashed.journal_end({0}).value(), JournalSequence{1}) << "the journal has what to redo";
}

TEST(QueueWriter, EndsOverAnAbandonedStoreAndLeavesItAsByAKill) {
  const TemporaryDirectory directory;
  {
    Store store{{.path = directory / "data", .durability = Durability::os}};
    store.append(std::vector<std::shared_ptr<const Commit>>{commit_of(10, 1, 1)}).value();
    QueueWriter writer{store, {}, [](QueueOutcome) {}};
    writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 1, {1}, 1));
    ASSERT_TRUE(writer.drain());
    store.abandon();
    writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 2, 2, {1}, 2));
    for (const std::uint64_t user : {1, 2}) {  // The second waits while the first is tried.
      std::vector<core::DeviceReport> reports{
          {.user = {user}, .device = {1}, .holds = {{{10}, {1}}}}};
      writer.report(reports);
      EXPECT_FALSE(writer.drain());
    }
    EXPECT_FALSE(store.append(std::vector<std::shared_ptr<const Commit>>{commit_of(10, 2, 2)}));
  }
  Store again{{.path = directory / "data"}};
  EXPECT_EQ(again.cursor({0}).value(), JournalSequence{0});
  EXPECT_EQ(entries_of(again, 1), 0U);
  EXPECT_EQ(again.journal_end({0}).value(), JournalSequence{1});
}

TEST(QueueWriter, CursorsWithoutEntriesAreFlushedAtTheEnd) {
  const TemporaryDirectory directory;
  Reports<QueueOutcome> reports;
  {
    Store store{{.path = directory / "data"}};
    QueueWriter writer{store, {}, [&](QueueOutcome outcome) { reports.add(outcome); }};
    const auto without_entries = [](std::uint32_t partition, std::uint64_t sequence) {
      FanOut fan_out;
      fan_out.cursors.push_back({{partition}, {sequence}});
      return fan_out;
    };
    writer.submit(without_entries(0, 5));
    writer.submit(without_entries(1, 2));
    ASSERT_TRUE(writer.drain());
    for (const QueueOutcome& outcome : reports.all()) EXPECT_EQ(outcome.batches, 0U);
    writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 1, {1}, 6));
    ASSERT_TRUE(writer.drain());
    EXPECT_EQ(reports.all().back().batches, 1U);
    writer.submit(without_entries(1, 3));
  }
  const Store store{{.path = directory / "data"}};
  EXPECT_EQ(store.cursor({0}).value(), JournalSequence{6});
  EXPECT_EQ(store.cursor({1}).value(), JournalSequence{3}) << "nothing to redo after a clean end";
}

TEST(QueueWriter, TakesOutWhatDevicesReportAndTellsHowMuchThatSaves) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  Reports<QueueOutcome> outcomes;
  QueueWriter writer{store, {.linger = 1h}, [&](QueueOutcome outcome) { outcomes.add(outcome); }};
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 9, {1, 2}, 9));
  ASSERT_TRUE(writer.drain());
  std::vector<core::DeviceReport> reports{
      {.user = {1}, .device = {1}, .login = true, .holds = {{{10}, {9}}}},
      {.user = {2}, .device = {1}, .holds = {{{10}, {4}}}}};
  writer.report(reports);
  EXPECT_TRUE(reports.empty());
  ASSERT_TRUE(writer.drain());
  EXPECT_EQ(entries_of(store, 1), 0U);
  EXPECT_EQ(entries_of(store, 2), 5U);
  std::uint64_t saved = 0;
  for (const QueueOutcome& outcome : outcomes.all()) saved += outcome.trimmed.bytes;
  EXPECT_EQ(saved, user_queue_key_bytes + 3U) << "one user's row of one run";
}

TEST(QueueWriter, ScansFromAnotherThreadFindWhatIsNotHeldWhileTheRestIsTrimmed) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  QueueWriter writer{store, {.linger = 0ms, .flush = {.records = 7}}, [](const QueueOutcome&) {}};
  constexpr std::uint64_t last = 300;
  constexpr std::uint64_t behind = 5;
  for (std::uint64_t id = 1; id <= last; ++id) {
    writer.submit(fan_out_of(10, core::ChannelDesign::per_user, id, 1, {1}, id));
    const MessageId held{id > behind ? id - behind : 0};
    std::vector<core::DeviceReport> reports{
        {.user = {1}, .device = {1}, .login = id == 1, .holds = {{{10}, held}}}};
    writer.report(reports);
    std::vector<UserQueueRow> rows;
    store.scan_user_queue({1}, {0}, 1000, 1'000'000, rows).value();
    MessageId at;
    for (const UserQueueRow& row : rows) {
      for (const QueueRun& run : row.runs) {
        ASSERT_GT(run.first, at);
        // Below what is held rows may be there still, or be gone.
        ASSERT_TRUE(run.first <= held + 1 || run.first == at + 1);
        at = run.first + (run.count - 1);
      }
    }
  }
  ASSERT_TRUE(writer.drain());
  EXPECT_GE(entries_of(store, 1), behind);
}

TEST(QueueWriter, DiscardForgetsWhatWaits) {
  const TemporaryDirectory directory;
  Store store{{.path = directory / "data"}};
  Reports<QueueOutcome> reports;
  QueueWriter writer{store, {.linger = 1h}, [&](QueueOutcome outcome) { reports.add(outcome); }};
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 1, {1}, 1));
  writer.discard();
  EXPECT_TRUE(reports.all().empty());
  EXPECT_EQ(entries_of(store, 1), 0U);
  writer.submit(fan_out_of(10, core::ChannelDesign::per_user, 1, 1, {1}, 1));
  ASSERT_TRUE(writer.drain()) << "it works on after a discard";
  EXPECT_EQ(entries_of(store, 1), 1U);
}

}  // namespace
}  // namespace clamor::store
