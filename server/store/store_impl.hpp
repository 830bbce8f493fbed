#pragma once

#include "server/core/device_positions.hpp"
#include "server/store/data_directory.hpp"
#include "server/store/flushed_rows.hpp"
#include "server/store/queue_buffer.hpp"
#include "server/store/store.hpp"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <fmt/format.h>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

// What store.cpp, store_log_trim.cpp, store_queues.cpp and store_trim.cpp share; nobody else
// includes it.
namespace clamor::store {

inline rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
inline Failure failure(const rocksdb::Status& status) { return {status.ToString()}; }
inline Failure damaged(std::string_view what) {
  return {fmt::format("damaged row in the {}: restore the data directory from a copy", what)};
}
inline Failure closed() { return {"the store is closed: opening it again failed"}; }

/// Reads within one prefix: the Bloom filters may rule files out.
inline rocksdb::ReadOptions within_prefix() {
  rocksdb::ReadOptions options;
  options.prefix_same_as_start = true;
  return options;
}

/// Reads across prefixes, once: must not push hot blocks out of the cache.
inline rocksdb::ReadOptions across() {
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.fill_cache = false;
  options.readahead_size = std::size_t{1} << 20U;
  return options;
}

struct Store::Impl {
  explicit Impl(const StoreSettings& settings);

  [[nodiscard]] rocksdb::DB& db() const { return directory.db(); }
  [[nodiscard]] bool is_open() const {
    return directory.is_open() && !abandoned.load(std::memory_order_relaxed);
  }
  [[nodiscard]] QueuePayload payload() const { return directory.settings().payload; }

  /// Reads up to where logs are gone.
  [[nodiscard]] Result<void> load_marks();
  /// Adds the users' new channels to their lists.
  [[nodiscard]] Result<void> add_to_lists(std::span<const FanOut> fan_outs);

  /// Drops what apply() added since the last flush; places stay used. No other call may be under
  /// way.
  void forget_queues();
  /// Reads what the queue rows on disk wait for, and at first the devices. Nothing may be under
  /// way.
  [[nodiscard]] Result<void> load_queues();
  [[nodiscard]] Result<void> load_devices();
  /// Calls visit(key, value) for all rows of a kind; where it says false, the row is damaged.
  [[nodiscard]] Result<void> visit_queue_rows(
      char tag, const std::function<bool(std::string_view, std::string_view)>& visit) const;

  /// Drops what all the user's devices hold, in memory and on disk. Returns bytes of rows saved.
  std::size_t trim(UserId user);
  std::size_t drop_all(UserId user);
  /// Adds to a flush what leaves the disk, and the notes on devices.
  void write_trims(rocksdb::WriteBatch& batch) const;
  /// Place of the user's last queue entry. @pre queues_mutex is held, or it is the writer's thread.
  [[nodiscard]] QueueSequence end_of(UserId user) const;

  /// Writes what is frozen, with its cursors; on a failure it stays frozen.
  [[nodiscard]] Result<void> write_frozen();

  DataDirectory directory;
  std::atomic<std::uint64_t> syncs{0};
  std::atomic<bool> abandoned{false};
  std::string scratch;  ///< Of append(): one log value after the other.

  // Queue entries that are applied and not in RocksDB. Changed by the queue writer's thread only,
  // which therefore reads without the lock; others read under it.
  mutable std::mutex queues_mutex;
  QueueBuffer buffer;
  QueueBuffer::Frozen frozen;  ///< Being flushed; empty where none is.
  FlushedRows flushed;
  std::unordered_map<PartitionId, JournalSequence> applied;  ///< Cursors since the last flush.
  std::unordered_map<PartitionId, JournalSequence> frozen_applied;

  // The queue writer's thread only.
  core::DevicePositions devices;
  std::vector<std::pair<UserId, DeviceId>> expired;  ///< Since the last flush.
  // What goes to disk with `frozen`.
  std::vector<FlushedRows::Doomed> frozen_doomed;
  std::vector<core::DevicePositions::Note> frozen_notes;
  std::vector<std::pair<UserId, DeviceId>> frozen_expired;
};

}  // namespace clamor::store
