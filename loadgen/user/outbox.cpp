#include "loadgen/user/outbox.hpp"

#include "server/base/assert.hpp"
#include "server/base/hash.hpp"

#include <utility>

namespace clamor::loadgen {

std::uint32_t OutboxPool::take() {
  ++in_use_;
  if (free_ == none) {
    entries_.emplace_back();
    return static_cast<std::uint32_t>(entries_.size() - 1);
  }
  const std::uint32_t index = free_;
  free_ = entries_[index].next;
  entries_[index] = {};
  return index;
}

void OutboxPool::give_back(std::uint32_t index) {
  CLAMOR_ASSERT(in_use_ > 0);
  --in_use_;
  entries_[index].next = free_;
  free_ = index;
}

ClientMessageId OutboxPool::next_client_message_id(std::uint32_t client, std::uint32_t channel) {
  return ++counter_of(client, channel).last;
}

void OutboxPool::rewind(std::uint32_t client, std::uint32_t channel, ClientMessageId next) {
  CLAMOR_ASSERT(next.value > 0);
  counter_of(client, channel).last = next - 1;
}

std::size_t OutboxPool::memory_bytes() const {
  return entries_.capacity() * sizeof(OutboxEntry) + counters_.capacity() * sizeof(Counter) +
         targets_.memory_bytes();
}

OutboxPool::Counter& OutboxPool::counter_of(std::uint32_t client, std::uint32_t channel) {
  if (counters_used_ * 4 >= counters_.size() * 3) grow();
  const std::size_t mask = counters_.size() - 1;
  std::size_t slot = mix64((static_cast<std::uint64_t>(client) << 32U) | channel) & mask;
  for (;; slot = (slot + 1) & mask) {
    Counter& counter = counters_[slot];
    if (counter.client_plus_one == client + 1 && counter.channel == channel) return counter;
    if (counter.client_plus_one == 0) {
      counter = {client + 1, channel, {}};
      ++counters_used_;
      return counter;
    }
  }
}

void OutboxPool::grow() {
  std::vector<Counter> old =
      std::exchange(counters_, std::vector<Counter>(counters_.empty() ? 64 : counters_.size() * 2));
  counters_used_ = 0;
  for (const Counter& counter : old) {
    if (counter.client_plus_one == 0) continue;
    counter_of(counter.client_plus_one - 1, counter.channel).last = counter.last;
  }
}

}  // namespace clamor::loadgen
