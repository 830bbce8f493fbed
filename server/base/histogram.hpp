#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

namespace clamor {

/// Fixed-size mergeable histogram of non-negative integers (nanoseconds, bytes, counts).
///
/// Log-linear buckets as in HdrHistogram (Tene): 64 a power of two, so a quantile is within 1.6 %
/// of the true value; values from 2^42 (73 minutes in ns) on share the last bucket. Integer
/// arithmetic only, so that simulator ranks and load-generator workers merge to the same bytes.
/// 18 KB once something is recorded; an empty one holds no memory. Not thread-safe.
class Histogram {
 public:
  static constexpr unsigned sub_bits = 6;
  static constexpr unsigned max_bits = 42;
  static constexpr std::size_t bucket_count = (max_bits - sub_bits + 1) << sub_bits;

  /// Adds `times` occurrences of `value`. O(1).
  void record(std::uint64_t value, std::uint64_t times = 1) {
    if (counts_.empty()) counts_.resize(bucket_count);
    counts_[bucket_of(value)] += times;
    count_ += times;
    sum_ += value * times;
    if (value < min_) min_ = value;
    if (value > max_) max_ = value;
  }

  void merge(const Histogram& other) {
    if (other.count_ == 0) return;
    if (counts_.empty()) counts_.resize(bucket_count);
    for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    if (other.min_ < min_) min_ = other.min_;
    if (other.max_ > max_) max_ = other.max_;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t sum() const { return sum_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }  ///< Exact.
  [[nodiscard]] std::uint64_t max() const { return max_; }                    ///< Exact.
  [[nodiscard]] double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  /// Value at quantile q in [0, 1], by the nearest rank: the bucket's upper edge, never above
  /// max(). 0 when empty.
  [[nodiscard]] std::uint64_t quantile(double q) const {
    if (count_ == 0) return 0;
    const double exact = q * static_cast<double>(count_);
    auto rank = static_cast<std::uint64_t>(exact);
    if (static_cast<double>(rank) < exact) ++rank;
    if (rank < 1) rank = 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      seen += counts_[i];
      if (seen >= rank)
        return upper_edge(i) < max_ ? (upper_edge(i) < min_ ? min_ : upper_edge(i)) : max_;
    }
    return max_;
  }

  /// Raw bucket counts (empty when nothing was recorded): for files and charts.
  [[nodiscard]] const std::vector<std::uint64_t>& buckets() const { return counts_; }
  /// Rebuilds a histogram from what another process wrote. `buckets` is empty or bucket_count long.
  static Histogram from_parts(std::vector<std::uint64_t> buckets, std::uint64_t sum,
                              std::uint64_t min, std::uint64_t max) {
    Histogram h;
    for (const std::uint64_t n : buckets) h.count_ += n;
    h.counts_ = std::move(buckets);
    h.sum_ = sum;
    if (h.count_ != 0) h.min_ = min;
    h.max_ = max;
    return h;
  }

  [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) {
    if (value < (1U << sub_bits)) return static_cast<std::size_t>(value);
    const auto top = static_cast<unsigned>(std::bit_width(value)) - 1;
    if (top >= max_bits) return bucket_count - 1;
    const unsigned shift = top - sub_bits;
    return (static_cast<std::size_t>(shift + 1) << sub_bits) +
           static_cast<std::size_t>((value >> shift) - (1U << sub_bits));
  }
  /// Largest value that falls into bucket i.
  [[nodiscard]] static constexpr std::uint64_t upper_edge(std::size_t i) {
    if (i < (1U << sub_bits)) return i;
    const std::size_t shift = (i >> sub_bits) - 1;
    const std::uint64_t base = (i & ((1U << sub_bits) - 1)) + (1U << sub_bits);
    return ((base + 1) << shift) - 1;
  }

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ = 0;
};

}  // namespace clamor
