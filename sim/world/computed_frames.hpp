#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace clamor::sim {

/// Frames that clients of one node send by the clock: heartbeats and cumulative acknowledgements.
/// They are not events: nobody waits for them, so they are charged to the node's turns when
/// something else touches the node. Times are kept to a bucket of 10 ms.
class ComputedFrames {
 public:
  static constexpr std::int64_t bucket_ns = 10'000'000;

  enum class Kind : std::uint32_t { heartbeat = 0, device_ack = 1 };

  /// No frame is added further than `horizon_ns` ahead.
  explicit ComputedFrames(std::int64_t horizon_ns)
      : buckets_(static_cast<std::size_t>(horizon_ns / bucket_ns) + 3) {}

  /// Adds a frame of `slot` (a client; below 2^31). At the earliest
  /// the bucket after the present one takes it.
  void add(Kind kind, std::uint32_t slot, std::int64_t at_ns) {
    std::int64_t bucket = at_ns / bucket_ns;
    if (bucket < next_ + 1) bucket = next_ + 1;
    buckets_[static_cast<std::size_t>(bucket) % buckets_.size()].push_back(
        slot | (static_cast<std::uint32_t>(kind) << 31U));
  }

  /// Calls visit(kind, slot, at_ns) for the frames up to `now_ns`, oldest bucket first; visit may
  /// add(). Amortised O(frames).
  template <class Visit>
  void advance(std::int64_t now_ns, const Visit& visit) {
    for (; (next_ + 1) * bucket_ns <= now_ns; ++next_) {
      taken_.clear();
      taken_.swap(buckets_[static_cast<std::size_t>(next_) % buckets_.size()]);
      const std::int64_t at_ns = (next_ + 1) * bucket_ns;
      for (const std::uint32_t entry : taken_) {
        visit(static_cast<Kind>(entry >> 31U), entry & 0x7FFFFFFFU, at_ns);
      }
    }
  }

 private:
  std::vector<std::vector<std::uint32_t>> buckets_;
  std::vector<std::uint32_t> taken_;
  std::int64_t next_ = 0;  ///< Bucket that is visited next.
};

}  // namespace clamor::sim
