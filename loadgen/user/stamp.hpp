#pragma once

#include "server/base/time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace clamor::loadgen {

/// What a message's body says about its own sending: receivers compute latencies from it.
/// Layout: 8 bytes little-endian `due` in ns, 4 bytes little-endian lateness of the transmission
/// in µs (30 bits, saturating), top bit: waited, the next: revised. Filler follows.
struct Stamp {
  Instant due;           ///< Intended send time, on the clock that sender and receiver share.
  Instant sent;          ///< This transmission; µs resolution, at most 17 minutes after `due`.
  bool waited = false;   ///< It waited in an outbox: path `outbox`.
  bool revised = false;  ///< Its sender will edit or delete it.
};
inline constexpr std::uint32_t stamp_bytes = 12;

/// Body length on the wire of a planned length: short ones are raised to hold the stamp.
[[nodiscard]] constexpr std::uint32_t body_bytes(std::uint32_t planned) {
  return std::max(planned, stamp_bytes);
}

/// Writes the stamp over the first stamp_bytes of `body`. @pre body.size() >= stamp_bytes.
void write_stamp(std::span<std::byte> body, const Stamp& stamp);
/// The stamp of a received body; nothing where it is too short to hold one.
[[nodiscard]] std::optional<Stamp> read_stamp(std::span<const std::byte> body);

}  // namespace clamor::loadgen
