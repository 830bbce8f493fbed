#include "server/core/deadline_wheel.hpp"

#include "server/base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

std::vector<int> visited(DeadlineWheel<int>& wheel, Instant now) {
  std::vector<int> keys;
  wheel.advance(now, [&](int key) { keys.push_back(key); });
  return keys;
}

TEST(DeadlineWheel, VisitsNoDeadlineEarlyAndEachOnce) {
  DeadlineWheel<int> wheel{100ms};
  EXPECT_EQ(wheel.next(), std::nullopt);
  EXPECT_EQ(wheel.add(1, Instant{1s}, Instant{}), Instant{1s});
  EXPECT_EQ(wheel.add(2, Instant{1001ms}, Instant{}), Instant{1100ms}) << "the step's end";
  EXPECT_EQ(wheel.next(), Instant{1s});
  EXPECT_EQ(visited(wheel, Instant{1s} - 1ns), std::vector<int>{});
  EXPECT_EQ(visited(wheel, Instant{1s}), std::vector<int>{1});
  EXPECT_EQ(wheel.next(), Instant{1100ms});
  EXPECT_EQ(visited(wheel, Instant{5s}), std::vector<int>{2});
  EXPECT_TRUE(wheel.empty());
}

TEST(DeadlineWheel, WhatIsPastAlreadyIsVisitedInTheNextStep) {
  DeadlineWheel<int> wheel{100ms};
  EXPECT_EQ(wheel.add(1, Instant{1s}, Instant{70s}), Instant{70100ms});
  EXPECT_EQ(wheel.add(2, Instant{}, Instant{70s}), Instant{70100ms});
  EXPECT_EQ(visited(wheel, Instant{70100ms}), (std::vector<int>{1, 2}));
}

TEST(DeadlineWheel, WhatLiesBeyondItIsVisitedAtItsEnd) {
  DeadlineWheel<int> wheel{100ms, 8};
  EXPECT_EQ(wheel.add(1, Instant{1h}, Instant{}), Instant{800ms});
  EXPECT_EQ(wheel.add(2, Instant::max(), Instant{}), Instant{800ms});
  EXPECT_EQ(wheel.add(3, Instant{250ms}, Instant{}), Instant{300ms});
  EXPECT_EQ(visited(wheel, Instant{799ms}), std::vector<int>{3});
  EXPECT_EQ(visited(wheel, Instant{800ms}), (std::vector<int>{1, 2}));
}

TEST(DeadlineWheel, AVisitMayAddAndIsNotVisitedAgainAtOnce) {
  DeadlineWheel<int> wheel{100ms, 8};
  (void)wheel.add(1, Instant{100ms}, Instant{});
  const Instant late{350ms};
  int visits = 0;
  wheel.advance(late, [&](int key) {
    ++visits;
    EXPECT_EQ(wheel.add(key, late, late), Instant{400ms});
  });
  EXPECT_EQ(visits, 1);
  EXPECT_EQ(visited(wheel, Instant{400ms}), std::vector<int>{1});
}

/// Against a sorted map: no deadline early but those beyond the wheel, none later than a step.
TEST(DeadlineWheel, KeepsEveryDeadlineWithinAStep) {
  constexpr Duration step = 10ms;
  DeadlineWheel<int> wheel{step, 64};
  std::map<int, Instant> planned;
  std::uint32_t draw = 0;
  const auto below = [&](std::uint64_t bound) {
    return below_from_bits(draw_bits(5, DrawPurpose::test, ++draw), bound);
  };
  Instant now{-1s};
  for (int key = 0; key < 20'000; ++key) {
    const Instant at = now + Duration{static_cast<std::int64_t>(below(to_ns(700ms)))} - 30ms;
    const Instant when = wheel.add(key, at, now);
    planned.emplace(key, when);
    if (at <= now + 600ms && at > now) {
      EXPECT_GE(when, at);
    }
    EXPECT_LE(when, std::max(at, now) + step);
    EXPECT_GT(when, now);
    if (below(3) != 0) continue;
    now += Duration{static_cast<std::int64_t>(below(to_ns(40ms)))};
    wheel.advance(now, [&](int visited) {
      const auto found = planned.find(visited);
      ASSERT_NE(found, planned.end()) << "twice";
      EXPECT_LE(found->second, now);
      planned.erase(found);
    });
    for (const auto& [left, when_left] : planned) {
      ASSERT_GT(when_left, now) << left << " was forgotten";
    }
  }
  EXPECT_GT(planned.size(), 0U);
}

}  // namespace
}  // namespace clamor::core
