#include "server/core/presence.hpp"

#include "server/base/random.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

const PresencePolicy policy{.offline_after = 30s, .offline_delay = 5s, .term_began = Instant{}};
/// Long after the start of the term.
constexpr Instant at{1000s};

TEST(Presence, WhoIsThereIsToldAtOnceAndWhoIsNotAfterASecondLook) {
  EXPECT_EQ(begin_presence(true, at, policy).told, PresenceStatus::online);
  PresenceRow row = begin_presence(false, at, policy);
  EXPECT_EQ(row.told, PresenceStatus::unknown);
  EXPECT_EQ(look(row, false, at + 5s - 1ns).offline, PresenceNews::none);
  EXPECT_EQ(look(row, false, at + 5s).offline, PresenceNews::first);
  EXPECT_EQ(row.heard, never_heard);
  EXPECT_EQ(came(row, at + 6s), PresenceNews::change);
  EXPECT_EQ(came(row, at + 7s), PresenceNews::none) << "another device";
}

TEST(Presence, AnEndIsToldOnceAfterTheDelayWithTheLatestHeartbeat) {
  PresenceRow row = begin_presence(true, at, policy);
  left(row, at + 2s, at + 3s, policy);
  EXPECT_EQ(look(row, false, at + 8s - 1ns).offline, PresenceNews::none);
  EXPECT_EQ(look(row, false, at + 8s).offline, PresenceNews::change);
  EXPECT_EQ(look(row, false, at + 9s).offline, PresenceNews::none);
  EXPECT_EQ(row.heard, at + 2s);
  left(row, at + 1s, at + 9s, policy);
  EXPECT_EQ(row.heard, at + 2s) << "an older heartbeat says nothing";
  EXPECT_EQ(row.offline_at, Instant::max()) << "it is told already";
}

TEST(Presence, NobodyHearsOfWhoIsBackWithinTheDelay) {
  PresenceRow row = begin_presence(true, at, policy);
  left(row, at, at, policy);
  EXPECT_EQ(came(row, at + 4s), PresenceNews::none);
  EXPECT_EQ(look(row, true, at + 5s).offline, PresenceNews::none);
  left(row, at + 6s, at + 6s, policy);
  // The registry has the last word, whatever was announced.
  EXPECT_EQ(look(row, true, at + 11s).offline, PresenceNews::none);
  EXPECT_EQ(row.told, PresenceStatus::online);
}

TEST(Presence, NobodyIsDeclaredOfflineAtTheStartOfATerm) {
  const PresencePolicy young{.offline_after = 30s, .offline_delay = 5s, .term_began = at};
  PresenceRow absent = begin_presence(false, at + 1s, young);
  PresenceRow leaving = begin_presence(true, at + 1s, young);
  left(leaving, at + 2s, at + 2s, young);
  for (PresenceRow* row : {&absent, &leaving}) {
    EXPECT_EQ(look(*row, false, at + 30s - 1ns).offline, PresenceNews::none);
    EXPECT_NE(look(*row, false, at + 30s).offline, PresenceNews::none);
  }
}

TEST(Presence, UsersOfANodeThatIsAwayAreSilentAndNotGone) {
  PresenceRow row = begin_presence(true, at, policy);
  lost(row, at + 1s, policy);
  lost(row, at + 20s, policy);
  EXPECT_EQ(look(row, false, at + 36s - 1ns).offline, PresenceNews::none);
  EXPECT_EQ(look(row, false, at + 36s).offline, PresenceNews::change);
  EXPECT_EQ(row.heard, at + 1s);

  PresenceRow gone = begin_presence(true, at, policy);
  left(gone, at, at, policy);
  lost(gone, at + 1s, policy);
  EXPECT_EQ(look(gone, false, at + 5s).offline, PresenceNews::change) << "it had said goodbye";
}

TEST(Presence, ARowOutlivesItsLastWatcherByTheTimeOfSilence) {
  PresenceRow row = begin_presence(true, at, policy);
  stop_watching(row, at, policy);
  EXPECT_FALSE(look(row, true, at + 29s).drop);
  watch_again(row);
  EXPECT_FALSE(look(row, true, at + 60s).drop);
  stop_watching(row, at + 60s, policy);
  EXPECT_TRUE(look(row, true, at + 90s).drop);
}

/// Any history of sessions, watchers and lost nodes: "offline" is never told of who has a session,
/// nor sooner than the policy says, and what is told agrees with the truth once it has stood for so
/// long; with as few looks as that needs.
TEST(PresenceProperty, WhatIsToldFollowsTheTruthWithinItsBoundsAndNeverRunsAhead) {
  constexpr Duration step = 100ms;
  const PresencePolicy short_policy{.offline_after = 3s, .offline_delay = 1s, .term_began = at};
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::uint32_t draw = 0;
    const auto below = [&](std::uint64_t bound) {
      return below_from_bits(draw_bits(seed, DrawPurpose::test, ++draw), bound);
    };
    DeadlineWheel<int> wheel{step, 16};  // Shorter than the silence.
    Instant now = at + Duration{static_cast<std::int64_t>(below(to_ns(5s)))};
    bool present = below(2) == 0;
    bool watched = true;
    std::optional<PresenceRow> row = begin_presence(present, now, short_policy);
    Instant absent_since = present ? Instant::max() : now;
    Instant lost_since = Instant::max();
    std::uint32_t looks = 0;
    std::uint32_t moves = 1;
    plan_look(*row, 0, wheel, now);
    for (int event = 0; event < 40; ++event) {
      const Instant until =
          now + Duration{static_cast<std::int64_t>(below(to_ns(below(4) == 0 ? 6s : 700ms)))};
      while (const auto next = wheel.next()) {
        if (*next > until) break;
        now = std::max(now, *next);
        wheel.advance(now, [&](int) {
          if (!row || !is_due(*row, now)) return;
          ++looks;
          const PresenceLook found = look(*row, present, now);
          if (found.offline != PresenceNews::none) {
            ASSERT_FALSE(present) << "seed " << seed;
            ASSERT_GE(now, absent_since + short_policy.offline_delay) << "seed " << seed;
            ASSERT_GE(now, at + short_policy.offline_after) << "seed " << seed;
            if (lost_since != Instant::max()) {
              ASSERT_GE(now, lost_since + short_policy.offline_after) << "seed " << seed;
            }
          }
          if (found.drop) {
            ASSERT_FALSE(watched) << "seed " << seed;
            row.reset();
          } else {
            plan_look(*row, 0, wheel, now);
          }
        });
        ASSERT_FALSE(HasFatalFailure());
      }
      now = until;
      if (row && present) {
        ASSERT_EQ(row->told, PresenceStatus::online) << "seed " << seed;
      }
      if (row && !present && absent_since != Instant::max()) {
        const Instant bound = std::max(absent_since, at + short_policy.offline_after) +
                              short_policy.offline_after + short_policy.offline_delay + 2 * step;
        if (now > bound) {
          ASSERT_EQ(row->told, PresenceStatus::offline) << "seed " << seed;
        }
      }
      ++moves;
      switch (below(4)) {
        case 0:
        case 1:
          if (present) {
            present = false;
            absent_since = now;
            lost_since = below(3) == 0 ? now : Instant::max();
            if (!row) break;
            if (lost_since == now) {
              lost(*row, now, short_policy);
            } else {
              left(*row, now, now, short_policy);
            }
          } else {
            present = true;
            absent_since = lost_since = Instant::max();
            if (row) (void)came(*row, now);
          }
          break;
        case 2:
          if (!row) {
            row = begin_presence(present, now, short_policy);
            // What a row that is new knows of an absence begins with it.
            if (!present) absent_since = now;
            lost_since = Instant::max();
          }
          watched = true;
          watch_again(*row);
          break;
        case 3:
          if (row && watched) stop_watching(*row, now, short_policy);
          watched = false;
          break;
      }
      if (row) plan_look(*row, 0, wheel, now);
    }
    // The wheel is short, so that far deadlines are looked at on the way: 1.5 s at a time.
    ASSERT_LE(looks, moves * 4) << "seed " << seed;
  }
}

}  // namespace
}  // namespace clamor::core
