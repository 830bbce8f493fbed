#pragma once

#include "sim/engine/event.hpp"

#include <cstddef>
#include <cstdint>
#include <queue>
#include <vector>

namespace clamor::sim {

/// Pending set on std::priority_queue: the reference that TimingWheel must agree with, event for
/// event, and what the benchmark measures it against.
class HeapQueue {
 public:
  /// O(log n).
  void push(std::int64_t time_ns, std::uint32_t id) { heap_.push({time_ns, id, next_sequence_++}); }
  /// Takes the earliest event; false when there is none. `prefetch` is never called: a heap does
  /// not know what comes after its top.
  template <class Prefetch>
  bool pop(Event& out, const Prefetch& /*prefetch*/) {
    if (heap_.empty()) return false;
    out = heap_.top();
    heap_.pop();
    return true;
  }
  bool pop(Event& out) {
    return pop(out, [](std::uint32_t) {});
  }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  std::priority_queue<Event, std::vector<Event>, Later> heap_;
  std::uint32_t next_sequence_ = 0;
};

}  // namespace clamor::sim
