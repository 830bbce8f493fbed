#include "server/core/fan_out.hpp"

#include "server/core/member_mode.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <rapidcheck.h>
#include <set>
#include <vector>

namespace clamor::core {
namespace {

constexpr DesignSpec hybrid{.design = QueueDesign::hybrid, .threshold = 20};

TEST(EffectiveDesign, FixedDesignsHoldForEverySize) {
  for (const std::uint64_t members : {0U, 2U, 500U, 100'000U}) {
    EXPECT_EQ(effective_design({QueueDesign::per_user}, ChannelDesign::per_group, members),
              ChannelDesign::per_user);
    EXPECT_EQ(effective_design({QueueDesign::per_member}, ChannelDesign::per_user, members),
              ChannelDesign::per_member);
    EXPECT_EQ(effective_design({QueueDesign::per_group}, ChannelDesign::per_user, members),
              ChannelDesign::per_group);
    EXPECT_EQ(effective_design({QueueDesign::adaptive}, ChannelDesign::per_user, members),
              ChannelDesign::adaptive);
  }
}

TEST(EffectiveDesign, HybridGoesUpAboveItsThresholdAndDownAtFourFifthsOfIt) {
  ChannelDesign design = ChannelDesign::per_user;
  for (std::uint64_t members = 2; members <= 20; ++members) {
    design = effective_design(hybrid, design, members);
    EXPECT_EQ(design, ChannelDesign::per_user) << members;
  }
  design = effective_design(hybrid, design, 21);
  EXPECT_EQ(design, ChannelDesign::per_group);
  for (std::uint64_t members = 21; members > 16; --members) {
    design = effective_design(hybrid, design, members);
    EXPECT_EQ(design, ChannelDesign::per_group) << members;
  }
  EXPECT_EQ(effective_design(hybrid, design, 16), ChannelDesign::per_user);
}

TEST(EffectiveDesign, HybridDoesNotFlapAtItsBorder) {
  ChannelDesign design = ChannelDesign::per_user;
  int changes = 0;
  for (int i = 0; i < 100; ++i) {
    const ChannelDesign next = effective_design(hybrid, design, i % 2 == 0 ? 21 : 20);
    changes += next != design ? 1 : 0;
    design = next;
  }
  EXPECT_EQ(changes, 1);
}

TEST(EffectiveDesign, HybridDecidesOnceForAnUnchangedSize) {
  for (const ChannelDesign current : {ChannelDesign::per_user, ChannelDesign::per_group}) {
    for (std::uint64_t members = 0; members < 60; ++members) {
      const ChannelDesign once = effective_design(hybrid, current, members);
      EXPECT_EQ(effective_design(hybrid, once, members), once) << members;
    }
  }
}

std::vector<MemberRow> drawn_rows(const RecordRun& run) {
  std::vector<MemberRow> rows;
  const auto members = *rc::gen::inRange<std::uint64_t>(0, 12);
  for (std::uint64_t user = 1; user <= members; ++user) {
    const PartitionId partition{*rc::gen::inRange<std::uint32_t>(0, 4)};
    MessageId at{run.first.value - 1};
    const int intervals = *rc::gen::inRange(1, 3);
    for (int i = 0; i < intervals && at != Interval::open; ++i) {
      Interval interval{at + *rc::gen::inRange<std::uint64_t>(i == 0 ? 0 : 1, 6)};
      interval.leave = *rc::gen::inRange(0, 3) == 0
                           ? Interval::open
                           : interval.join + *rc::gen::inRange<std::uint64_t>(0, 6);
      rows.push_back({UserId{user}, partition, interval});
      at = interval.leave;
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const MemberRow& a, const MemberRow& b) {
    return a.partition < b.partition;
  });
  return rows;
}

// Method: the naive plan asks of every record and every row whether the interval holds it.
TEST(PlanDurable, EqualsANaiveCountPerRecordAndMember) {
  EXPECT_TRUE(rc::check([] {
    const RecordRun run{ChannelId{1}, MessageId{*rc::gen::inRange<std::uint64_t>(2, 9)},
                        *rc::gen::inRange<std::uint32_t>(0, 9)};
    const std::vector<MemberRow> rows = drawn_rows(run);
    const bool adaptive = *rc::gen::arbitrary<bool>();
    std::vector<MessageId> queue_from;
    for (std::size_t i = 0; adaptive && i < rows.size(); ++i) {
      queue_from.push_back(*rc::gen::element(0, 2) == 0
                               ? no_queue
                               : MessageId{*rc::gen::inRange<std::uint64_t>(1, 18)});
    }
    DurablePlan plan;
    plan_durable(adaptive ? ChannelDesign::adaptive : ChannelDesign::per_user, run, rows,
                 queue_from, plan);

    std::multiset<std::pair<std::uint64_t, std::uint64_t>> expected, actual;
    std::set<std::pair<std::uint64_t, std::uint32_t>> pairs;
    for (std::uint64_t id = run.first.value; id < run.first.value + run.count; ++id) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const MemberRow& row = rows[i];
        if (!row.interval.contains(MessageId{id})) continue;
        if (adaptive && MessageId{id} < queue_from[i]) continue;
        expected.emplace(row.user.value, id);
        pairs.emplace(id, row.partition.value);
      }
    }
    std::uint32_t partition = 0;
    for (const DurableEntry& entry : plan.entries) {
      RC_ASSERT(entry.partition.value >= partition);
      partition = entry.partition.value;
      for (std::uint64_t i = 0; i < entry.count; ++i) {
        actual.emplace(entry.user.value, entry.first.value + i);
      }
    }
    RC_ASSERT(actual == expected);
    RC_ASSERT(plan.entry_count == expected.size());
    RC_ASSERT(plan.user_partition_pairs == pairs.size());
  }));
}

TEST(PlanDurable, PacksARunIntoOneEntryAMember) {
  const std::vector<MemberRow> rows{{UserId{1}, PartitionId{0}, {MessageId{1}}},
                                    {UserId{2}, PartitionId{0}, {MessageId{12}}},
                                    {UserId{3}, PartitionId{1}, {MessageId{1}, MessageId{10}}},
                                    {UserId{4}, PartitionId{2}, {MessageId{1}, MessageId{9}}}};
  DurablePlan plan;
  plan_durable(ChannelDesign::per_member, {ChannelId{5}, MessageId{10}, 3}, rows, plan);
  EXPECT_EQ(plan.entries,
            (std::vector<DurableEntry>{{UserId{1}, PartitionId{0}, MessageId{10}, 3},
                                       {UserId{2}, PartitionId{0}, MessageId{12}, 1},
                                       {UserId{3}, PartitionId{1}, MessageId{10}, 1}}));
  EXPECT_EQ(plan.entry_count, 5U);
  EXPECT_EQ(plan.user_partition_pairs, 4U) << "three records to partition 0, one to 1, none to 2";
}

TEST(PlanDurable, PerGroupWritesNothing) {
  const std::vector<MemberRow> rows{{UserId{1}, PartitionId{0}, {MessageId{1}}}};
  DurablePlan plan;
  plan_durable(ChannelDesign::per_group, {ChannelId{5}, MessageId{10}, 3}, rows, plan);
  EXPECT_TRUE(plan.entries.empty());
  EXPECT_EQ(plan.entry_count, 0U);
  EXPECT_EQ(plan.user_partition_pairs, 0U);
}

TEST(PlanDurable, AppendsToWhatThePlanHolds) {
  const std::vector<MemberRow> rows{{UserId{1}, PartitionId{0}, {MessageId{1}}},
                                    {UserId{2}, PartitionId{3}, {MessageId{1}}}};
  DurablePlan plan;
  plan_durable(ChannelDesign::per_user, {ChannelId{5}, MessageId{1}, 2}, rows, plan);
  plan_durable(ChannelDesign::per_user, {ChannelId{6}, MessageId{7}, 1}, rows, plan);
  EXPECT_EQ(plan.entries.size(), 4U);
  EXPECT_EQ(plan.entry_count, 6U);
  EXPECT_EQ(plan.user_partition_pairs, 6U);
  EXPECT_EQ(plan.entry_count, durable_entries(ChannelDesign::per_user, 3, 2));
  plan.clear();
  EXPECT_TRUE(plan.entries.empty());
}

TEST(PlanLive, SendsOneBatchToEachInterestedNode) {
  const std::vector<NodeRun> runs{
      {NodeId{1}, 0, 5, true}, {NodeId{2}, 5, 9, false}, {NodeId{3}, 9, 10, true}};
  LivePlan plan;
  plan_live(runs, plan);
  EXPECT_EQ(plan.runs, (std::vector<std::uint32_t>{0, 2}));
}

TEST(Relay, DeliversTheNextDropsTheOldAndFetchesAcrossAGap) {
  EXPECT_EQ(relay(MessageId{7}, MessageId{8}), RelayDecision::deliver);
  EXPECT_EQ(relay(MessageId{7}, MessageId{7}), RelayDecision::drop);
  EXPECT_EQ(relay(MessageId{7}, MessageId{1}), RelayDecision::drop);
  EXPECT_EQ(relay(MessageId{7}, MessageId{9}), RelayDecision::fetch);
}

}  // namespace
}  // namespace clamor::core
