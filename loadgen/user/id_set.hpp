#pragma once

#include "server/base/id.hpp"

#include <cstdint>
#include <vector>

namespace clamor::loadgen {

/// A run of message_ids, both ends included.
struct IdRange {
  MessageId first;
  MessageId last;
  bool operator==(const IdRange&) const = default;
};

/// A set of message_ids of one channel, kept as ascending, disjoint, non-adjacent ranges: holes
/// and other exceptions, of which there are few.
class IdSet {
 public:
  /// Adds first..last; ids already there stay. O(ranges).
  void insert(MessageId first, MessageId last);
  /// Takes one id out; false where it was not in. O(ranges).
  bool erase(MessageId id);
  [[nodiscard]] bool contains(MessageId id) const;  ///< O(log ranges).
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  [[nodiscard]] std::uint64_t count() const;  ///< Ids. O(ranges).
  [[nodiscard]] const std::vector<IdRange>& ranges() const { return ranges_; }
  void clear() { ranges_.clear(); }

 private:
  std::vector<IdRange> ranges_;
};

}  // namespace clamor::loadgen
