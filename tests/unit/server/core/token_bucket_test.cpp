#include "server/core/token_bucket.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <rapidcheck.h>
#include <vector>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

constexpr Instant start{1000s};

TEST(TokenBuckets, GiveABurstAndThenTheRateAndSayWhenTheNextOneIsThere) {
  TokenBuckets buckets{{.per_second = 10, .burst = 3}, 1};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(buckets.take(7, start), 0s);
  EXPECT_EQ(buckets.take(7, start), 100ms);
  EXPECT_EQ(buckets.take(7, start + 40ms), 60ms) << "a refusal takes no token";
  EXPECT_EQ(buckets.take(7, start + 100ms), 0s);
  EXPECT_EQ(buckets.take(7, start + 100ms), 100ms);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(buckets.take(7, start + 1s), 0s) << "full again";
  EXPECT_GT(buckets.take(7, start + 1s), 0s);
}

TEST(TokenBuckets, OfOneKeyAreNothingToAnother) {
  TokenBuckets buckets{{.per_second = 1, .burst = 1}, 1};
  EXPECT_EQ(buckets.take(1, start), 0s);
  EXPECT_EQ(buckets.take(2, start), 0s);
  EXPECT_GT(buckets.take(1, start), 0s);
  EXPECT_EQ(buckets.in_use(start), 2U);
  EXPECT_EQ(buckets.in_use(start + 1s), 0U) << "full ones are none";
}

TEST(TokenBuckets, WithoutARateLimitNobodyAndTakeNoMemory) {
  TokenBuckets buckets{{}, 1};
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(buckets.take(1, start), 0s);
  EXPECT_EQ(buckets.places(), 0U);
}

// However many keys come, the table stays as it is, and a key that is driven out is not refused for
// another's doing.
TEST(TokenBuckets, StayAsManyHoweverManyKeysCome) {
  TokenBuckets buckets{{.per_second = 1, .burst = 1}, 1};
  for (std::uint64_t key = 1; key <= 10 * TokenBuckets::keys; ++key) {
    ASSERT_EQ(buckets.take(key, start), 0s);
  }
  EXPECT_EQ(buckets.places(), 2 * TokenBuckets::keys);
  EXPECT_LE(buckets.in_use(start), buckets.places());
}

TEST(TokenBuckets, HoldWhatTheyAreMeantForWithoutDrivingOneOut) {
  TokenBuckets buckets{{.per_second = 1, .burst = 1}, 42};
  std::uint64_t limited = 0;
  for (std::uint64_t key = 1; key <= TokenBuckets::keys; ++key) (void)buckets.take(key, start);
  for (std::uint64_t key = 1; key <= TokenBuckets::keys; ++key) {
    limited += buckets.take(key, start) > 0s ? 1 : 0;
  }
  EXPECT_GT(limited, TokenBuckets::keys * 95 / 100);
}

// The plain bucket that everybody knows: so many tokens, refilled at the rate.
TEST(TokenBuckets, GiveWhatACountedBucketGives) {
  EXPECT_TRUE(rc::check([] {
    const Rate rate{.per_second = *rc::gen::inRange(1U, 50U), .burst = *rc::gen::inRange(1U, 9U)};
    TokenBuckets buckets{rate, 3};
    const Duration token = Duration{1s} / rate.per_second;
    Duration filled = token * rate.burst;  // In time, so that fractions are exact.
    Instant before = start;
    for (const int wait : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 200))) {
      const Instant now = before + std::chrono::milliseconds{wait};
      filled = std::min(filled + (now - before), token * rate.burst);
      before = now;
      const bool taken = filled >= token;
      if (taken) filled -= token;
      RC_ASSERT((buckets.take(9, now) == Duration{}) == taken);
    }
  }));
}

}  // namespace
}  // namespace clamor::core
