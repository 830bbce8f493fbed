#pragma once

#include "server/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace clamor::core {

/// How often somebody may do something: `per_second` in the long run, `burst` at once.
struct Rate {
  std::uint32_t per_second = 0;  ///< 0: as often as they like.
  std::uint32_t burst = 1;
  [[nodiscard]] bool limits() const { return per_second != 0; }
  bool operator==(const Rate&) const = default;
};

/// A bucket of tokens for each of many keys (users, addresses), in a fixed number of places. A
/// bucket is one time, at which it will be full again (the generic cell rate algorithm): it refills
/// without a timer, and a full one is the same as none, so that its place is free. Where a key
/// finds no place free it takes that of the fullest bucket of eight, whose owner may do a little
/// more for it. Takes no memory before the first take().
class TokenBuckets {
 public:
  /// Keys that are limited at once; twice as many places, so that hardly any is driven out.
  static constexpr std::size_t keys = 32'768;

  /// `seed` keeps keys from being chosen that meet in one place.
  TokenBuckets(const Rate& rate, std::uint64_t seed) : rate_{rate}, seed_{seed} {}

  /// Takes a token of the key's bucket. Returns 0, or where it is empty, how long until it holds
  /// one. `now` must not go back. O(1).
  [[nodiscard]] Duration take(std::uint64_t key, Instant now);
  /// Buckets that are not full. O(places).
  [[nodiscard]] std::size_t in_use(Instant now) const;
  [[nodiscard]] std::size_t places() const { return places_.size(); }

 private:
  struct Bucket {
    std::uint64_t key = 0;
    Instant full_at = Instant::min();
  };
  static constexpr std::size_t ways = 8;

  Rate rate_;
  std::uint64_t seed_ = 0;
  std::vector<Bucket> places_;
};

}  // namespace clamor::core
