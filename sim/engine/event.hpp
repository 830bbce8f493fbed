#pragma once

#include <cstdint>

namespace clamor::sim {

/// One entry of a pending set. What happens is the owner's to look up under `id`: an event carries
/// no payload, because 32-byte events cost twice the memory traffic of 16-byte ones.
struct Event {
  std::int64_t time_ns = 0;
  std::uint32_t id = 0;
  std::uint32_t sequence = 0;  ///< Given by the pending set, in the order of pushes.
  bool operator==(const Event&) const = default;
};
static_assert(sizeof(Event) == 16);

__extension__ using WideKey = unsigned __int128;

/// (time, id, sequence) as one number. @pre time_ns >= 0.
[[nodiscard]] constexpr WideKey order_key(const Event& event) {
  const auto low = (static_cast<std::uint64_t>(event.id) << 32U) | event.sequence;
  return (static_cast<WideKey>(static_cast<std::uint64_t>(event.time_ns)) << 64U) | low;
}

/// The exact total order of simulated events.
struct Earlier {
  [[nodiscard]] constexpr bool operator()(const Event& a, const Event& b) const {
    return order_key(a) < order_key(b);
  }
};
struct Later {
  [[nodiscard]] constexpr bool operator()(const Event& a, const Event& b) const {
    return order_key(b) < order_key(a);
  }
};

}  // namespace clamor::sim
