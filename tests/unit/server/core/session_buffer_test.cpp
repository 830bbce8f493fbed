#include "server/core/session_buffer.hpp"

#include <gtest/gtest.h>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

constexpr SessionLimits limits{.buffer_bytes = 1000, .buffer_age = 10s};
constexpr Instant at(Duration since_start) { return Instant{since_start}; }

TEST(SessionBuffer, ClosesOnceTheBoundWaitsAlready) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 999, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 400, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(buffer.queued_bytes, 1399U);
  EXPECT_EQ(offer(buffer, 1, at(1s), limits), SendDecision::close);
  EXPECT_EQ(buffer.queued_bytes, 1399U) << "a refused frame is not counted";
}

TEST(SessionBuffer, ExactlyTheBoundIsFull) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 1000, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 1, at(1s), limits), SendDecision::close);
}

TEST(SessionBuffer, FrameLargerThanTheBoundFitsBehindLessThanTheBound) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 30, at(1s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 5000, at(1s), limits), SendDecision::queue);
}

TEST(SessionBuffer, ClosesWhenNothingWasTakenForTheBoundOfAge) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 10, at(5s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 10, at(14'999ms), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 10, at(15s), limits), SendDecision::close);
}

TEST(SessionBuffer, ProgressRestartsTheWaitAndNoProgressDoesNot) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 100, at(5s), limits), SendDecision::queue);
  flushed(buffer, 0, at(10s));
  EXPECT_EQ(buffer.waiting_since, at(5s));
  flushed(buffer, 40, at(12s));
  EXPECT_EQ(buffer.queued_bytes, 60U);
  EXPECT_EQ(offer(buffer, 1, at(21s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 1, at(22s), limits), SendDecision::close);
}

TEST(SessionBuffer, AgeCountsFromTheFirstByteAfterBeingEmpty) {
  SessionBuffer buffer;
  EXPECT_EQ(offer(buffer, 100, at(5s), limits), SendDecision::queue);
  flushed(buffer, 100, at(6s));
  EXPECT_EQ(offer(buffer, 100, at(60s), limits), SendDecision::queue);
  EXPECT_EQ(offer(buffer, 100, at(69s), limits), SendDecision::queue);
}

}  // namespace
}  // namespace clamor::core
