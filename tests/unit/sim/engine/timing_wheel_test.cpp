#include "sim/engine/timing_wheel.hpp"

#include "server/base/hash.hpp"
#include "server/base/random.hpp"
#include "sim/engine/heap_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <rapidcheck/gtest.h>
#include <utility>
#include <vector>

namespace clamor::sim {
namespace {

std::uint64_t fold(std::uint64_t hash, const Event& event) {
  hash = combine64(hash, static_cast<std::uint64_t>(event.time_ns));
  return combine64(hash, (static_cast<std::uint64_t>(event.id) << 32U) | event.sequence);
}

/// Pops everything, pushing a successor for some events, and returns the hash of the order.
/// `steps` says for the n-th pop how far ahead its successor lies; negative: it has none.
template <class Queue>
std::pair<std::uint64_t, std::uint64_t> drain(Queue& queue, const std::vector<std::int64_t>& starts,
                                              const std::vector<std::int64_t>& steps) {
  for (std::size_t i = 0; i < starts.size(); ++i) {
    queue.push(starts[i], static_cast<std::uint32_t>(i % 7));
  }
  std::uint64_t hash = 0;
  std::uint64_t popped = 0;
  Event event;
  while (queue.pop(event)) {
    hash = fold(hash, event);
    if (popped < steps.size() && steps[popped] >= 0) {
      queue.push(event.time_ns + steps[popped], event.id + 1);
    }
    ++popped;
  }
  return {hash, popped};
}

RC_GTEST_PROP(TimingWheel, PopsInTheSameTotalOrderAsAPriorityQueue, ()) {
  // Spreads that stay in a tick, cross levels, and reach the overflow list.
  const auto spread = *rc::gen::element<std::int64_t>(1, 1'000, 1 << 20, 1LL << 30, 1LL << 40,
                                                      1LL << 46, 1LL << 52);
  const auto starts =
      *rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, spread));
  const auto steps = *rc::gen::container<std::vector<std::int64_t>>(
      rc::gen::inRange<std::int64_t>(-spread / 4 - 1, spread));
  TimingWheel wheel{*rc::gen::element(8U, 16U, 20U)};
  HeapQueue heap;
  RC_ASSERT(drain(wheel, starts, steps) == drain(heap, starts, steps));
}

TEST(TimingWheel, AgreesWithAPriorityQueueOverTwoHundredThousandEvents) {
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> steps;
  for (std::uint64_t i = 0; i < 50'000; ++i) {
    starts.push_back(static_cast<std::int64_t>(
        below_from_bits(draw_bits(1, DrawPurpose::test, i), 200'000'000)));
  }
  for (std::uint64_t i = 0; i < 150'000; ++i) {
    // A third at the very same instant, a third within the tick, a third far away.
    const std::uint64_t bits = draw_bits(2, DrawPurpose::test, i);
    const std::uint64_t reach = i % 3 == 0 ? 1 : (i % 3 == 1 ? 100'000 : 20'000'000'000);
    steps.push_back(static_cast<std::int64_t>(below_from_bits(bits, reach)));
  }
  TimingWheel wheel;
  HeapQueue heap;
  const auto by_wheel = drain(wheel, starts, steps);
  EXPECT_EQ(by_wheel, drain(heap, starts, steps));
  EXPECT_EQ(by_wheel.second, 200'000U);
}

TEST(TimingWheel, OrdersOneInstantByIdThenBySequence) {
  TimingWheel wheel;
  for (const std::uint32_t id : {3U, 1U, 3U, 2U}) wheel.push(5'000'000, id);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> order;
  for (Event event; wheel.pop(event);) order.emplace_back(event.id, event.sequence);
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> expected{
      {1, 1}, {2, 3}, {3, 0}, {3, 2}};
  EXPECT_EQ(order, expected);
}

TEST(TimingWheel, SortsAThousandEventsOfOneInstantInOneTick) {
  TimingWheel wheel;
  for (std::uint32_t i = 0; i < 1'000; ++i) wheel.push(3 << 20, 1'000 - i);
  Event event;
  for (std::uint32_t id = 1; id <= 1'000; ++id) {
    ASSERT_TRUE(wheel.pop(event));
    ASSERT_EQ(event.id, id);
  }
  EXPECT_FALSE(wheel.pop(event));
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimingWheel, NamesTheEventsThatComeNextForPrefetch) {
  TimingWheel wheel;
  for (std::uint32_t i = 0; i < 100; ++i) wheel.push((2 << 20) + i, i);
  std::vector<std::uint32_t> hinted;
  Event event;
  while (wheel.pop(event, [&](std::uint32_t id) { hinted.push_back(id); })) {
  }
  ASSERT_EQ(hinted.size(), 100 - TimingWheel::prefetch_distance);
  EXPECT_EQ(hinted.front(), TimingWheel::prefetch_distance);
  EXPECT_TRUE(std::is_sorted(hinted.begin(), hinted.end()));
}

TEST(TimingWheel, TakesEventsForTheOpenedTickWhileItIsBeingEmptied) {
  TimingWheel wheel;
  wheel.push(10, 1);
  wheel.push(30, 3);
  Event event;
  ASSERT_TRUE(wheel.pop(event));
  wheel.push(20, 2);
  ASSERT_TRUE(wheel.pop(event));
  EXPECT_EQ(event.id, 2U);
  ASSERT_TRUE(wheel.pop(event));
  EXPECT_EQ(event.id, 3U);
}

}  // namespace
}  // namespace clamor::sim
