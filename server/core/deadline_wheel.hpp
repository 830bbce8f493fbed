#pragma once

#include "server/base/assert.hpp"
#include "server/base/time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace clamor::core {

/// Deadlines of many, in buckets of one step: adding is O(1), and nobody has a timer of its own.
/// Deadlines beyond the wheel are visited at its end, early, and may be added again. Entries are
/// not taken back: who looks at one checks whether it still means something. A deadline is never
/// visited before its time otherwise, and less than a step after it where advance() is called in
/// time.
template <class Key>
class DeadlineWheel {
 public:
  /// @pre step > 0.
  explicit DeadlineWheel(Duration step, std::size_t buckets = 1024)
      : step_{step}, buckets_(buckets) {
    CLAMOR_ASSERT(step > Duration{} && buckets > 1);
  }

  /// Plans a visit at `at`, after `now` in any case; returns when it is.
  Instant add(Key key, Instant at, Instant now) {
    const std::int64_t soonest = step_of(now) + 1;
    if (size_ == 0) next_ = soonest;
    const auto last = next_ + static_cast<std::int64_t>(buckets_.size()) - 1;
    const std::int64_t wanted = at >= time_of(last) ? last : step_of(at - Duration{1}) + 1;
    const std::int64_t step = std::clamp(wanted, std::min(soonest, last), last);
    bucket_of(step).push_back(std::move(key));
    ++size_;
    return time_of(step);
  }

  /// Calls visit(key) for what was planned up to `now`, in order of steps and of being added; visit
  /// may add(). O(steps passed + visits).
  template <class Visit>
  void advance(Instant now, const Visit& visit) {
    while (size_ != 0 && time_of(next_) <= now) {
      taken_.clear();
      taken_.swap(bucket_of(next_));
      size_ -= taken_.size();
      ++next_;  // Before the visits: what they add lies ahead.
      for (const Key& key : taken_) visit(key);
    }
  }

  /// When the next visit is due; nothing where none is planned. O(buckets).
  [[nodiscard]] std::optional<Instant> next() const {
    if (size_ == 0) return std::nullopt;
    for (std::int64_t step = next_;; ++step) {
      if (!buckets_[index_of(step)].empty()) return time_of(step);
    }
  }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  /// The last step that begins at or before `at`.
  [[nodiscard]] std::int64_t step_of(Instant at) const {
    const std::int64_t ns = to_ns(at);
    const std::int64_t step = to_ns(step_);
    return ns / step - static_cast<std::int64_t>(ns % step < 0);
  }
  [[nodiscard]] Instant time_of(std::int64_t step) const { return Instant{step_ * step}; }
  [[nodiscard]] std::size_t index_of(std::int64_t step) const {
    const auto buckets = static_cast<std::int64_t>(buckets_.size());
    return static_cast<std::size_t>(((step % buckets) + buckets) % buckets);
  }
  [[nodiscard]] std::vector<Key>& bucket_of(std::int64_t step) { return buckets_[index_of(step)]; }

  Duration step_;
  std::vector<std::vector<Key>> buckets_;
  std::vector<Key> taken_;
  std::int64_t next_ = 0;  ///< The step that is visited next.
  std::size_t size_ = 0;
};

}  // namespace clamor::core
