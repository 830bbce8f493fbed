#include "server/core/sync.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <rapidcheck.h>
#include <vector>

namespace clamor::core {
namespace {

const std::vector<Interval> always{{MessageId{1}}};

ChannelSync channel(std::uint64_t id, std::uint64_t held, std::uint64_t head, std::uint64_t covered,
                    ChannelDesign design) {
  return {.channel = ChannelId{id},
          .held = MessageId{held},
          .durable_head = MessageId{head},
          .covered = MessageId{covered},
          .design = design,
          .intervals = always};
}

Scan log_scan(std::uint64_t id, std::uint64_t after, std::uint64_t up_to) {
  return {ScanKind::log, ChannelId{id}, MessageId{after}, MessageId{up_to}};
}

SyncPlan plan_of(std::vector<ChannelSync> channels) {
  SyncPlan plan;
  plan_sync(channels, plan);
  return plan;
}

const Scan user_queue{.kind = ScanKind::user_queue};

TEST(PlanSync, ChannelWithoutNewsCostsAComparisonAndNoRead) {
  for (const ChannelDesign design :
       {ChannelDesign::per_user, ChannelDesign::per_member, ChannelDesign::per_group}) {
    const SyncPlan plan = plan_of({channel(1, 9, 9, 9, design), channel(2, 4, 4, 0, design)});
    EXPECT_TRUE(plan.scans.empty());
    EXPECT_EQ(plan.head_comparisons, 2U);
    EXPECT_EQ(plan.records, 0U);
  }
}

TEST(PlanSync, PerUserReadsOneQueueForAllChannels) {
  const auto design = ChannelDesign::per_user;
  const SyncPlan plan = plan_of(
      {channel(1, 2, 9, 9, design), channel(2, 3, 4, 4, design), channel(3, 5, 5, 5, design)});
  EXPECT_EQ(plan.scans, (std::vector<Scan>{user_queue}));
  EXPECT_EQ(plan.records, 8U);
}

TEST(PlanSync, PerMemberReadsOneQueueForEachChannelWithNews) {
  const auto design = ChannelDesign::per_member;
  const SyncPlan plan = plan_of({channel(1, 2, 9, 9, design), channel(2, 4, 4, 4, design)});
  EXPECT_EQ(
      plan.scans,
      (std::vector<Scan>{{ScanKind::member_queue, ChannelId{1}, MessageId{2}, MessageId{9}}}));
}

TEST(PlanSync, PerGroupReadsTheLogOfEachChannelWithNews) {
  const auto design = ChannelDesign::per_group;
  const SyncPlan plan = plan_of(
      {channel(1, 2, 9, 0, design), channel(2, 4, 4, 0, design), channel(3, 0, 1, 0, design)});
  EXPECT_EQ(plan.scans, (std::vector<Scan>{log_scan(1, 2, 9), log_scan(3, 0, 1)}));
  EXPECT_EQ(plan.head_comparisons, 3U);
}

TEST(PlanSync, WhatTheQueueDoesNotCoverYetIsReadFromTheLog) {
  const SyncPlan plan = plan_of({channel(1, 2, 9, 6, ChannelDesign::per_user),
                                 channel(2, 6, 9, 6, ChannelDesign::per_user),
                                 channel(3, 2, 9, 6, ChannelDesign::per_member)});
  EXPECT_EQ(plan.scans,
            (std::vector<Scan>{user_queue,
                               log_scan(1, 6, 9),
                               log_scan(2, 6, 9),
                               {ScanKind::member_queue, ChannelId{3}, MessageId{2}, MessageId{6}},
                               log_scan(3, 6, 9)}));
  EXPECT_EQ(plan.records, 7U + 3U + 7U);
}

TEST(PlanSync, DeviceBehindADesignChangeReadsTheLogAndOneBeyondItTheQueue) {
  ChannelSync behind = channel(1, 3, 9, 9, ChannelDesign::per_user);
  behind.queue_from = MessageId{5};
  EXPECT_EQ(plan_of({behind}).scans, (std::vector<Scan>{log_scan(1, 3, 9)}));
  ChannelSync beyond = behind;
  beyond.held = MessageId{4};
  EXPECT_EQ(plan_of({beyond}).scans, (std::vector<Scan>{user_queue}));
}

TEST(PlanSync, ScansAreCutToTheMembersIntervals) {
  const std::vector<Interval> twice{{MessageId{10}, MessageId{20}}, {MessageId{40}, MessageId{50}}};
  ChannelSync late = channel(1, 0, 90, 0, ChannelDesign::per_group);
  late.intervals = twice;
  const SyncPlan plan = plan_of({late});
  EXPECT_EQ(plan.scans, (std::vector<Scan>{log_scan(1, 9, 50)}));
  EXPECT_EQ(plan.records, 22U);
  late.held = MessageId{50};
  EXPECT_TRUE(plan_of({late}).scans.empty()) << "nothing is owed after the leave";
  late.held = MessageId{20};
  late.durable_head = MessageId{39};
  EXPECT_TRUE(plan_of({late}).scans.empty()) << "the rejoin is not durable yet";
}

TEST(PlanSync, NothingAboveTheDurableHeadIsPlanned) {
  const SyncPlan plan = plan_of({channel(1, 2, 6, 9, ChannelDesign::per_member)});
  EXPECT_EQ(
      plan.scans,
      (std::vector<Scan>{{ScanKind::member_queue, ChannelId{1}, MessageId{2}, MessageId{6}}}));
}

TEST(PlanSync, AppendsItsQueueScanBehindAnEarlierPlan) {
  SyncPlan plan = plan_of({channel(1, 0, 3, 0, ChannelDesign::per_group)});
  plan_sync(std::vector{channel(2, 0, 3, 2, ChannelDesign::per_user)}, plan);
  EXPECT_EQ(plan.scans, (std::vector<Scan>{log_scan(1, 0, 3), user_queue, log_scan(2, 2, 3)}));
}

// Method: perform the scans as sync.hpp says on a queue that holds exactly (queue_from.., covered]
// and a full log; the ids taken must be those of the intervals above `held`, and planned records
// must be their count.
TEST(PlanSync, RunningTheScansYieldsEveryOwedRecordOnceAndInOrder) {
  EXPECT_TRUE(rc::check([] {
    std::vector<Interval> intervals;
    std::uint64_t at = 0;
    for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
      const std::uint64_t join = at + *rc::gen::inRange<std::uint64_t>(1, 6);
      at = join + *rc::gen::inRange<std::uint64_t>(0, 8);
      intervals.push_back({MessageId{join}, MessageId{at}});
    }
    if (*rc::gen::arbitrary<bool>()) intervals.back().leave = Interval::open;
    const auto id = [](std::uint64_t max) {
      return MessageId{*rc::gen::inRange<std::uint64_t>(0, max + 1)};
    };
    ChannelSync sync{.channel = ChannelId{1}, .durable_head = id(40), .intervals = intervals};
    sync.held = id(sync.durable_head.value);
    sync.covered = id(45);
    sync.queue_from = id(20);
    sync.design = *rc::gen::element(ChannelDesign::per_user, ChannelDesign::per_member,
                                    ChannelDesign::per_group);
    const SyncPlan plan = plan_of({sync});

    MessageId position = sync.held;
    std::vector<std::uint64_t> taken;
    for (const Scan& scan : plan.scans) {
      const bool log = scan.kind == ScanKind::log;
      const bool whole = scan.kind == ScanKind::user_queue;
      const MessageId first = whole ? sync.queue_from : scan.after + 1;
      const MessageId last = std::min(whole ? sync.covered : scan.up_to, sync.durable_head);
      for (MessageId i = std::max(first, MessageId{1}); i <= last; ++i) {
        if (!contains(intervals, i)) continue;
        RC_ASSERT(log || (i >= sync.queue_from && i <= sync.covered));
        if (next_after(intervals, position) != i) continue;
        position = i;
        taken.push_back(i.value);
      }
    }
    std::vector<std::uint64_t> owed;
    for (MessageId i = sync.held + 1; i <= sync.durable_head; ++i) {
      if (contains(intervals, i)) owed.push_back(i.value);
    }
    RC_ASSERT(taken == owed);
    RC_ASSERT(plan.records == owed.size());
  }));
}

TEST(Page, TakesAtLeastOneRecordAndEndsAtEitherBound) {
  constexpr PageLimits limits{.records = 3, .bytes = 100};
  EXPECT_TRUE(page_takes(limits, 0, 0, 5000));
  EXPECT_TRUE(page_takes(limits, 2, 50, 50));
  EXPECT_FALSE(page_takes(limits, 2, 50, 51));
  EXPECT_FALSE(page_takes(limits, 3, 10, 1));
}

}  // namespace
}  // namespace clamor::core
