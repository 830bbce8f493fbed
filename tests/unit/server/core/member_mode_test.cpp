#include "server/core/member_mode.hpp"

#include "server/base/queue_design.hpp"
#include "server/core/limits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <rapidcheck.h>
#include <vector>

namespace clamor::core {
namespace {

constexpr std::uint32_t window = 16;

/// Looks at members who read so often since the last look; who changed.
std::vector<std::uint32_t> look(std::vector<MemberReads>& members,
                                const std::vector<std::uint32_t>& reads) {
  for (std::size_t i = 0; i < reads.size(); ++i) {
    for (std::uint32_t n = 0; n < reads[i]; ++n) note_read(members[i]);
  }
  std::vector<std::uint32_t> changed;
  plan_modes(window, members, changed);
  return changed;
}

TEST(MemberMode, AQueueComesWithAReadForEverySecondRecordAndGoesBelowOneForEveryFourth) {
  for (std::uint32_t reads = 0; reads <= 40; ++reads) {
    EXPECT_EQ(wants_queue(false, reads, window), reads >= 8) << reads;
    EXPECT_EQ(wants_queue(true, reads, window), reads >= 4) << reads;
  }
}

TEST(MemberMode, WhoReadsAsOftenAsBeforeKeepsTheMode) {
  for (std::uint32_t size = window_min; size <= 100; ++size) {
    for (std::uint32_t reads = 0; reads <= size; ++reads) {
      for (const bool queued : {false, true}) {
        const bool once = wants_queue(queued, reads, size);
        EXPECT_EQ(wants_queue(once, reads, size), once) << reads << " reads of " << size;
      }
    }
  }
}

TEST(MemberMode, NobodyFlapsAtEitherBorder) {
  for (const std::uint32_t border : {8U, 4U}) {
    std::vector<MemberReads> member(1);
    std::size_t changes = 0;
    for (std::uint32_t i = 0; i < 100; ++i) changes += look(member, {border - i % 2}).size();
    EXPECT_LE(changes, 1U) << border;
  }
}

TEST(MemberMode, AWindowBeginsWithNoReads) {
  std::vector<MemberReads> members(3);
  EXPECT_EQ(look(members, {8, 7, 0}), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(look(members, {4, 7, 0}), (std::vector<std::uint32_t>{}));
  EXPECT_EQ(look(members, {3, 9, 0}), (std::vector<std::uint32_t>{0, 1}));
  for (int i = 0; i < 8; ++i) note_read(members[2]);
  forget_reads(members);
  EXPECT_EQ(look(members, {0, 4, 0}), (std::vector<std::uint32_t>{})) << "not watched: not judged";
  EXPECT_TRUE(members[1].queued);
}

TEST(MemberMode, AStormOfReadsCountsWithoutEnd) {
  std::vector<MemberReads> members(1);
  EXPECT_EQ(look(members, {70'000}).size(), 1U);
}

TEST(MemberMode, OneRecordNamesABoundedNumberOfMembersAndTheOthersAreNamedLater) {
  std::vector<MemberReads> members(2 * member_modes_max + 1);
  const std::vector<std::uint32_t> all_read(members.size(), window);
  std::vector<std::size_t> named;
  for (int i = 0; i < 4; ++i) named.push_back(look(members, all_read).size());
  EXPECT_EQ(named, (std::vector<std::size_t>{member_modes_max, member_modes_max, 1, 0}));
}

// Method: a member comes back after each record with some probability. Clear of the borders the
// mode must settle at once; between them nearly so.
TEST(MemberMode, SettlesWithWhoeverReadsOftenAndWhoeverDoesNot) {
  EXPECT_TRUE(rc::check([] {
    const auto percent = *rc::gen::element<std::uint32_t>(0, 2, 5, 85, 95, 100);
    std::mt19937 random{*rc::gen::arbitrary<std::uint32_t>()};
    std::vector<MemberReads> member(1);
    std::size_t changes = 0;
    for (std::uint32_t looks = 0; looks < 20; ++looks) {
      std::uint32_t reads = 0;
      for (std::uint32_t i = 0; i < window; ++i) {
        reads += random() % 100 < percent ? 1 : 0;
      }
      changes += look(member, {reads}).size();
    }
    const bool often = percent > 50;
    RC_ASSERT(member[0].queued == often);
    RC_ASSERT(changes == (often ? 1U : 0U));
  }));
  std::mt19937 random{7};
  std::vector<MemberReads> member(1);
  std::size_t changes = 0;
  for (std::uint32_t looks = 0; looks < 1000; ++looks) {
    std::uint32_t reads = 0;
    for (std::uint32_t i = 0; i < window; ++i) reads += random() % 8 < 3 ? 1 : 0;
    changes += look(member, {reads}).size();
  }
  EXPECT_LT(changes, 250U) << "of 1000 looks at the worst place, half way between the borders";
}

}  // namespace
}  // namespace clamor::core
