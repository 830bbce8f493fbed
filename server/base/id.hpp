#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace clamor {

/// A name that only mixes with its own kind: UserId{1} == ChannelId{1} does not compile.
template <class Tag, class Rep = std::uint64_t>
struct Id {
  Rep value = 0;
  auto operator<=>(const Id&) const = default;
};

/// A dense counter that only mixes with its own kind. 0 stands before the first.
template <class Tag, class Rep = std::uint64_t>
struct Ordinal {
  Rep value = 0;
  auto operator<=>(const Ordinal&) const = default;
  constexpr Ordinal& operator++() {
    ++value;
    return *this;
  }
  friend constexpr Ordinal operator+(Ordinal a, Rep n) { return {static_cast<Rep>(a.value + n)}; }
  friend constexpr Ordinal operator-(Ordinal a, Rep n) { return {static_cast<Rep>(a.value - n)}; }
  /// Distance; @pre a >= b.
  friend constexpr Rep operator-(Ordinal a, Ordinal b) {
    return static_cast<Rep>(a.value - b.value);
  }
};

using UserId = Id<struct UserTag>;
/// A device of one user, numbered from 1; (user, device) names it globally.
using DeviceId = Id<struct DeviceTag, std::uint32_t>;
using ChannelId = Id<struct ChannelTag>;
using PartitionId = Id<struct PartitionTag, std::uint32_t>;
using NodeId = Id<struct NodeTag, std::uint32_t>;

/// Number of a record in its channel, dense from 1. A gap in what a device holds is a lost message.
using MessageId = Ordinal<struct MessageTag>;
/// Number of a send of one device incarnation in one channel, dense from 1; makes resends safe.
using ClientMessageId = Ordinal<struct ClientMessageTag>;
/// Place of a record in its partition's journal, dense from 1.
using JournalSequence = Ordinal<struct JournalTag>;
/// Place of an entry in one user's sync queue, dense from 1; a catch-up cursor, never the truth.
using QueueSequence = Ordinal<struct QueueTag>;
/// Lease generation of a partition.
using Term = Ordinal<struct TermTag, std::uint32_t>;

/// What a device holds of a channel: every id of its membership intervals up to message_id.
struct Position {
  std::uint32_t incarnation = 1;  ///< Changes only when the partition's log lost history.
  MessageId message_id;
  auto operator<=>(const Position&) const = default;
};

}  // namespace clamor

template <class Tag, class Rep>
struct std::hash<clamor::Id<Tag, Rep>> {
  std::size_t operator()(clamor::Id<Tag, Rep> id) const noexcept {
    // Multiply by 2^64 / golden ratio: plan ids are dense, and open-addressing maps want spread.
    return static_cast<std::size_t>(id.value * 0x9E3779B97F4A7C15ULL);
  }
};
