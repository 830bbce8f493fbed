#include "scenarios/model/permutation.hpp"

#include "server/base/assert.hpp"
#include "server/base/random.hpp"

#include <cmath>

namespace clamor::scenario {

namespace {

/// Below `modulus`. The plan's hottest line: mix64 without its last step, since below_from_bits
/// looks at the high bits only, which the last multiplication has already mixed.
std::uint32_t round_value(std::uint64_t key, std::uint32_t half, std::uint32_t modulus) {
  std::uint64_t x = (key ^ half) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 32U)) * 0x94D049BB133111EBULL;
  return static_cast<std::uint32_t>(below_from_bits(x, modulus));
}

std::uint32_t add(std::uint32_t x, std::uint32_t y, std::uint32_t modulus) {
  const std::uint64_t sum = std::uint64_t{x} + y;
  return static_cast<std::uint32_t>(sum >= modulus ? sum - modulus : sum);
}

std::uint32_t subtract(std::uint32_t x, std::uint32_t y, std::uint32_t modulus) {
  return x >= y ? x - y : x + (modulus - y);
}

}  // namespace

Permutation::Permutation(std::uint64_t seed, PermutationUse use, std::uint64_t stream,
                         std::uint32_t size)
    : size_{size} {
  CLAMOR_ASSERT(size > 0);
  left_size_ = static_cast<std::uint32_t>(std::ceil(std::sqrt(static_cast<double>(size))));
  right_size_ = (size + left_size_ - 1) / left_size_;
  for (std::size_t round = 0; round < rounds; ++round) {
    keys_[round] = draw_bits(seed, DrawPurpose::permutation, stream,
                             static_cast<std::uint32_t>(use), static_cast<std::uint32_t>(round));
  }
}

std::uint32_t Permutation::encrypt(std::uint32_t x) const {
  std::uint32_t left = x / right_size_;
  std::uint32_t right = x % right_size_;
  for (std::size_t round = 0; round < rounds; round += 2) {
    left = add(left, round_value(keys_[round], right, left_size_), left_size_);
    right = add(right, round_value(keys_[round + 1], left, right_size_), right_size_);
  }
  return left * right_size_ + right;
}

std::uint32_t Permutation::decrypt(std::uint32_t x) const {
  std::uint32_t left = x / right_size_;
  std::uint32_t right = x % right_size_;
  for (std::size_t round = rounds; round > 0; round -= 2) {
    right = subtract(right, round_value(keys_[round - 1], left, right_size_), right_size_);
    left = subtract(left, round_value(keys_[round - 2], right, left_size_), left_size_);
  }
  return left * right_size_ + right;
}

std::uint32_t Permutation::at(std::uint32_t rank) const {
  CLAMOR_ASSERT(rank < size_);
  // Values outside the domain lie on the same cycle: walking on ends inside it.
  std::uint32_t x = encrypt(rank);
  while (x >= size_) x = encrypt(x);
  return x;
}

std::uint32_t Permutation::rank_of(std::uint32_t value) const {
  CLAMOR_ASSERT(value < size_);
  std::uint32_t x = decrypt(value);
  while (x >= size_) x = decrypt(x);
  return x;
}

}  // namespace clamor::scenario
