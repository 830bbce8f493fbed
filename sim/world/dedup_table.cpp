#include "sim/world/dedup_table.hpp"

#include "server/base/hash.hpp"

#include <utility>

namespace clamor::sim {
namespace {

std::size_t home_of(std::uint32_t slot, std::uint32_t channel) {
  return static_cast<std::size_t>(mix64((static_cast<std::uint64_t>(slot) << 32U) | channel));
}

}  // namespace

DedupTable::Row DedupTable::row_of(std::uint32_t slot, std::uint32_t channel) {
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
    rings_.resize(rings_.size() + ring_size_);
  }
  const std::size_t index = keys_[at].index;
  return {rows_[index], std::span{rings_}.subspan(index * ring_size_, ring_size_)};
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
