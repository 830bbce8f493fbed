#include "loadgen/user/ledger.hpp"

#include "loadgen/user/verifier.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <gmock/gmock.h>
#include <rapidcheck.h>
#include <set>
#include <string>
#include <vector>

namespace clamor::loadgen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t channel = 0;
constexpr std::uint32_t sender = 0;
constexpr auto message = core::RecordKind::message;

/// The record under `id` of the test's channel: its n-th send of client 0.
Observed record(std::uint64_t id) { return {channel, {id}, message, sender, {id - 1}}; }

/// Clients [first, first + count), all members of channel 0 alone.
Ledger members(std::uint32_t first, std::uint32_t count) {
  std::vector<std::uint32_t> offsets(count + 1);
  for (std::uint32_t i = 0; i <= count; ++i) offsets[i] = i;
  return {first, offsets, std::vector<std::uint32_t>(count, channel)};
}

/// Sender and receivers in different workers: client 0 in one, clients 1 and 2 in the other.
class TwoWorkers : public testing::Test {
 protected:
  void accept(std::uint64_t id) { here.acknowledge(sender, channel, {id - 1}, {id}); }
  Receiving receive(std::uint32_t client, std::uint64_t id) {
    return there.receive(client, record(id));
  }
  Receipt receipt(std::uint32_t client, std::uint64_t id) { return receive(client, id).receipt; }
  void accept_and_receive(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t id = first; id <= last; ++id) {
      accept(id);
      for (const std::uint32_t client : {1U, 2U}) EXPECT_EQ(receipt(client, id), Receipt::first);
    }
  }
  LedgerTotals judge() {
    verifier.add_notes(here.notes());
    verifier.add_notes(there.notes());
    verifier.seal();
    verifier.check(here);
    verifier.check(there);
    const LedgerTotals t = verifier.totals();
    EXPECT_EQ(t.expected, t.delivered + t.lost) << "the ledger does not add up";
    return t;
  }
  std::vector<std::string> findings() { return verifier.findings(); }

  Ledger here = members(0, 1);
  Ledger there = members(1, 2);
  Verifier verifier;
};

TEST(Unacknowledged, ATransmittedSendIsIndeterminateAndAnyOtherNotSent) {
  LedgerTotals totals;
  ++unacknowledged(totals, true);
  EXPECT_EQ(totals.indeterminate, 1U);
  EXPECT_EQ(totals.not_sent, 0U);
  ++unacknowledged(totals, false);
  EXPECT_EQ(totals.indeterminate, 1U);
  EXPECT_EQ(totals.not_sent, 1U);
}

TEST_F(TwoWorkers, ACleanRunIsClean) {
  accept_and_receive(2, 9);
  const LedgerTotals totals = judge();
  EXPECT_EQ(totals.expected, 16U);
  EXPECT_EQ(totals.delivered, 16U);
  for (const LedgerCounter& counter : ledger_counters) {
    if (!counter.must_be_zero) continue;
    EXPECT_EQ(totals.*counter.member, 0U) << counter.name;
  }
  EXPECT_TRUE(findings().empty());
}

TEST_F(TwoWorkers, WhatEverybodyHeldFromTheStartIsNotOwedAndWhatFollowsIs) {
  accept_and_receive(2, 9);  // as in a pre-fill; client 2 might as well have been away
  const std::vector<MessageId> heads{{9}};
  here.start_from(heads);
  there.start_from(heads);
  EXPECT_EQ(there.totals(), LedgerTotals{});
  EXPECT_EQ(there.held(2, 0), MessageId{9});
  verifier = Verifier{heads};
  accept_and_receive(10, 12);
  accept(13);
  (void)receive(1, 13);
  EXPECT_EQ(receipt(1, 9), Receipt::duplicated) << "it was held from the start";
  const LedgerTotals totals = judge();
  EXPECT_EQ(totals.expected, 8U);
  EXPECT_EQ(totals.lost, 1U);
  EXPECT_EQ(totals.replaced, 0U);
  EXPECT_THAT(findings(), ElementsAre("client 2, channel_id 1, message_id 13: lost"));
}

TEST_F(TwoWorkers, AChannelWithoutNewsHasItsStartAsItsHead) {
  verifier = Verifier{{{9}}};
  verifier.seal();
  EXPECT_EQ(verifier.head(channel), MessageId{9});
  EXPECT_EQ(verifier.head(channel + 1), MessageId{1});
}

TEST_F(TwoWorkers, NamesALostRecordInTheMiddle) {
  for (std::uint64_t id = 2; id <= 6; ++id) {
    accept(id);
    (void)receive(1, id);
    if (id != 4) (void)receive(2, id);
  }
  EXPECT_EQ(judge().lost, 1U);
  EXPECT_THAT(findings(), ElementsAre("client 2, channel_id 1, message_id 4: lost"));
}

TEST_F(TwoWorkers, NamesALostRecordAtTheEndByItsAckAlone) {
  accept_and_receive(2, 5);
  accept(6);
  (void)receive(1, 6);
  EXPECT_EQ(judge().lost, 1U);
  EXPECT_THAT(findings(), ElementsAre("client 2, channel_id 1, message_id 6: lost"));
}

TEST_F(TwoWorkers, CountsADuplicateInTheSameSession) {
  accept_and_receive(2, 5);
  EXPECT_EQ(receipt(1, 5), Receipt::duplicated);
  EXPECT_EQ(judge().duplicated, 1U);
}

TEST_F(TwoWorkers, CountsADuplicateOfWhatTheLoginDeclared) {
  accept_and_receive(2, 5);
  there.begin_session(1);
  EXPECT_EQ(receipt(1, 3), Receipt::duplicated);
}

TEST_F(TwoWorkers, AllowsRedeliveryAboveTheDeclaredPositionOncePerSession) {
  accept_and_receive(2, 3);
  for (std::uint64_t id = 4; id <= 6; ++id) accept(id);
  EXPECT_EQ(receive(1, 5).unjudged, 1U) << "4 did not come";
  (void)receive(1, 6);
  EXPECT_EQ(there.held(1, 0).value, 3U);
  there.begin_session(1);
  EXPECT_EQ(receipt(1, 4), Receipt::first) << "a repair in a later session is no reordering";
  EXPECT_EQ(receipt(1, 5), Receipt::redelivered);
  EXPECT_EQ(receipt(1, 5), Receipt::duplicated);
  EXPECT_EQ(receipt(1, 4), Receipt::duplicated);
  EXPECT_EQ(receipt(1, 6), Receipt::redelivered);
  EXPECT_EQ(receipt(1, 3), Receipt::duplicated) << "declared at the login";
  for (std::uint64_t id = 4; id <= 6; ++id) (void)receive(2, id);
  there.begin_session(1);
  EXPECT_EQ(receipt(1, 6), Receipt::duplicated) << "the trouble is over";
  EXPECT_EQ(judge().lost, 0U);
}

TEST_F(TwoWorkers, CountsAReorderedRecordOnce) {
  accept_and_receive(2, 3);
  accept(4);
  accept(5);
  EXPECT_EQ(receive(1, 5).unjudged, 1U);
  EXPECT_EQ(receipt(1, 4), Receipt::reordered);
  EXPECT_EQ(receipt(1, 4), Receipt::duplicated);
  (void)receive(2, 4);
  (void)receive(2, 5);
  const LedgerTotals totals = judge();
  EXPECT_EQ(totals.reordered, 1U);
  EXPECT_EQ(totals.lost, 0U);
}

TEST_F(TwoWorkers, FindsARecordReplacedAfterItsAck) {
  accept_and_receive(2, 4);
  accept(5);
  const Observed other{channel, {5}, message, sender, {55}};
  (void)there.receive(1, other);  // its own content under the acknowledged id
  (void)there.receive(2, other);
  EXPECT_GE(judge().replaced, 1U);
  EXPECT_THAT(findings().at(0), HasSubstr("channel_id 1, message_id 5: replaced"));
}

TEST_F(TwoWorkers, FindsADeviceWhoseContentDiffersThoughOthersSawTheTruth) {
  accept_and_receive(2, 4);
  accept(5);
  (void)receive(1, 5);  // observes the truth first
  (void)there.receive(2, {channel, {5}, message, sender, {77}});
  EXPECT_EQ(judge().replaced, 1U);
  EXPECT_THAT(findings().at(0), HasSubstr("client 2, channel_id 1"));
}

TEST_F(TwoWorkers, FindsASendAcceptedTwice) {
  accept_and_receive(2, 4);
  const Observed again{channel, {5}, message, sender, {3}};  // send 3 is message_id 4 already
  (void)there.receive(1, again);
  (void)there.receive(2, again);
  const LedgerTotals totals = judge();
  EXPECT_EQ(totals.double_accepted, 1U);
  EXPECT_EQ(totals.lost, 0U);
  EXPECT_THAT(findings().at(0), HasSubstr("send 3 of client 0 is also message_id 4"));
}

TEST_F(TwoWorkers, ANeverAcknowledgedSendIsKnownByObservation) {
  accept_and_receive(2, 4);
  EXPECT_EQ(receipt(1, 5), Receipt::first);
  const LedgerTotals totals = judge();
  EXPECT_EQ(totals.lost, 1U) << "client 2 misses it; its sender's own device is not owed it";
  EXPECT_THAT(findings(), ElementsAre("client 2, channel_id 1, message_id 5: lost"));
}

TEST_F(TwoWorkers, OwnRecordMetInCatchUpIsAnEchoAndItsLateAckNothingNew) {
  accept_and_receive(2, 4);
  EXPECT_EQ(here.receive(sender, record(5)).receipt, Receipt::echoed);
  accept(5);
  (void)receive(1, 5);
  (void)receive(2, 5);
  const LedgerTotals totals = judge();
  EXPECT_EQ(totals.echoed, 1U);
  EXPECT_EQ(totals.lost + totals.replaced, 0U);
}

TEST_F(TwoWorkers, TheOwnAckFillsAHoleWithoutReordering) {
  accept_and_receive(2, 3);
  EXPECT_EQ(here.receive(sender, {channel, {5}, message, 1, {1}}).unjudged, 1U);
  accept(4);
  EXPECT_EQ(here.held(sender, 0).value, 5U);
  EXPECT_EQ(here.totals().reordered, 0U);
}

TEST_F(TwoWorkers, AHoleIsUnjudgedUntilItIsFilledJudgedOrItsSessionOver) {
  accept_and_receive(2, 3);
  // An ack that comes yet may explain one of two ids that were skipped, not both.
  EXPECT_EQ(here.receive(sender, {channel, {6}, message, 1, {1}}).unjudged, 2U);
  EXPECT_EQ(here.receive(sender, {channel, {7}, message, 1, {2}}).unjudged, 2U);
  EXPECT_EQ(here.acknowledge(sender, channel, {2}, {4}), 1U);
  here.judged(sender, channel);
  EXPECT_EQ(here.receive(sender, {channel, {8}, message, 1, {3}}).unjudged, 0U);
  EXPECT_EQ(here.receive(sender, {channel, {10}, message, 1, {4}}).unjudged, 1U);
  here.begin_session(sender);
  EXPECT_EQ(here.receive(sender, {channel, {11}, message, 1, {5}}).unjudged, 0U)
      << "its login said what it lacks";
}

TEST_F(TwoWorkers, CountsARecordOfAForeignChannel) {
  EXPECT_EQ(there.receive(1, {5, {2}, message, sender, {1}}).receipt, Receipt::misdelivered);
  EXPECT_EQ(there.totals().misdelivered, 1U);
}

TEST_F(TwoWorkers, TruncatedHistoryIsExpiredNotLost) {
  for (std::uint64_t id = 2; id <= 6; ++id) {
    accept(id);
    (void)receive(1, id);
  }
  there.truncated(2, channel, {2}, {4});
  (void)receive(2, 5);
  (void)receive(2, 6);
  const LedgerTotals totals = judge();
  EXPECT_EQ(totals.expired, 3U);
  EXPECT_EQ(totals.lost, 0U);
}

TEST_F(TwoWorkers, IdsBetweenIntervalsAreNotOwed) {
  for (std::uint64_t id = 2; id <= 6; ++id) {
    accept(id);
    (void)receive(1, id);
  }
  there.interval_start(2, channel, {5});
  (void)receive(2, 5);
  (void)receive(2, 6);
  EXPECT_EQ(judge().lost, 0U);
}

// Random histories of deliveries in random order with losses and repeats, over sessions, against a
// count by plain sets.
TEST(Ledger, AgreesWithPlainSetsOnRandomHistories) {
  std::array<std::uint64_t, 6> seen{};
  const bool holds = rc::check("ledger = sets", [&seen] {
    const auto last = *rc::gen::inRange<std::uint64_t>(2, 40);
    const auto steps = *rc::gen::inRange<std::size_t>(0, 120);
    Ledger ledger = members(1, 1);
    std::set<std::uint64_t> ever;
    std::set<std::uint64_t> session;
    std::uint64_t declared = 1;
    std::uint64_t highest = 0;
    for (std::size_t n = 0; n < steps; ++n) {
      if (*rc::gen::inRange(0, 12) == 0) {
        session.clear();
        highest = 0;
        declared = 1;
        while (ever.contains(declared + 1)) ++declared;
        RC_ASSERT(ledger.held(1, 0).value == declared);
        ledger.begin_session(1);
        continue;
      }
      const auto id = *rc::gen::inRange<std::uint64_t>(2, last + 1);
      Receipt want{};
      if (!ever.contains(id)) {
        want = id < highest ? Receipt::reordered : Receipt::first;
      } else {
        const bool declared_held = id <= declared;
        want = session.contains(id) || declared_held ? Receipt::duplicated : Receipt::redelivered;
      }
      ever.insert(id);
      session.insert(id);
      highest = std::max(highest, id);
      RC_ASSERT(ledger.receive(1, record(id)).receipt == want);
      ++seen.at(static_cast<std::size_t>(want));
    }
    Verifier verifier;
    verifier.add_notes(ledger.notes());
    for (std::uint64_t id = 2; id <= last; ++id) {
      const Observed o = record(id);
      const Note note{channel, static_cast<std::uint32_t>(id), record_hash(o), sender,
                      static_cast<std::uint32_t>(id - 1)};
      verifier.add_notes({&note, 1});
    }
    verifier.seal();
    verifier.check(ledger);
    RC_ASSERT(verifier.totals().lost == last - 1 - ever.size());
    RC_ASSERT(verifier.totals().delivered == ever.size());
    RC_ASSERT(verifier.totals().replaced == 0U);
  });
  EXPECT_TRUE(holds);
  for (const Receipt kind :
       {Receipt::first, Receipt::reordered, Receipt::duplicated, Receipt::redelivered}) {
    const auto index = static_cast<std::size_t>(kind);
    std::printf("receipts of kind %zu: %lu\n", index, static_cast<unsigned long>(seen.at(index)));
    EXPECT_GT(seen.at(index), 0U);
  }
}

TEST(IdSet, AgreesWithAPlainSet) {
  const bool holds = rc::check("IdSet = std::set", [] {
    IdSet set;
    std::set<std::uint64_t> plain;
    const auto steps = *rc::gen::inRange<std::size_t>(0, 60);
    for (std::size_t n = 0; n < steps; ++n) {
      const auto id = *rc::gen::inRange<std::uint64_t>(1, 30);
      if (*rc::gen::inRange(0, 2) == 0) {
        const auto length = *rc::gen::inRange<std::uint64_t>(0, 5);
        set.insert({id}, {id + length});
        for (std::uint64_t i = id; i <= id + length; ++i) plain.insert(i);
      } else {
        RC_ASSERT(set.erase({id}) == (plain.erase(id) == 1));
      }
      RC_ASSERT(set.count() == plain.size());
      for (std::uint64_t i = 0; i < 40; ++i) RC_ASSERT(set.contains({i}) == plain.contains(i));
      for (std::size_t r = 1; r < set.ranges().size(); ++r) {
        RC_ASSERT(set.ranges()[r - 1].last + 1 < set.ranges()[r].first);
      }
    }
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace clamor::loadgen
