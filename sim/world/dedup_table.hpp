#pragma once

#include "server/base/id.hpp"
#include "server/core/accept.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clamor::sim {

/// Dedup rows of all (client, channel) pairs that have sent: core::accept's memory, without a row
/// for the many pairs that never send. Open addressing; one owner.
class DedupTable {
 public:
  /// `ring_size` message_ids are remembered a row: core::dedup_ring_size like a server, or fewer
  /// for populations whose clients send a few messages each (a power of two).
  explicit DedupTable(std::size_t ring_size) : ring_size_{ring_size} {}

  struct Row {
    core::DedupRow& row;
    std::span<MessageId> ring;
  };
  /// The row of that pair, made when it is new. Valid until the next call. O(1).
  [[nodiscard]] Row row_of(std::uint32_t slot, std::uint32_t channel);

 private:
  struct Key {
    std::uint32_t slot_plus_one = 0;  ///< 0: free.
    std::uint32_t channel = 0;
    std::uint32_t index = 0;
  };
  void grow();

  std::size_t ring_size_;
  std::vector<Key> keys_;  ///< A power of two long, linear probing.
  std::vector<core::DedupRow> rows_;
  std::vector<MessageId> rings_;
};

}  // namespace clamor::sim
