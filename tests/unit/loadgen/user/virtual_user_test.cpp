#include "loadgen/user/virtual_user.hpp"

#include "loadgen/user/stamp.hpp"
#include "server/base/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

Instant at(Duration d) { return Instant{d}; }

/// Drives one client and keeps what it did.
class OneUser : public testing::Test {
 protected:
  void give(const Input& input, Instant now) { step(user, input, now, settings, pool, actions); }

  void go_online(Instant now) {
    give(Start{}, now);
    give(Connected{}, now);
    give(LoggedIn{}, now);
    give(CaughtUp{}, now);
    ASSERT_EQ(user.phase, Phase::online);
    actions.clear();
  }

  void come_back_online(Instant now) {
    give(Connected{}, now);
    give(LoggedIn{}, now);
    give(CaughtUp{}, now);
    ASSERT_EQ(user.phase, Phase::online);
  }

  template <class Kind>
  std::vector<Kind> all() {
    std::vector<Kind> found;
    for (const Action& action : actions) {
      if (const auto* kind = std::get_if<Kind>(&action)) found.push_back(*kind);
    }
    actions.clear();
    return found;
  }

  UserSettings settings{.seed = 7};
  OutboxPool pool;
  VirtualUser user{.client = 3};
  std::vector<Action> actions;
};

TEST_F(OneUser, LogsInCatchesUpAndOnlyThenSends) {
  give(Start{}, at(0s));
  give(SendDue{5, 0, at(1ms), 80}, at(1ms));
  give(Connected{}, at(2ms));
  give(LoggedIn{}, at(3ms));
  EXPECT_TRUE(all<SendMessage>().empty()) << "an ack must not overtake catch-up pages";
  give(CaughtUp{}, at(4ms));
  const auto synced = std::get<Synced>(actions.at(0));
  EXPECT_TRUE(synced.first);
  EXPECT_EQ(synced.connect_began, at(0s));
  const auto sends = all<SendMessage>();
  ASSERT_EQ(sends.size(), 1U);
  EXPECT_EQ(sends[0].due, at(1ms)) << "a send that waited keeps its due time";
  EXPECT_TRUE(sends[0].waited);
}

TEST_F(OneUser, AsksWhoIsThereAfterEachLoginAndNoMoreInTheRollCall) {
  go_online(at(0s));
  give(Disconnected{}, at(1s));
  give(TimerDue{}, at(2s));
  come_back_online(at(2s));
  EXPECT_TRUE(all<SubscribePresence>().empty()) << "the scenario does not ask for it";
  settings.presence_partners = 12;
  give(Disconnected{}, at(3s));
  give(TimerDue{}, at(4s));
  come_back_online(at(4s));
  const auto asked = all<SubscribePresence>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].partners, 12U);
  EXPECT_EQ(heartbeat_due_at(user, settings), at(9s)) << "it counts as a heartbeat";
  give(FlushOutbox{}, at(5s));
  EXPECT_EQ(all<UnsubscribePresence>().size(), 1U);

  // Who comes for the roll call only does not ask.
  give(Leave{}, at(6s));
  give(SendDue{5, 0, at(6s), 80}, at(6s));
  give(FlushOutbox{}, at(7s));
  come_back_online(at(7s));
  give(AckCame{5, {1}, {1}}, at(8s));
  ASSERT_EQ(user.phase, Phase::idle);
  give(SyncAndLeave{}, at(9s));
  give(Connected{}, at(9s));
  give(LoggedIn{}, at(9s));
  give(CaughtUp{}, at(9s));
  EXPECT_TRUE(all<SubscribePresence>().empty());
}

TEST_F(OneUser, NumbersSendsDenselyPerChannel) {
  go_online(at(0s));
  for (const std::uint32_t channel : {4U, 9U, 4U, 4U}) {
    give(SendDue{channel, 0, at(1s), 20}, at(1s));
  }
  const auto sends = all<SendMessage>();
  ASSERT_EQ(sends.size(), 4U);
  EXPECT_EQ(sends[0].client_message_id.value, 1U);
  EXPECT_EQ(sends[1].client_message_id.value, 1U);
  EXPECT_EQ(sends[2].client_message_id.value, 2U);
  EXPECT_EQ(sends[3].client_message_id.value, 3U);
}

TEST_F(OneUser, ResendsUnsettledSendsInOrderUnderTheSameNumbersAfterAReset) {
  go_online(at(0s));
  for (std::uint64_t n = 0; n < 3; ++n) give(SendDue{4, n, at(1s), 20}, at(1s));
  give(AckCame{4, {1}, {10}}, at(1s));
  give(Disconnected{}, at(1s));
  ASSERT_EQ(user.phase, Phase::backing_off);
  actions.clear();
  give(TimerDue{}, user.timer_at);
  come_back_online(at(2s));
  const auto again = all<SendMessage>();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[0].client_message_id.value, 2U);
  EXPECT_EQ(again[1].client_message_id.value, 3U);
  EXPECT_EQ(again[0].attempt, 1U);
}

TEST_F(OneUser, AcknowledgesEachSendOnce) {
  go_online(at(0s));
  give(SendDue{4, 11, at(1s), 20}, at(1s));
  actions.clear();
  give(AckCame{4, {1}, {10}}, at(1s));
  give(AckCame{4, {1}, {10}}, at(1s));
  const auto acks = all<Acknowledged>();
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].ordinal, 11U);
  EXPECT_EQ(pool.entries_in_use(), 0U);
}

TEST_F(OneUser, ResendsAfterTheDeadlineAndNotBefore) {
  go_online(at(0s));
  give(SendDue{4, 0, at(1s), 20}, at(1s));
  const auto sends = all<SendMessage>();
  ASSERT_EQ(sends.size(), 1U);
  EXPECT_GE(sends[0].resend_at, at(1s) + 250ms);
  EXPECT_LE(sends[0].resend_at, at(1s) + 375ms);
  give(TimerDue{}, sends[0].resend_at - 1ns);
  EXPECT_TRUE(all<SendMessage>().empty());
  give(TimerDue{}, sends[0].resend_at);
  const auto resends = all<SendMessage>();
  ASSERT_EQ(resends.size(), 1U);
  EXPECT_EQ(resends[0].attempt, 1U);
  EXPECT_GE(resends[0].resend_at, sends[0].resend_at + 500ms);
}

TEST_F(OneUser, KeepsAtMost64SendsOfAChannelInFlight) {
  go_online(at(0s));
  for (std::uint64_t n = 0; n < 70; ++n) give(SendDue{4, n, at(1s), 20}, at(1s));
  give(SendDue{5, 70, at(1s), 20}, at(1s));
  EXPECT_EQ(all<SendMessage>().size(), 65U) << "64 of channel 4, and channel 5 is not held up";
  give(AckCame{4, {1}, {2}}, at(2s));
  const auto next = all<SendMessage>();
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].client_message_id.value, 65U);
}

TEST_F(OneUser, BacksOffByItsOwnDrawsAndResetsThemOnceOnline) {
  go_online(at(0s));
  std::array<Duration, 6> delays{};
  give(Disconnected{}, at(1s));
  Instant now = at(1s);
  for (std::uint32_t n = 0; n < delays.size(); ++n) {
    delays[n] = user.timer_at - now;
    const double unit =
        unit_from_bits(draw_bits(7, DrawPurpose::reconnect_jitter, 3, user.outage, n));
    EXPECT_EQ(delays[n], core::reconnect_delay(settings.reconnect, n, unit));
    now = user.timer_at;
    give(TimerDue{}, now);
    ASSERT_EQ(user.phase, Phase::connecting);
    give(ConnectFailed{}, now);
    ASSERT_EQ(user.phase, Phase::backing_off);
  }
  EXPECT_EQ(user.connect_began, at(1s) + delays[0]) << "catch-up latency counts failed attempts";
  give(TimerDue{}, user.timer_at);
  come_back_online(user.timer_at);
  EXPECT_EQ(user.attempt, 0U);
}

// Many are told the same time: the back-off spreads them behind it.
TEST_F(OneUser, BacksOffFromTheTimeThatTheServerNames) {
  go_online(at(0s));
  give(Disconnected{Ended::back_off, 9s}, at(1s));
  EXPECT_GT(user.timer_at, at(10s));
  EXPECT_LT(user.timer_at, at(10s) + settings.reconnect.base);
}

TEST(ManyUsers, WhoAreToldAWindowComeBackAllOverIt) {
  const UserSettings settings;
  OutboxPool pool;
  std::vector<Action> actions;
  const Instant start{100s};
  std::array<int, 4> quarters{};
  for (std::uint32_t client = 0; client < 400; ++client) {
    VirtualUser user{.client = client};
    for (const Input& input : std::initializer_list<Input>{
             Start{}, Connected{}, LoggedIn{}, CaughtUp{}, Disconnected{Ended::back_off, 1s, 5s}}) {
      step(user, input, start, settings, pool, actions);
    }
    ASSERT_EQ(user.phase, Phase::backing_off);
    ASSERT_GE(user.timer_at, start + 1s);
    ASSERT_LT(user.timer_at, start + 5s);
    ++quarters.at(static_cast<std::size_t>((user.timer_at - start - 1s) / 1s));
  }
  for (const int quarter : quarters) EXPECT_NEAR(quarter, 100, 40);
}

TEST_F(OneUser, NeverReturnsOnceSuperseded) {
  go_online(at(0s));
  give(Disconnected{Ended::superseded}, at(1s));
  EXPECT_EQ(all<GaveUp>().size(), 1U);
  give(ComeBack{}, at(2s));
  give(TimerDue{}, at(99s));
  EXPECT_TRUE(actions.empty());
  EXPECT_EQ(user.phase, Phase::stopped);
}

TEST_F(OneUser, LeavesCleanlyAndStaysAwayUntilThePlannedReturn) {
  go_online(at(0s));
  give(Leave{}, at(5s));
  EXPECT_EQ(all<CloseCleanly>().size(), 1U);
  give(TimerDue{}, at(6s));
  EXPECT_TRUE(actions.empty());
  give(ComeBack{}, at(17s));
  EXPECT_EQ(all<OpenConnection>().size(), 1U);
  EXPECT_EQ(user.connect_began, at(17s));
}

TEST_F(OneUser, APlannedLeaveCancelsAReconnect) {
  go_online(at(0s));
  give(Disconnected{}, at(1s));
  actions.clear();
  give(Leave{}, at(1s));
  give(TimerDue{}, at(99s));
  EXPECT_TRUE(actions.empty());
}

TEST_F(OneUser, BeatsOnlyInSilence) {
  go_online(at(0s));
  give(SendDue{4, 0, at(3s), 20}, at(3s));
  actions.clear();
  give(HeartbeatDue{}, at(5s));
  EXPECT_TRUE(actions.empty()) << "the send at 3 s was a heartbeat too";
  EXPECT_EQ(heartbeat_due_at(user, settings), at(8s));
  give(HeartbeatDue{}, at(8s));
  EXPECT_EQ(all<SendHeartbeat>().size(), 1U);
  EXPECT_EQ(heartbeat_due_at(user, settings), at(13s));
}

TEST_F(OneUser, WaitsAsLongAsTheServerAsksThenSendsInOrder) {
  go_online(at(0s));
  for (std::uint64_t n = 0; n < 3; ++n) give(SendDue{4, n, at(1s), 20}, at(1s));
  actions.clear();
  give(SendRefused{4, {1}, SendRefusal::retry, 700ms, {}}, at(1s));
  give(SendRefused{4, {2}, SendRefusal::gap, {}, {1}}, at(1s));
  give(SendRefused{4, {3}, SendRefusal::gap, {}, {1}}, at(1s));
  give(TimerDue{}, at(1s) + 699ms);
  EXPECT_TRUE(all<SendMessage>().empty());
  give(TimerDue{}, at(1s) + 1050ms);  // Up to half as long again: others were told the same.
  const auto sends = all<SendMessage>();
  ASSERT_EQ(sends.size(), 3U);
  EXPECT_EQ(sends[0].client_message_id.value, 1U);
  EXPECT_EQ(sends[2].client_message_id.value, 3U);
}

TEST_F(OneUser, GivesUpARefusedSendVisiblyAndRenumbersTheRest) {
  go_online(at(0s));
  for (std::uint64_t n = 0; n < 3; ++n) give(SendDue{4, n, at(1s), 20}, at(1s));
  actions.clear();
  give(SendRefused{4, {1}, SendRefusal::permanent, {}, {}}, at(1s));
  ASSERT_EQ(all<GaveUpSend>().size(), 1U);
  give(SendRefused{4, {2}, SendRefusal::gap, {}, {1}}, at(1s));
  const auto sends = all<SendMessage>();
  ASSERT_EQ(sends.size(), 2U);
  EXPECT_EQ(sends[0].client_message_id.value, 1U);
  EXPECT_EQ(sends[0].ordinal, 1U);
  EXPECT_EQ(sends[1].client_message_id.value, 2U);
  give(AckCame{4, {1}, {5}}, at(2s));
  give(AckCame{4, {2}, {6}}, at(2s));
  give(SendDue{4, 3, at(2s), 20}, at(2s));
  EXPECT_EQ(all<SendMessage>().at(0).client_message_id.value, 3U);
}

TEST_F(OneUser, AnAloneRefusedSendFreesItsNumber) {
  go_online(at(0s));
  give(SendDue{4, 0, at(1s), 20}, at(1s));
  give(SendRefused{4, {1}, SendRefusal::permanent, {}, {}}, at(1s));
  actions.clear();
  give(SendDue{4, 1, at(2s), 20}, at(2s));
  EXPECT_EQ(all<SendMessage>().at(0).client_message_id.value, 1U);
}

TEST_F(OneUser, ASendThatIsTooOldKeepsItsNumber) {
  go_online(at(0s));
  give(SendDue{4, 0, at(1s), 20}, at(1s));
  actions.clear();
  give(SendRefused{4, {1}, SendRefusal::too_old, {}, {}}, at(1s));
  const auto given_up = all<GaveUpSend>();
  ASSERT_EQ(given_up.size(), 1U);
  EXPECT_TRUE(given_up[0].transmitted);
  give(SendDue{4, 1, at(2s), 20}, at(2s));
  EXPECT_EQ(all<SendMessage>().at(0).client_message_id.value, 2U);
}

TEST_F(OneUser, RepairsALiveGapByLoggingInAgain) {
  go_online(at(0s));
  give(GapSeen{}, at(1s));
  EXPECT_EQ(all<CloseCleanly>().size(), 1U);
  give(TimerDue{}, user.timer_at);
  give(Connected{}, at(2s));
  give(LoggedIn{}, at(2s));
  give(CaughtUp{}, at(2s));
  EXPECT_TRUE(all<Synced>().at(0).repair);
}

TEST_F(OneUser, AbandonsASessionThatHangs) {
  give(Start{}, at(0s));
  give(Connected{}, at(1s));
  actions.clear();
  give(TimerDue{}, at(29s));
  EXPECT_TRUE(actions.empty());
  give(TimerDue{}, at(30s));
  EXPECT_EQ(all<CloseCleanly>().size(), 1U);
  EXPECT_EQ(user.phase, Phase::backing_off);
}

TEST_F(OneUser, FlushesItsOutboxInTheRollCallAndLeavesAgain) {
  go_online(at(0s));
  give(SendDue{4, 0, at(1s), 20}, at(1s));
  give(Leave{}, at(1s));
  actions.clear();
  give(FlushOutbox{}, at(9s));
  EXPECT_EQ(all<OpenConnection>().size(), 1U);
  come_back_online(at(9s));
  EXPECT_EQ(all<SendMessage>().size(), 1U);
  give(AckCame{4, {1}, {2}}, at(9s));
  EXPECT_EQ(all<CloseCleanly>().size(), 1U);
  EXPECT_EQ(user.phase, Phase::idle);
}

TEST_F(OneUser, SyncsInTheRollCallAndLeaves) {
  give(SyncAndLeave{}, at(9s));
  EXPECT_EQ(all<OpenConnection>().size(), 1U);
  give(Connected{}, at(9s));
  give(LoggedIn{}, at(9s));
  give(CaughtUp{}, at(9s));
  EXPECT_EQ(all<CloseCleanly>().size(), 1U);
  EXPECT_EQ(user.phase, Phase::idle);
}

TEST(OutboxPool, KeepsTheNumbersOfManyClientsApart) {
  OutboxPool pool;
  for (int round = 1; round <= 3; ++round) {
    for (std::uint32_t client = 0; client < 500; ++client) {
      EXPECT_EQ(pool.next_client_message_id(client, client % 7).value,
                static_cast<std::uint64_t>(round));
    }
  }
}

TEST(Stamp, CarriesDueTimeLatenessAndWaiting) {
  std::array<std::byte, 20> body{};
  write_stamp(body, {at(123456789ns), at(123456789ns) + 7ms, true});
  const auto stamp = read_stamp(body);
  ASSERT_TRUE(stamp);
  EXPECT_EQ(stamp->due, at(123456789ns));
  EXPECT_EQ(stamp->sent - stamp->due, 7ms);
  EXPECT_TRUE(stamp->waited);
  EXPECT_FALSE(read_stamp(std::span{body}.first(11)));
}

}  // namespace
}  // namespace clamor::loadgen
