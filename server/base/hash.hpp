#pragma once

#include <cstdint>

namespace clamor {

/// Finaliser of splitmix64 (Steele et al., OOPSLA 2014): every input bit changes half the output.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) {
  x ^= x >> 30U;
  x *= 0xBF58476D1CE4E5B9ULL;
  x ^= x >> 27U;
  x *= 0x94D049BB133111EBULL;
  x ^= x >> 31U;
  return x;
}

/// Folds `value` into `hash`; order matters. For fingerprints of results and records, not secrets.
[[nodiscard]] constexpr std::uint64_t combine64(std::uint64_t hash, std::uint64_t value) {
  return mix64(hash * 0x9E3779B97F4A7C15ULL + mix64(value + 0x632BE59BD9B4E019ULL));
}

}  // namespace clamor
