#include "server/core/session_buffer.hpp"

#include <gtest/gtest.h>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

constexpr SessionLimits limits{.buffer_bytes = 1000, .buffer_age = 10s};
constexpr Instant at(Duration since_start) { return Instant{since_start}; }

TEST(SessionBuffer, FallsBackOnceTheBoundWaitsAlready) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 999, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 400, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(buffer.queued_bytes, 1399U);
  EXPECT_EQ(offer(buffer, 1, at(1s), limits), SendDecision::fall_back);
  EXPECT_EQ(buffer.queued_bytes, 1399U) << "a refused frame is not counted";
}

TEST(SessionBuffer, ExactlyTheBoundIsFull) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 1000, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 1, at(1s), limits), SendDecision::fall_back);
}

TEST(SessionBuffer, FrameLargerThanTheBoundFitsBehindLessThanTheBound) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 30, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 5000, at(1s), limits), SendDecision::queue);
}

TEST(SessionBuffer, FallsBackWhenNothingWasTakenForTheBoundOfAge) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 10, at(5s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 10, at(14'999ms), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 10, at(15s), limits), SendDecision::fall_back);
}

TEST(SessionBuffer, ProgressRestartsTheWaitAndNoProgressDoesNot) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 100, at(5s), limits), SendDecision::queue);
  flushed(buffer, 0, at(10s));
  EXPECT_EQ(buffer.waiting_since, at(5s));
  flushed(buffer, 40, at(12s));
  EXPECT_EQ(buffer.queued_bytes, 60U);
  EXPECT_EQ(offer(buffer, 1, at(21s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 1, at(22s), limits), SendDecision::fall_back);
}

TEST(SessionBuffer, AgeCountsFromTheFirstByteAfterBeingEmpty) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 100, at(5s), limits), SendDecision::queue);
  EXPECT_FALSE(flushed(buffer, 100, at(6s)));
  EXPECT_EQ(offer(buffer, 100, at(60s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 100, at(69s), limits), SendDecision::queue);
}

TEST(SessionBuffer, WhoeverIsBehindIsOfferedNothingUntilItIsEmpty) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 1000, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 1, at(1s), limits), SendDecision::fall_back);
  EXPECT_FALSE(flushed(buffer, 999, at(2s)));
  EXPECT_EQ(offer(buffer, 1, at(2s), limits), SendDecision::fall_back);
  EXPECT_TRUE(flushed(buffer, 1, at(3s))) << "told once, when it has emptied";
  EXPECT_EQ(offer(buffer, 1, at(3s), limits), SendDecision::queue);
  EXPECT_FALSE(flushed(buffer, 1, at(4s))) << "it was not behind any more";
}

TEST(SessionBuffer, IsOverdueWhenBehindAndWithoutProgressForTheBoundOfAge) {
  SessionBuffer buffer;
  EXPECT_FALSE(overdue(buffer, at(100s), limits)) << "an empty one waits for nothing";
  EXPECT_EQ(offer(buffer, 1000, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 1, at(8s), limits), SendDecision::fall_back);
  EXPECT_FALSE(overdue(buffer, at(17'999ms), limits)) << "the age counts from when it fell behind";
  EXPECT_FALSE(flushed(buffer, 10, at(17'999ms)));
  EXPECT_FALSE(overdue(buffer, at(27s), limits)) << "progress restarts it";
  EXPECT_TRUE(overdue(buffer, at(27'999ms), limits));
}

TEST(SessionBuffer, FallsBehindBeforeItIsOverdueAlsoWhereNothingIsOffered) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 10, at(1s), limits), SendDecision::queue);
  EXPECT_FALSE(overdue(buffer, at(11s), limits));
  EXPECT_EQ(offer(buffer, 10, at(11s), limits), SendDecision::fall_back);
  EXPECT_FALSE(overdue(buffer, at(20'999ms), limits));
  EXPECT_TRUE(overdue(buffer, at(21s), limits));
}

}  // namespace
}  // namespace clamor::core
