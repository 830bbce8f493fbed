#pragma once

#include "sim/engine/event.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace clamor::sim {

/// Pending set of millions of events: a hierarchical timing wheel (Varghese & Lauck, SOSP 1987)
/// whose ticks are unsorted until they are opened. A heap misses the cache on every level; here a
/// push writes 16 bytes at the end of a chunk, and sorting a whole tick at once both is cheaper
/// per event and tells which events come next, so that the owner's records can be prefetched.
/// Pops come in the exact total order (time, id, sequence), the same as HeapQueue's.
///
/// Three levels of 256 slots; what lies further ahead than 2^24 ticks waits in an overflow list.
/// Chunks are reused, so there is no allocation per event. Push O(1), amortised over at most
/// three moves; pop O(log tick population). Not thread-safe.
class TimingWheel {
 public:
  /// Ticks of 2^tick_bits ns; about 200 events a tick is best (1.05 ms for a million clients).
  explicit TimingWheel(unsigned tick_bits = 20);

  /// Adds an event. @pre time_ns is not before the last event popped.
  void push(std::int64_t time_ns, std::uint32_t id) {
    const Event event{time_ns, id, next_sequence_++};
    ++size_;
    const std::uint64_t tick = tick_of(event);
    if (tick > open_tick_) {
      place(event, tick);
    } else {
      late_.push_back(event);
      std::push_heap(late_.begin(), late_.end(), Later{});
    }
  }

  /// Takes the earliest event; false when there is none. Calls `prefetch(id)` for the event that
  /// is prefetch_distance further on in the opened tick.
  template <class Prefetch>
  bool pop(Event& out, const Prefetch& prefetch) {
    if (next_ == open_.size() && late_.empty() && !open_next_tick()) return false;
    --size_;
    if (late_.empty() || (next_ < open_.size() && Earlier{}(open_[next_], late_.front()))) {
      if (next_ + prefetch_distance < open_.size()) prefetch(open_[next_ + prefetch_distance].id);
      out = open_[next_++];
      return true;
    }
    std::pop_heap(late_.begin(), late_.end(), Later{});
    out = late_.back();
    late_.pop_back();
    return true;
  }
  bool pop(Event& out) {
    return pop(out, [](std::uint32_t) {});
  }

  [[nodiscard]] std::size_t size() const { return size_; }

  static constexpr std::size_t prefetch_distance = 20;

 private:
  static constexpr unsigned slot_bits = 8;
  static constexpr std::size_t slots = std::size_t{1} << slot_bits;
  static constexpr unsigned levels = 3;
  static constexpr std::uint32_t no_chunk = 0xFFFFFFFF;
  static constexpr std::size_t chunks_per_block = 256;

  /// 63 events and the link to the slot's next chunk: 1 KB.
  struct Chunk {
    std::uint32_t next = no_chunk;
    std::uint32_t count = 0;
    std::uint64_t unused = 0;
    std::array<Event, 63> events;
  };
  static_assert(sizeof(Chunk) == 1024);

  struct Level {
    std::array<std::uint32_t, slots> head;
    std::array<std::uint64_t, slots / 64> occupied{};
  };

  [[nodiscard]] std::uint64_t tick_of(const Event& event) const {
    return static_cast<std::uint64_t>(event.time_ns) >> tick_bits_;
  }
  [[nodiscard]] Chunk& chunk(std::uint32_t index) {
    return blocks_[index / chunks_per_block][index % chunks_per_block];
  }
  /// Puts an event of a later tick where it waits.
  void place(const Event& event, std::uint64_t tick) {
    const std::uint64_t differs = tick ^ open_tick_;
    const unsigned level =
        differs < slots
            ? 0U
            : (differs < slots * slots ? 1U : (differs < slots * slots * slots ? 2U : levels));
    if (level == levels) {
      append(overflow_, event);
      return;
    }
    const std::size_t slot = (tick >> (slot_bits * level)) & (slots - 1);
    append(wheel_[level].head[slot], event);
    wheel_[level].occupied[slot / 64] |= std::uint64_t{1} << (slot % 64);
  }
  void append(std::uint32_t& head, const Event& event) {
    if (head == no_chunk || chunk(head).count == chunk(head).events.size()) add_chunk(head);
    Chunk& last = chunk(head);
    last.events[last.count++] = event;
  }

  void add_chunk(std::uint32_t& head);
  /// Moves on to the next tick that holds events and sorts it into open_.
  bool open_next_tick();
  /// Re-places every event of a chain relative to open_tick_; those of open_tick_ go to open_.
  void spread(std::uint32_t& head);
  bool descend(unsigned level);
  bool drain_overflow();
  void sort_open();

  unsigned tick_bits_;
  std::uint64_t open_tick_ = 0;
  std::vector<Event> open_;  ///< The opened tick, sorted; [next_, end) is still to come.
  std::size_t next_ = 0;
  std::vector<Event> late_;  ///< Heap of events pushed into the opened tick.
  std::size_t size_ = 0;
  std::uint32_t next_sequence_ = 0;
  std::array<Level, levels> wheel_;
  std::uint32_t overflow_ = no_chunk;
  std::uint32_t free_ = no_chunk;
  std::vector<std::unique_ptr<Chunk[]>> blocks_;
  std::vector<Event> scratch_;
};

}  // namespace clamor::sim
