#pragma once

#include <array>
#include <cstdint>

namespace clamor::scenario {

/// What a permutation orders; one more part of its key, so that no two orders are related.
enum class PermutationUse : std::uint32_t { devices = 1, away, fault, members, killed };

/// Seeded invertible permutation of [0, size): an order of users that needs no table.
///
/// An alternating Feistel network over Z_a x Z_b, a*b >= size, with cycle walking (Black and
/// Rogaway, "Ciphers with arbitrary finite domains", 2002). Because a*b exceeds size by less than
/// its root, a walk beyond the first step is rare. About 30 ns either way; 64 bytes.
class Permutation {
 public:
  /// `stream` tells apart orders of one use (fault, class and round). @pre size > 0.
  Permutation(std::uint64_t seed, PermutationUse use, std::uint64_t stream, std::uint32_t size);

  [[nodiscard]] std::uint32_t size() const { return size_; }
  /// What stands at `rank`. @pre rank < size().
  [[nodiscard]] std::uint32_t at(std::uint32_t rank) const;
  /// Where `value` stands: rank_of(at(i)) == i. @pre value < size().
  [[nodiscard]] std::uint32_t rank_of(std::uint32_t value) const;

 private:
  static constexpr std::size_t rounds = 4;

  [[nodiscard]] std::uint32_t encrypt(std::uint32_t x) const;
  [[nodiscard]] std::uint32_t decrypt(std::uint32_t x) const;

  std::uint32_t size_;
  std::uint32_t left_size_;   ///< a
  std::uint32_t right_size_;  ///< b
  std::array<std::uint64_t, rounds> keys_{};
};

}  // namespace clamor::scenario
