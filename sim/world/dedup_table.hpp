#pragma once

#include "server/base/id.hpp"
#include "server/core/accept.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clamor::sim {

/// Dedup rows of all (client, channel) pairs that have sent: core::accept's memory, without a row
/// for the many pairs that never send. A row remembers as many message_ids as a server's does
/// (core::dedup_ring_size); its ring is short while the pair has sent only a few, as most have.
/// Open addressing; one owner.
class DedupTable {
 public:
  static constexpr std::size_t short_ring = 8;

  struct Row {
    core::DedupRow& row;
    std::span<MessageId> ring;
  };
  /// The row of that pair, made when it is new, with a ring that has room for the decision on
  /// `client_message_id`. Valid until the next call. O(1).
  [[nodiscard]] Row row_of(std::uint32_t slot, std::uint32_t channel,
                           ClientMessageId client_message_id);

 private:
  struct Key {
    std::uint32_t slot_plus_one = 0;  ///< 0: free.
    std::uint32_t channel = 0;
    std::uint32_t index = 0;
  };
  static constexpr std::uint32_t is_short = 0xFFFFFFFF;
  void grow();
  void lengthen(std::size_t index);

  std::vector<Key> keys_;  ///< A power of two long, linear probing.
  std::vector<core::DedupRow> rows_;
  std::vector<MessageId> short_rings_;     ///< short_ring a row.
  std::vector<std::uint32_t> long_index_;  ///< By row: of its ring in long_rings_, or is_short.
  std::vector<MessageId> long_rings_;      ///< core::dedup_ring_size each.
};

}  // namespace clamor::sim
