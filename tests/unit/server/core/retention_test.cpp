#include "server/core/retention.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

constexpr Instant at(Duration since_start) { return Instant{since_start}; }

TEST(Retention, KeepsTheLatestRecordsOfAChannel) {
  EXPECT_EQ(kept_from({.records = 10}, MessageId{0}), MessageId{1});
  EXPECT_EQ(kept_from({.records = 10}, MessageId{10}), MessageId{1});
  EXPECT_EQ(kept_from({.records = 10}, MessageId{11}), MessageId{2});
  EXPECT_EQ(kept_from({.records = 1}, MessageId{11}), MessageId{11});
  EXPECT_EQ(kept_from({.age = 1h}, MessageId{11}), MessageId{1}) << "age is for the trims to see";
  EXPECT_TRUE(Retention{}.keeps_all());
}

TEST(Retention, ATrimByNumberWaitsUntilItPays) {
  const Retention retention{.records = 80};
  const auto due = [&](std::uint64_t head, std::uint64_t trimmed) {
    return due_trim(retention, MessageId{head}, MessageId{trimmed}, at(0s), at(100h)).by_number;
  };
  EXPECT_EQ(due(80, 0), MessageId{});
  EXPECT_EQ(due(89, 0), MessageId{}) << "9 records too many: not an eighth of what is kept";
  EXPECT_EQ(due(90, 0), MessageId{10});
  EXPECT_EQ(due(99, 10), MessageId{});
  EXPECT_EQ(due(300, 10), MessageId{220});
}

TEST(Retention, ATrimByAgeIsDueOnceTheOldestRecordIsTooOld) {
  const Retention retention{.age = 1h};
  const auto due = [&](Instant oldest, std::uint64_t trimmed) {
    return due_trim(retention, MessageId{50}, MessageId{trimmed}, oldest, at(3h));
  };
  const Instant late = at(2h - Duration{1h} / 8);
  EXPECT_FALSE(due(late, 0).any()) << "an eighth of the age later at most: then it pays";
  EXPECT_EQ(due(late - 1ns, 0).by_age, MessageId{50});
  EXPECT_EQ(due(late - 1ns, 0).before, at(2h)) << "and then all that are too old";
  EXPECT_FALSE(due(at(0s), 50).any()) << "nothing is left to go";
}

TEST(Retention, ADeviceBeginsWhereTheLogDoes) {
  EXPECT_EQ(held_or_gone(MessageId{4}, MessageId{1}), MessageId{4});
  EXPECT_EQ(held_or_gone(MessageId{4}, MessageId{5}), MessageId{4});
  EXPECT_EQ(held_or_gone(MessageId{4}, MessageId{9}), MessageId{8});
}

TEST(Retention, ARunOfIdsEndsWithItsIntervalOrTheBound) {
  const std::vector<Interval> intervals{
      {MessageId{3}, MessageId{7}}, {MessageId{8}, MessageId{8}}, {MessageId{20}, Interval::open}};
  EXPECT_EQ(run_end(intervals, MessageId{3}, MessageId{100}), MessageId{7});
  EXPECT_EQ(run_end(intervals, MessageId{5}, MessageId{6}), MessageId{6});
  EXPECT_EQ(run_end(intervals, MessageId{8}, MessageId{100}), MessageId{8});
  EXPECT_EQ(run_end(intervals, MessageId{30}, MessageId{100}), MessageId{100});
}

}  // namespace
}  // namespace clamor::core
