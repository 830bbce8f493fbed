#include "server/core/presence_outbox.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace clamor::core {
namespace {

using Told = std::vector<std::pair<std::uint32_t, std::vector<std::uint32_t>>>;

Told told_by(PresenceOutbox& outbox, std::size_t sessions_max, bool taken = true) {
  Told told;
  outbox.flush(sessions_max, [&](std::uint32_t session, std::span<const std::uint32_t> users) {
    told.emplace_back(session, std::vector<std::uint32_t>{users.begin(), users.end()});
    return taken;
  });
  return told;
}

TEST(PresenceOutbox, ASessionIsToldOfEachUserOnceHoweverOftenItChanged) {
  PresenceOutbox outbox;
  outbox.add(1, 10);
  outbox.add(2, 10);
  outbox.add(1, 11);
  outbox.add(1, 10);
  EXPECT_EQ(told_by(outbox, 9), (Told{{1, {10, 11}}, {2, {10}}}));
  EXPECT_FALSE(outbox.is_due());
  EXPECT_EQ(told_by(outbox, 9), Told{});
}

TEST(PresenceOutbox, TellsSoManySessionsInTheOrderInWhichTheyGotNews) {
  PresenceOutbox outbox;
  for (const std::uint32_t session : {7U, 3U, 5U}) outbox.add(session, 1);
  EXPECT_EQ(told_by(outbox, 2), (Told{{7, {1}}, {3, {1}}}));
  EXPECT_EQ(outbox.due(), 1U);
  outbox.add(7, 2);
  EXPECT_EQ(told_by(outbox, 9), (Told{{5, {1}}, {7, {2}}}));
}

TEST(PresenceOutbox, WhoCannotTakeNewsIsPassedOverUntilItCanAndGetsAllOfItThen) {
  PresenceOutbox outbox;
  outbox.add(1, 10);
  EXPECT_EQ(told_by(outbox, 9, false), (Told{{1, {10}}}));
  EXPECT_FALSE(outbox.is_due());
  outbox.add(1, 11);
  EXPECT_FALSE(outbox.is_due()) << "it is still held up";
  outbox.resume(1);
  outbox.resume(1);
  outbox.resume(2);
  EXPECT_EQ(outbox.due(), 1U);
  EXPECT_EQ(told_by(outbox, 9), (Told{{1, {10, 11}}}));
}

TEST(PresenceOutbox, SaysNothingOfWhoIsRemovedAndNothingToASessionThatIs) {
  PresenceOutbox outbox;
  outbox.add(1, 10);
  outbox.add(1, 11);
  outbox.add(2, 10);
  outbox.add(3, 10);
  outbox.remove(1, 10);
  outbox.remove(2, 10);
  outbox.remove(3);
  outbox.remove(3, 10);
  EXPECT_EQ(told_by(outbox, 9), (Told{{1, {11}}}));
  // A session number that is used again gets what is new, once.
  outbox.add(3, 12);
  outbox.remove(3);
  outbox.add(3, 13);
  EXPECT_EQ(told_by(outbox, 9), (Told{{3, {13}}}));
}

}  // namespace
}  // namespace clamor::core
