#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/core/channel.hpp"
#include "server/core/fan_out.hpp"
#include "server/core/limits.hpp"
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

/// What the queue writer did since it last reported.
struct QueueOutcome {
  std::size_t fan_outs = 0;    ///< So many were applied, in the order of submit().
  std::uint64_t batches = 0;   ///< Times that something was added: 0 where there was no entry.
  std::uint64_t entries = 0;   ///< By entry, not by row.
  std::uint64_t bytes = 0;     ///< Of the rows that they become.
  Duration took{};             ///< On the writer's thread: flushes included, the linger excluded.
  std::uint64_t failures = 0;  ///< Flushes that failed before; they were tried again.
  Store::Trimmed trimmed;      ///< What of the bytes, and of earlier ones, need not be written.
  /// Cursors that a flush has made durable: the journals' rows up to them serve this node no more.
  std::vector<JournalPlace> flushed;
};

struct QueueWriterSettings {
  /// How long the first fan-out of a batch waits for others. Nobody's ack waits for it.
  Duration linger = std::chrono::milliseconds{20};
  /// When the queues are flushed.
  core::QueueFlushLimits flush;
  /// So long after the first journal row that is not flushed they are flushed in any case, however
  /// few; max(): never for that.
  Duration flush_after = Duration::max();
  /// Entries (runs of ids count once) that are added at once; a fan-out is not divided, because its
  /// cursors say that all of it is there.
  std::size_t entries_per_write = 100'000;
};

/// Applies queue entries on a thread of its own, as a consumer of the journal: entries and cursors
/// become durable together, flush by flush. A flush that fails is tried again until it succeeds,
/// and nothing is applied meanwhile; the lag shows it.
///
/// It also takes out what devices say they hold, and has those expire that have not been seen for
/// long.
///
/// submit(), report(), discard() and the destructor belong to one thread; `done` is called on the
/// writer's.
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
  /// Hands over what devices hold now; nobody waits for it. Clears `reports`. O(reports).
  void report(std::vector<core::DeviceReport>& reports);
  /// Has journal rows deleted, up to and including `place`: every consumer has flushed that far.
  void trim(JournalPlace place);
  /// Waits until everything submitted is applied and reported, journals and queues are trimmed;
  /// false once that fails.
  [[nodiscard]] bool drain();
  /// Forgets what waits and waits for the flush under way, so that the store may be reopened;
  /// nothing of it is reported. What was forgotten is redone from the journal.
  void discard();

 private:
  void run();
  /// Waits for something to do. False: there is nothing but a flush that is due by now.
  [[nodiscard]] bool wait(std::unique_lock<std::mutex>& lock);
  /// Whether there is something to do. @pre mutex_ is held
  [[nodiscard]] bool has_work() const;
  /// Takes what goes into the next write. @pre mutex_ is held
  void take(std::vector<FanOut>& batch);
  [[nodiscard]] bool write(const std::vector<FanOut>& fan_outs, QueueOutcome& outcome);
  [[nodiscard]] bool flush_is_due() const;
  [[nodiscard]] bool flush(QueueOutcome& outcome);
  void trim_journals(const std::vector<JournalPlace>& places);

  Store& store_;
  const QueueWriterSettings settings_;
  const Done done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<FanOut> waiting_;               // guarded by mutex_
  std::vector<JournalPlace> trims_;          // guarded by mutex_
  std::vector<core::DeviceReport> reports_;  // guarded by mutex_
  bool busy_ = false;                        // guarded by mutex_
  bool hurry_ = false;                       // guarded by mutex_; no linger
  bool discarding_ = false;                  // guarded by mutex_
  bool failing_ = false;                     // guarded by mutex_; the last try failed
  bool stopping_ = false;                    // guarded by mutex_

  // The writer thread's own.
  std::unordered_map<PartitionId, JournalSequence> applied_;
  std::uint64_t rows_since_flush_ = 0;
  std::chrono::steady_clock::time_point flush_by_;  ///< Where rows_since_flush_ is not 0.
  std::thread thread_;
};

}  // namespace clamor::store
