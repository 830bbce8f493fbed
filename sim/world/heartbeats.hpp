#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace clamor::sim {

/// When the clients of one node beat. Heartbeats are no events: nobody waits for them, so they are
/// computed when something else touches the node, and charged to its turns. A wheel of buckets of
/// 10 ms, one entry a client, because every frame a client sends puts its next beat off.
class Heartbeats {
 public:
  static constexpr std::int64_t bucket_ns = 10'000'000;

  /// No beat is added further than `horizon_ns` ahead.
  explicit Heartbeats(std::int64_t horizon_ns)
      : buckets_(static_cast<std::size_t>(horizon_ns / bucket_ns) + 3) {}

  /// Plans a look at `slot` at that time, at the earliest in the bucket after the present one.
  void add(std::uint32_t slot, std::int64_t at_ns) {
    std::int64_t bucket = at_ns / bucket_ns;
    if (bucket < next_ + 1) bucket = next_ + 1;
    buckets_[static_cast<std::size_t>(bucket) % buckets_.size()].push_back(slot);
  }

  /// Calls visit(slot, at_ns) for what was planned up to `now_ns`, in order of buckets; visit may
  /// add(). Amortised O(looks).
  template <class Visit>
  void advance(std::int64_t now_ns, const Visit& visit) {
    for (; (next_ + 1) * bucket_ns <= now_ns; ++next_) {
      taken_.clear();
      taken_.swap(buckets_[static_cast<std::size_t>(next_) % buckets_.size()]);
      for (std::size_t i = 0; i < taken_.size(); ++i) {
        // Spread over the bucket: a node's clients do not beat in unison.
        const auto share = static_cast<std::int64_t>((i + 1) * bucket_ns / taken_.size());
        visit(taken_[i], next_ * bucket_ns + share);
      }
    }
  }

 private:
  std::vector<std::vector<std::uint32_t>> buckets_;
  std::vector<std::uint32_t> taken_;
  std::int64_t next_ = 0;  ///< Bucket that is visited next.
};

}  // namespace clamor::sim
