#include "sim/world/dedup_table.hpp"

#include "server/base/hash.hpp"

#include <utility>

namespace clamor::sim {
namespace {

std::size_t home_of(std::uint32_t slot, std::uint32_t channel) {
  return static_cast<std::size_t>(mix64((static_cast<std::uint64_t>(slot) << 32U) | channel));
}

}  // namespace

DedupTable::Row DedupTable::row_of(std::uint32_t slot, std::uint32_t channel,
                                   ClientMessageId client_message_id) {
  if (rows_.size() * 4 >= keys_.size() * 3) grow();
  const std::size_t mask = keys_.size() - 1;
  std::size_t at = home_of(slot, channel) & mask;
  while (keys_[at].slot_plus_one != 0 &&
         (keys_[at].slot_plus_one != slot + 1 || keys_[at].channel != channel)) {
    at = (at + 1) & mask;
  }
  if (keys_[at].slot_plus_one == 0) {
    keys_[at] = {slot + 1, channel, static_cast<std::uint32_t>(rows_.size())};
    rows_.emplace_back();
    short_rings_.resize(short_rings_.size() + short_ring);
    long_index_.push_back(is_short);
  }
  const std::size_t index = keys_[at].index;
  // Numbers are dense from 1, so a row that has accepted up to short_ring has overwritten none.
  if (client_message_id.value > short_ring && long_index_[index] == is_short) lengthen(index);
  const std::uint32_t place = long_index_[index];
  if (place == is_short) {
    return {rows_[index], std::span{short_rings_}.subspan(index * short_ring, short_ring)};
  }
  return {rows_[index],
          std::span{long_rings_}.subspan(place * core::dedup_ring_size, core::dedup_ring_size)};
}

/// Gives a row the ring of a server's.
void DedupTable::lengthen(std::size_t index) {
  const std::size_t place = long_rings_.size() / core::dedup_ring_size;
  long_rings_.resize(long_rings_.size() + core::dedup_ring_size);
  long_index_[index] = static_cast<std::uint32_t>(place);
  for (std::uint64_t id = 1; id <= rows_[index].last.value; ++id) {
    long_rings_[place * core::dedup_ring_size + id % core::dedup_ring_size] =
        short_rings_[index * short_ring + id % short_ring];
  }
}

void DedupTable::grow() {
  const std::vector<Key> old =
      std::exchange(keys_, std::vector<Key>(keys_.empty() ? 64 : keys_.size() * 2));
  const std::size_t mask = keys_.size() - 1;
  for (const Key& key : old) {
    if (key.slot_plus_one == 0) continue;
    std::size_t at = home_of(key.slot_plus_one - 1, key.channel) & mask;
    while (keys_[at].slot_plus_one != 0) at = (at + 1) & mask;
    keys_[at] = key;
  }
}

}  // namespace clamor::sim
