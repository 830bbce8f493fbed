#include "sim/engine/timing_wheel.hpp"

#include "server/base/assert.hpp"

#include <bit>
#include <limits>
#include <optional>

namespace clamor::sim {
namespace {

/// First set bit above `after`.
template <std::size_t Words>
std::optional<std::size_t> next_set(const std::array<std::uint64_t, Words>& bits,
                                    std::size_t after) {
  const std::size_t first = after + 1;
  if (first >= Words * 64) return std::nullopt;
  std::size_t word = first / 64;
  std::uint64_t value = bits[word] & (~std::uint64_t{0} << (first % 64));
  while (value == 0) {
    if (++word == Words) return std::nullopt;
    value = bits[word];
  }
  return word * 64 + static_cast<std::size_t>(std::countr_zero(value));
}

}  // namespace

TimingWheel::TimingWheel(unsigned tick_bits) : tick_bits_{tick_bits} {
  CLAMOR_ASSERT(tick_bits >= slot_bits && tick_bits < 40);
  for (Level& level : wheel_) level.head.fill(no_chunk);
}

void TimingWheel::add_chunk(std::uint32_t& head) {
  if (free_ == no_chunk) {
    const auto base = static_cast<std::uint32_t>(blocks_.size() * chunks_per_block);
    blocks_.push_back(std::make_unique<Chunk[]>(chunks_per_block));
    for (std::uint32_t i = chunks_per_block; i-- > 0;) {
      chunk(base + i).next = free_;
      free_ = base + i;
    }
  }
  const std::uint32_t fresh = free_;
  free_ = chunk(fresh).next;
  chunk(fresh).next = head;
  chunk(fresh).count = 0;
  head = fresh;
}

void TimingWheel::spread(std::uint32_t& head) {
  std::uint32_t index = head;
  head = no_chunk;
  while (index != no_chunk) {
    const std::uint32_t next = chunk(index).next;
    for (std::uint32_t i = 0; i < chunk(index).count; ++i) {
      const Event event = chunk(index).events[i];
      const std::uint64_t tick = tick_of(event);
      if (tick == open_tick_) {
        open_.push_back(event);
      } else {
        place(event, tick);
      }
    }
    chunk(index).next = free_;
    free_ = index;
    index = next;
  }
}

bool TimingWheel::descend(unsigned level) {
  const unsigned shift = slot_bits * level;
  const auto slot = next_set(wheel_[level].occupied, (open_tick_ >> shift) & (slots - 1));
  if (!slot) return false;
  open_tick_ = ((open_tick_ >> (shift + slot_bits)) << (shift + slot_bits)) | (*slot << shift);
  wheel_[level].occupied[*slot / 64] &= ~(std::uint64_t{1} << (*slot % 64));
  spread(wheel_[level].head[*slot]);
  return true;
}

bool TimingWheel::drain_overflow() {
  if (overflow_ == no_chunk) return false;
  std::uint64_t earliest = std::numeric_limits<std::uint64_t>::max();
  for (std::uint32_t index = overflow_; index != no_chunk; index = chunk(index).next) {
    for (std::uint32_t i = 0; i < chunk(index).count; ++i) {
      earliest = std::min(earliest, tick_of(chunk(index).events[i]));
    }
  }
  open_tick_ = (earliest >> (slot_bits * levels)) << (slot_bits * levels);
  std::uint32_t all = overflow_;
  overflow_ = no_chunk;  // spread() puts back what is still too far ahead
  spread(all);
  return true;
}

bool TimingWheel::open_next_tick() {
  if (size_ == 0) return false;
  open_.clear();
  next_ = 0;
  // A cascade may land on its own first tick, fill lower levels only, or both.
  while (open_.empty()) {
    const bool moved = descend(0) || descend(1) || descend(2) || drain_overflow();
    CLAMOR_ASSERT(moved);
  }
  sort_open();
  return true;
}

void TimingWheel::sort_open() {
  constexpr std::size_t few = 48;
  constexpr std::size_t buckets = 256;
  if (open_.size() < few) {
    std::sort(open_.begin(), open_.end(), Earlier{});
    return;
  }
  // One counting pass by the top bits of the time within the tick leaves about one event a bucket.
  const unsigned shift = tick_bits_ - 8;
  const auto bucket_of = [&](const Event& event) {
    return (static_cast<std::uint64_t>(event.time_ns) >> shift) & (buckets - 1);
  };
  std::array<std::uint32_t, buckets + 1> start{};
  for (const Event& event : open_) ++start[bucket_of(event) + 1];
  for (std::size_t i = 1; i <= buckets; ++i) {
    start[i] += start[i - 1];
  }
  scratch_.resize(open_.size());
  auto place_at = start;
  for (const Event& event : open_) scratch_[place_at[bucket_of(event)]++] = event;
  open_.swap(scratch_);
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const std::uint32_t begin = start[bucket];
    const std::uint32_t end = start[bucket + 1];
    if (end - begin > 16) {
      std::sort(open_.begin() + begin, open_.begin() + end, Earlier{});
      continue;
    }
    for (std::uint32_t i = begin + 1; i < end; ++i) {
      const Event event = open_[i];
      std::uint32_t hole = i;
      for (; hole > begin && Earlier{}(event, open_[hole - 1]); --hole)
        open_[hole] = open_[hole - 1];
      open_[hole] = event;
    }
  }
}

}  // namespace clamor::sim
