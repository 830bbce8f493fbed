#pragma once

#include "server/app/channels.hpp"
#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/core/retention.hpp"
#include "server/core/unread.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace clamor::server {

/// What is to leave a channel's log.
struct TrimOrder {
  ChannelId channel;
  core::TrimBounds due;
  Instant decided_at;
};

struct TrimOutcome {
  struct Channel {
    ChannelId channel;
    core::CountedId trimmed;
    Instant oldest;  ///< When the first record kept was accepted, or a little later.
  };
  std::vector<Channel> channels;  ///< Of whose logs something is gone now.
  std::uint64_t records = 0;      ///< So many records.
  std::string failure;  ///< Why it ended early, or what failed after the last one; empty: nothing.
};

/// Takes the beginnings of channels' logs away on a thread of its own: folds the records that go
/// onto what stands for those that went before, and has the store put the outcome in their place.
/// It looks at durable records only, so that nobody waits for it. Once enough is trimmed it has the
/// log rewritten: what nobody writes to RocksDB would not compact by itself.
///
/// run(), discard() and the destructor belong to one thread; `done` is called on the trimmer's.
class LogTrimmer {
 public:
  using Done = std::function<void(TrimOutcome)>;

  /// @pre `store` outlives this.
  LogTrimmer(store::Store& store, const ChannelsSettings& settings, Done done);
  ~LogTrimmer();
  LogTrimmer(const LogTrimmer&) = delete;
  LogTrimmer& operator=(const LogTrimmer&) = delete;

  /// Carries the orders out; `done` says what came of it. @pre the last ones are done, or
  /// discarded; no journal names any of the records.
  void run(std::vector<TrimOrder> orders);
  /// Ends what is under way, so that the store may be reopened. What has gone is gone; `done` may
  /// be called during the call, not later.
  void discard();

 private:
  void work();
  [[nodiscard]] TrimOutcome carry_out(const std::vector<TrimOrder>& orders);
  struct Folded {
    store::Checkpoint checkpoint;
    TrimOutcome::Channel outcome;
    std::uint64_t records = 0;  ///< 0: nothing is due after all.
  };
  [[nodiscard]] store::Result<Folded> fold(const TrimOrder& order);
  [[nodiscard]] store::Result<void> compact_if_due();

  store::Store& store_;
  const ChannelsSettings settings_;
  const Done done_;
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::vector<TrimOrder> orders_;  // guarded by mutex_
  bool busy_ = false;              // guarded by mutex_
  bool stopping_ = false;          // guarded by mutex_

  // The thread's own.
  std::uint64_t trimmed_bytes_ = 0;  ///< Since the log was rewritten.
  std::string not_rewritten_;        ///< Why not, to be said with the next outcome.
  std::thread thread_;
};

}  // namespace clamor::server
