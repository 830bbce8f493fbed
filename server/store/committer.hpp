#pragma once

#include "server/base/time.hpp"
#include "server/store/commit.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace clamor::store {

/// What became of the oldest commits that were submitted and not yet reported.
struct CommitOutcome {
  std::size_t commits = 0;         ///< So many, in the order of submit().
  std::size_t bytes = 0;           ///< Of their rows.
  Duration took{};                 ///< On the committer's thread.
  std::optional<Failure> failure;  ///< Set: none of them is in the log, as far as is known.
};

/// Appends commits to the store on a thread of its own: whatever waits when the last batch is done
/// becomes the next one, so that a slow disk makes batches larger instead of a queue longer.
///
/// After a failed append it fails every further commit until resume(): the state that made them
/// rests on records that do not exist. submit(), resume() and the destructor belong to one thread;
/// `done` is called on the committer's.
class Committer {
 public:
  using Done = std::function<void(CommitOutcome)>;

  /// @pre `store` outlives this, and nothing else appends to it.
  Committer(Store& store, Done done);
  /// Appends and reports what was submitted, then ends the thread.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  /// Hands a commit over; never blocks on the disk. O(1).
  void submit(std::shared_ptr<const Commit> commit);
  /// Accepts commits again after a failure. @pre every submitted commit was reported.
  void resume();
  /// Memory of the commits that were submitted and not yet reported: what bounds the queue.
  [[nodiscard]] std::size_t pending_bytes() const;

 private:
  void run();

  Store& store_;
  const Done done_;
  std::atomic<std::size_t> pending_bytes_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<const Commit>> waiting_;  // guarded by mutex_
  bool failed_ = false;                                 // guarded by mutex_
  bool stopping_ = false;                               // guarded by mutex_
  std::thread thread_;
};

}  // namespace clamor::store
