#pragma once

#include "server/base/random.hpp"

#include <cstdint>

namespace clamor::scenario {

/// A draw of a plan in [0, 1).
[[nodiscard]] inline double unit_draw(std::uint64_t seed, DrawPurpose purpose, std::uint64_t index,
                                      std::uint32_t ordinal = 0) {
  return unit_from_bits(draw_bits(seed, purpose, index, ordinal));
}

/// A draw of a plan in [0, n). @pre n > 0.
[[nodiscard]] inline std::uint32_t draw_below(std::uint64_t seed, DrawPurpose purpose,
                                              std::uint64_t index, std::uint32_t n,
                                              std::uint32_t attempt = 0) {
  return static_cast<std::uint32_t>(
      below_from_bits(draw_bits(seed, purpose, index, 0, attempt), n));
}

}  // namespace clamor::scenario
