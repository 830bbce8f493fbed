#pragma once

#include "server/base/id.hpp"

#include <algorithm>
#include <cstdint>

namespace clamor::core {

/// A place in a channel with its countable index: a head, or up to where a user has read. 16 bytes.
struct CountedId {
  MessageId id;
  std::uint32_t uncountable = 0;  ///< Records up to `id` that are not countable.

  /// Countable records up to `id`.
  [[nodiscard]] constexpr std::uint64_t countable() const { return id.value - uncountable; }
  bool operator==(const CountedId&) const = default;
};

/// Countable records that a user who has read up to `read` has not read up to `head`: the same
/// under every design. O(1), whatever the user missed.
[[nodiscard]] constexpr std::uint64_t unread(const CountedId& head, const CountedId& read) {
  return read.id >= head.id ? 0 : head.countable() - read.countable();
}

/// Advances a read cursor; it never goes back. Whether it moved.
constexpr bool advance(CountedId& read, const CountedId& to) {
  if (to.id <= read.id) return false;
  read = to;
  return true;
}

}  // namespace clamor::core
