#include "sim/engine/turn.hpp"

#include <gtest/gtest.h>

namespace clamor::sim {
namespace {

// Every expected figure below is computed by hand from the formula in turn.hpp.
constexpr TurnCosts costs{.wake_ps = 15'000'000,
                          .turn_ps = 2'000'000,
                          .frame_ps = 1'500'000,
                          .frame_byte_ps = 1'000,
                          .post_ps = 700'000,
                          .flush_ps = 6'300'000,
                          .message_ps = 20'000,
                          .byte_ps = 100};

TEST(Turn, CostsOneTurnWhenNothingHappens) {
  Turn turn{costs, 4};
  turn.begin(1'000);
  EXPECT_EQ(turn.decided_ns(), 3'000);
  turn.flush();
  EXPECT_EQ(turn.end_ns(), 3'000);
}

TEST(Turn, WakesOnlyWhereItIsToldThatTheCoreSlept) {
  Turn turn{costs, 4};
  turn.begin(1'000);
  turn.wake();
  EXPECT_EQ(turn.decided_ns(), 18'000);
  EXPECT_EQ(turn.spent_ns(), 17'000);
  EXPECT_EQ(turn.spent_awake_ns(), 2'000);
  turn.begin(20'000);
  EXPECT_EQ(turn.decided_ns(), 22'000);
}

TEST(Turn, CompletesEachSessionAtItsPrefixSumInOrderOfFirstDirtying) {
  Turn turn{costs, 4};
  turn.begin(0);
  turn.frames(2, 200);  // 2 x 1.5 us + 200 x 1 ns = 3.2 us
  turn.posts(1);        // 0.7 us
  turn.send(3, 100);
  turn.send(1, 50);
  turn.send(3, 100);
  EXPECT_EQ(turn.decided_ns(), 5'900);  // 2 + 3.2 + 0.7 us
  turn.flush();
  ASSERT_EQ(turn.dirty().size(), 2U);
  EXPECT_EQ(turn.dirty()[0].session, 3U);
  EXPECT_EQ(turn.dirty()[0].messages, 2U);
  EXPECT_EQ(turn.dirty()[0].completed_ns, 12'260);  // + 6.3 us + 2 x 20 ns + 200 x 0.1 ns
  EXPECT_EQ(turn.dirty()[1].session, 1U);
  EXPECT_EQ(turn.dirty()[1].completed_ns, 18'585);  // + 6.3 us + 20 ns + 5 ns
  EXPECT_EQ(turn.end_ns(), 18'585);
}

TEST(Turn, StartsEachTurnWithCleanSessions) {
  Turn turn{costs, 2};
  turn.begin(0);
  turn.send(0, 10);
  turn.flush();
  turn.begin(100'000);
  EXPECT_TRUE(turn.dirty().empty());
  turn.send(0, 0);
  turn.flush();
  EXPECT_EQ(turn.dirty()[0].messages, 1U);
  EXPECT_EQ(turn.end_ns(), 108'320);  // 100 + 2 + 6.3 + 0.02 us
}

TEST(Turn, GetsCheaperPerDeliveryAsMoreMessagesShareAFlush) {
  const auto per_delivery = [](std::uint32_t k) {
    Turn turn{costs, 1};
    turn.begin(0);
    for (std::uint32_t i = 0; i < k; ++i) turn.send(0, 0);
    turn.flush();
    return turn.end_ns() / k;
  };
  EXPECT_EQ(per_delivery(1), 8'320);
  EXPECT_EQ(per_delivery(42), 217);  // (2000 + 6300 + 840) / 42
}

TEST(BatchStation, TakesEverythingThatWaitedAsOneBatch) {
  constexpr std::int64_t batch_ps = 9'000'000;
  BatchStation station;
  ASSERT_TRUE(station.add(1, 4'100'000, 0));
  EXPECT_EQ(station.start(0, batch_ps), 13'100);  // 9 + 4.1 us
  EXPECT_FALSE(station.add(2, 8'300'000, 5'000)) << "busy: nothing to start";
  EXPECT_FALSE(station.add(1, 4'000'000, 10'000));
  EXPECT_EQ(station.backlog_records(), 4U);
  ASSERT_TRUE(station.finish(13'100)) << "three records wait";
  EXPECT_EQ(station.start(13'100, batch_ps), 34'400);  // 9 + 8.3 + 4 us
  EXPECT_FALSE(station.finish(34'400));
  EXPECT_EQ(station.busy_ns(), 34'400);
  EXPECT_EQ(station.backlog_records(), 0U);
  // One record from 0 to 13.1 us, two from 5 and one from 10 to 34.4 us.
  EXPECT_EQ(station.backlog_area_ns(), 13'100U + 2 * 29'400U + 24'400U);
}

}  // namespace
}  // namespace clamor::sim
