#include "server/core/device_positions.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace clamor::core {
namespace {

constexpr UserId user{1};
constexpr ChannelId channel{10};
constexpr std::int64_t day = 24 * 3600;

DeviceReport report_of(std::uint32_t device, std::int64_t at_s, std::vector<HeldUpTo> holds,
                       bool login = false) {
  return {.user = user, .device = {device}, .login = login, .at_s = at_s, .holds = holds};
}

class Devices : public testing::Test {
 protected:
  [[nodiscard]] std::uint64_t least(ChannelId of) const {
    const auto* const devices = positions_.find(user);
    return devices == nullptr ? 0 : DevicePositions::least(*devices, of).value;
  }
  DevicePositions positions_{day};
};

TEST_F(Devices, TheOneThatIsFurthestBehindCounts) {
  positions_.take(report_of(1, 0, {{channel, {7}}, {{11}, {3}}}, true));
  EXPECT_EQ(least(channel), 7U);
  positions_.take(report_of(2, 0, {{channel, {4}}}, true));
  EXPECT_EQ(least(channel), 4U);
  EXPECT_EQ(least({11}), 0U) << "the second says nothing of it";
  EXPECT_EQ(least({12}), 0U);
  positions_.take(report_of(2, 1, {{channel, {9}}, {{11}, {2}}}));
  EXPECT_EQ(least(channel), 7U);
  EXPECT_EQ(least({11}), 2U);
}

TEST_F(Devices, AcknowledgementsOnlyRiseAndALoginSaysAll) {
  positions_.take(report_of(1, 0, {{channel, {7}}, {{11}, {3}}}, true));
  positions_.take(report_of(1, 1, {{channel, {5}}}));
  EXPECT_EQ(least(channel), 7U) << "an older one that was overtaken";
  positions_.take(report_of(1, 2, {{channel, {6}}}, true));
  EXPECT_EQ(least(channel), 6U) << "it lost some of its memory";
  EXPECT_EQ(least({11}), 0U);
}

TEST_F(Devices, OneThatIsOnlyRememberedHoldsNothingUntilItLogsIn) {
  positions_.remember(user, {2}, 0);
  positions_.take(report_of(1, 0, {{channel, {7}}}, true));
  EXPECT_EQ(least(channel), 0U);
  positions_.take(report_of(2, 0, {{channel, {6}}}, true));
  EXPECT_EQ(least(channel), 6U);
}

TEST_F(Devices, SilenceIsCountedToTheSecond) {
  positions_.take(report_of(1, 100, {{channel, {7}}}, true));
  positions_.take(report_of(2, 105, {{channel, {9}}}, true));
  EXPECT_TRUE(positions_.expire(user, 100 + 30, 30).empty());
  EXPECT_EQ(positions_.expire(user, 100 + 31, 30), (std::vector<DeviceId>{{1}}));
  EXPECT_EQ(least(channel), 9U);
  positions_.take(report_of(2, 130, {}));
  EXPECT_TRUE(positions_.expire(user, 160, 30).empty()) << "any report is a sign of life";
  EXPECT_EQ(positions_.expire(user, 161, 30), (std::vector<DeviceId>{{2}}));
  EXPECT_EQ(positions_.find(user), nullptr);
}

TEST_F(Devices, AreNotedAtFirstAndWheneverTheNoteIsOld) {
  const auto noted = [&] {
    std::vector<std::int64_t> at;
    for (const auto& note : positions_.take_due_notes()) at.push_back(note.seen_s);
    return at;
  };
  positions_.take(report_of(1, 5, {}, true));
  EXPECT_EQ(noted(), (std::vector<std::int64_t>{5}));
  positions_.take(report_of(1, 5 + day - 1, {}));
  EXPECT_TRUE(noted().empty());
  positions_.take(report_of(1, 5 + day, {}));
  EXPECT_EQ(noted(), (std::vector<std::int64_t>{5 + day}));
  positions_.forget_notes();
  EXPECT_EQ(noted(), (std::vector<std::int64_t>{5 + day})) << "what was taken was lost";
  positions_.take(report_of(2, 5, {}, true));
  (void)positions_.expire(user, 5 + 2 * day, 1);
  EXPECT_TRUE(noted().empty()) << "it would come back to life";
}

}  // namespace
}  // namespace clamor::core
