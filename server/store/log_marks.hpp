#pragma once

#include "server/base/id.hpp"

#include <atomic>
#include <memory>
#include <shared_mutex>
#include <unordered_map>

namespace rocksdb {
class CompactionFilterFactory;
}

namespace clamor::store {

/// Low-water marks of the channels' logs: up to which record each is gone. From any thread. It
/// outlives the compactions that look at it.
class LogMarks {
 public:
  /// Raises a mark; it never goes back. A record at or below may leave the disk from here on.
  void raise(ChannelId channel, MessageId up_to);
  /// 0: nothing is gone.
  [[nodiscard]] MessageId of(ChannelId channel) const;
  [[nodiscard]] bool any() const { return any_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> any_{false};  ///< Most servers trim no log: no lock there.
  mutable std::shared_mutex mutex_;
  std::unordered_map<ChannelId, MessageId> marks_;
};

/// Makes compactions of the log drop what lies at or below the marks: no tombstone is written for
/// it.
[[nodiscard]] std::shared_ptr<rocksdb::CompactionFilterFactory> drop_trimmed(
    std::shared_ptr<const LogMarks> marks);

}  // namespace clamor::store
