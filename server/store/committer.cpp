#include "server/store/committer.hpp"

#include "server/base/assert.hpp"

#include <chrono>
#include <utility>

namespace clamor::store {

Committer::Committer(Store& store, Done done)
    : store_{store}, done_{std::move(done)}, thread_{[this] { run(); }} {}

Committer::~Committer() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Committer::submit(std::shared_ptr<const Commit> commit) {
  pending_bytes_.fetch_add(commit->bytes(), std::memory_order_relaxed);
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    first = waiting_.empty();
    waiting_.push_back(std::move(commit));
  }
  if (first) wake_.notify_one();
}

void Committer::resume() {
  CLAMOR_ASSERT(pending_bytes() == 0);
  const std::lock_guard lock{mutex_};
  failed_ = false;
}

std::size_t Committer::pending_bytes() const {
  return pending_bytes_.load(std::memory_order_relaxed);
}

void Committer::run() {
  std::vector<std::shared_ptr<const Commit>> batch;
  for (;;) {
    bool failed = false;
    {
      std::unique_lock lock{mutex_};
      wake_.wait(lock, [this] { return !waiting_.empty() || stopping_; });
      if (waiting_.empty()) return;
      std::swap(batch, waiting_);
      failed = failed_;
    }
    CommitOutcome outcome{.commits = batch.size()};
    const auto began = std::chrono::steady_clock::now();
    if (failed) {
      outcome.failure = Failure{"an earlier append failed"};
    } else if (const auto appended = store_.append(batch)) {
      outcome.bytes = *appended;
    } else {
      outcome.failure = appended.error();
      const std::lock_guard lock{mutex_};
      failed_ = true;
    }
    outcome.took = std::chrono::steady_clock::now() - began;
    std::size_t bytes = 0;
    for (const auto& commit : batch) bytes += commit->bytes();
    batch.clear();
    pending_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    done_(std::move(outcome));
  }
}

}  // namespace clamor::store
