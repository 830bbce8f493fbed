#pragma once

#include "server/store/data_directory.hpp"
#include "server/store/queue_buffer.hpp"
#include "server/store/store.hpp"

#include <rocksdb/db.h>

#include <atomic>
#include <fmt/format.h>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// What store.cpp and store_queues.cpp share; nobody else includes it.
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
  explicit Impl(const StoreSettings& settings) : directory{settings}, buffer{settings.payload} {}

  [[nodiscard]] rocksdb::DB& db() const { return directory.db(); }
  [[nodiscard]] bool is_open() const { return directory.is_open(); }
  [[nodiscard]] QueuePayload payload() const { return directory.settings().payload; }

  /// Adds the users' new channels to their lists.
  [[nodiscard]] Result<void> add_to_lists(std::span<const FanOut> fan_outs);

  /// Drops what apply() added since the last flush. No other call may be under way.
  void forget_queues();

  /// Writes what is frozen, with its cursors; on a failure it stays frozen.
  [[nodiscard]] Result<void> write_frozen();

  DataDirectory directory;
  std::atomic<std::uint64_t> syncs{0};
  std::string scratch;  ///< Of append(): one log value after the other.

  // Queue entries that are applied and not in RocksDB. Changed by the queue writer's thread only,
  // which therefore reads without the lock; others read under it.
  mutable std::mutex queues_mutex;
  QueueBuffer buffer;
  QueueBuffer::Frozen frozen;  ///< Being flushed; empty where none is.
  std::unordered_map<PartitionId, JournalSequence> applied;  ///< Cursors since the last flush.
  std::unordered_map<PartitionId, JournalSequence> frozen_applied;
};

}  // namespace clamor::store
