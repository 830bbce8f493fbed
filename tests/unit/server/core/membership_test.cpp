#include "server/core/membership.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <rapidcheck.h>
#include <vector>

namespace clamor::core {
namespace {

std::vector<Interval> drawn_intervals() {
  std::vector<Interval> intervals;
  std::uint64_t at = 0;
  const auto count = *rc::gen::inRange(0, 5);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t join = at + 1 + *rc::gen::inRange<std::uint64_t>(0, 4);
    at = join + *rc::gen::inRange<std::uint64_t>(0, 6);
    intervals.push_back({MessageId{join}, MessageId{at}});
  }
  if (count > 0 && *rc::gen::arbitrary<bool>()) intervals.back().leave = Interval::open;
  return intervals;
}

// Method: every question is answered a second time by walking all ids up to past the last interval.
TEST(Membership, QuestionsAgreeWithANaiveWalkOverAllIds) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Interval> intervals = drawn_intervals();
    constexpr std::uint64_t end = 70;
    std::vector<bool> received(end + 1);
    for (const Interval& interval : intervals) {
      for (std::uint64_t id = 0; id <= end; ++id) {
        if (interval.contains(MessageId{id})) received[id] = true;
      }
    }
    for (std::uint64_t id = 0; id < end; ++id) {
      RC_ASSERT(contains(intervals, MessageId{id}) == received[id]);
      std::uint64_t next = id + 1;
      while (next <= end && !received[next]) ++next;
      const auto found = next_after(intervals, MessageId{id});
      RC_ASSERT(found.has_value() == (next <= end));
      RC_ASSERT(!found || *found == MessageId{next});
      std::uint64_t last = id;
      while (last > 0 && !received[last]) --last;
      const auto found_last = last_up_to(intervals, MessageId{id});
      RC_ASSERT(found_last.has_value() == (last > 0));
      RC_ASSERT(!found_last || *found_last == MessageId{last});
    }
    const auto after = *rc::gen::inRange<std::uint64_t>(0, end);
    const auto up_to = *rc::gen::inRange<std::uint64_t>(0, end);
    std::uint64_t count = 0;
    for (std::uint64_t id = after + 1; id <= up_to; ++id) count += received[id] ? 1 : 0;
    RC_ASSERT(count_in(intervals, MessageId{after}, MessageId{up_to}) == count);
  }));
}

TEST(Membership, LeaveIsTheLastRecordAMemberReceives) {
  const std::vector<Interval> intervals{{MessageId{3}, MessageId{7}}};
  EXPECT_FALSE(contains(intervals, MessageId{2}));
  EXPECT_TRUE(contains(intervals, MessageId{3}));
  EXPECT_TRUE(contains(intervals, MessageId{7}));
  EXPECT_FALSE(contains(intervals, MessageId{8}));
}

TEST(Membership, NextSkipsTheTimeBetweenLeavingAndRejoining) {
  const std::vector<Interval> intervals{{MessageId{3}, MessageId{7}},
                                        {MessageId{20}, Interval::open}};
  EXPECT_EQ(next_after(intervals, MessageId{0}), MessageId{3});
  EXPECT_EQ(next_after(intervals, MessageId{6}), MessageId{7});
  EXPECT_EQ(next_after(intervals, MessageId{7}), MessageId{20});
  EXPECT_EQ(next_after(intervals, MessageId{15}), MessageId{20});
  EXPECT_EQ(next_after(intervals, MessageId{900}), MessageId{901});
}

TEST(Membership, JoinsAndLeavesAreDecidedByTheOpenInterval) {
  std::vector<Interval> intervals;
  EXPECT_EQ(decide_leave(intervals), LeaveOutcome::not_member);
  EXPECT_EQ(decide_join(intervals), JoinOutcome::joined);
  intervals.push_back({MessageId{1}});
  EXPECT_TRUE(is_member(intervals));
  EXPECT_EQ(decide_join(intervals), JoinOutcome::already_member);
  EXPECT_EQ(decide_leave(intervals), LeaveOutcome::left);
  intervals.back().leave = MessageId{4};
  EXPECT_FALSE(is_member(intervals));
  EXPECT_EQ(decide_leave(intervals), LeaveOutcome::not_member);
  EXPECT_EQ(decide_join(intervals), JoinOutcome::joined);
}

}  // namespace
}  // namespace clamor::core
