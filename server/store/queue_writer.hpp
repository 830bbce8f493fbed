#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/core/channel.hpp"
#include "server/core/fan_out.hpp"
#include "server/store/commit.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace clamor::store {

/// Durable fan-out of one commit: which queues get which of its records, and how far the
/// partitions' journals are done with it.
struct FanOut {
  struct Run {
    ChannelId channel;
    core::ChannelDesign design = core::ChannelDesign::per_user;
    std::size_t entries_end = 0;  ///< The run's entries end here; they begin where the last ended.
  };
  std::vector<Run> runs;
  std::vector<core::DurableEntry> entries;
  std::vector<JournalPlace> cursors;
};

/// Packs fan-outs into queue rows: for each user one row of (channel, first, count) runs, for each
/// member of a per_member channel one row a run of consecutive ids. Entries of a queue stay in id
/// order within a channel. Pure but for `end_of`, which says where a user's queue ends and is
/// advanced; it may throw.
struct PackedRows {
  QueueWrite write;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};
[[nodiscard]] PackedRows pack(const std::vector<FanOut>& fan_outs,
                              const std::function<QueueSequence&(UserId)>& end_of);

/// What the queue writer did since it last reported.
struct QueueOutcome {
  std::size_t fan_outs = 0;   ///< So many were applied, in the order of submit().
  std::uint64_t batches = 0;  ///< Writes to the store: 0 where there was no entry.
  std::uint64_t entries = 0;  ///< By entry, not by row.
  std::uint64_t bytes = 0;
  Duration took{};             ///< On the writer's thread, the linger excluded.
  std::uint64_t failures = 0;  ///< Writes that failed before; they were tried again.
};

struct QueueWriterSettings {
  /// How long the first fan-out of a batch waits for others: they pack into fewer rows. Nobody's
  /// ack waits for it.
  Duration linger = std::chrono::milliseconds{20};
  /// Journal rows after which the queues are flushed and the journal is trimmed.
  std::uint64_t flush_every = 200'000;
  /// Entries (runs of ids count once) of one write to the store; a fan-out is not divided, because
  /// its cursors say that all of it is there.
  std::size_t entries_per_write = 100'000;
};

/// Writes queue entries on a thread of its own, as a consumer of the journal: entries and cursor in
/// one batch. A cursor that moved without an entry waits for the next one or the next flush. A
/// write that fails is tried again until it succeeds; the lag shows it.
///
/// submit(), discard() and the destructor belong to one thread; `done` is called on the writer's.
class QueueWriter {
 public:
  using Done = std::function<void(QueueOutcome)>;

  /// @pre `store` outlives this, and nothing else writes its queues.
  QueueWriter(Store& store, QueueWriterSettings settings, Done done);
  /// Writes what was submitted (a failing write is given up: the cursor says where to redo),
  /// flushes the queues, then ends the thread.
  ~QueueWriter();
  QueueWriter(const QueueWriter&) = delete;
  QueueWriter& operator=(const QueueWriter&) = delete;

  /// Hands a fan-out over; never blocks on the disk. O(1).
  void submit(FanOut fan_out);
  /// Waits until everything submitted is written and reported; false once a write fails.
  [[nodiscard]] bool drain();
  /// Forgets what waits and waits for the write under way, so that the store may be reopened;
  /// nothing of it is reported. What was forgotten is redone from the journal.
  void discard();

 private:
  void run();
  /// Takes what goes into the next write. @pre mutex_ is held, something waits
  void take(std::vector<FanOut>& batch);
  [[nodiscard]] bool write(const std::vector<FanOut>& fan_outs, QueueOutcome& outcome);
  /// Writes rows and the cursors that are not written yet.
  [[nodiscard]] bool write_with_cursors(QueueWrite& write);
  void flush_and_trim();

  Store& store_;
  const QueueWriterSettings settings_;
  const Done done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<FanOut> waiting_;  // guarded by mutex_
  bool busy_ = false;           // guarded by mutex_
  bool hurry_ = false;          // guarded by mutex_; no linger
  bool discarding_ = false;     // guarded by mutex_
  bool failing_ = false;        // guarded by mutex_; the last write failed
  bool stopping_ = false;       // guarded by mutex_

  // The writer thread's own.
  std::unordered_map<UserId, QueueSequence> user_ends_;
  std::unordered_map<PartitionId, JournalSequence> applied_;
  std::unordered_map<PartitionId, JournalSequence> unwritten_;  ///< Cursors ahead of the store's.
  std::uint64_t rows_since_flush_ = 0;
  std::thread thread_;
};

}  // namespace clamor::store
