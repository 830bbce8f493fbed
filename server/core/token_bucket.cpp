#include "server/core/token_bucket.hpp"

#include "server/base/hash.hpp"

#include <algorithm>
#include <chrono>
#include <span>

namespace clamor::core {

Duration TokenBuckets::take(std::uint64_t key, Instant now) {
  if (!rate_.limits()) return {};
  if (places_.empty()) places_.resize(2 * keys);
  const std::size_t set = combine64(seed_, key) % (places_.size() / ways);
  const std::span<Bucket> found = std::span{places_}.subspan(set * ways, ways);
  auto bucket = std::find_if(found.begin(), found.end(), [&](const Bucket& one) {
    return one.key == key && one.full_at > now;
  });
  if (bucket == found.end()) {
    bucket = std::min_element(found.begin(), found.end(), [](const Bucket& a, const Bucket& b) {
      return a.full_at < b.full_at;
    });
    *bucket = {key, now};
  }
  const Duration token = Duration{std::chrono::seconds{1}} / rate_.per_second;
  // Full after so many tokens as are missing; all but one may be.
  const Duration wait = bucket->full_at - now - token * (rate_.burst - 1);
  if (wait > Duration{}) return wait;
  bucket->full_at += token;
  return {};
}

std::size_t TokenBuckets::in_use(Instant now) const {
  return static_cast<std::size_t>(std::count_if(
      places_.begin(), places_.end(), [now](const Bucket& one) { return one.full_at > now; }));
}

}  // namespace clamor::core
