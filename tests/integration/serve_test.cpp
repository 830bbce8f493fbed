// What clients of a real `clamor serve` see: every message, both ways, over real sockets.

#include "server/base/queue_design.hpp"
#include "tests/designs.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using protocol::CloseCode;
using protocol::RefusalCode;
using Ids = std::vector<std::uint64_t>;

/// One server for tests that are content with the default settings, but for the fsync.
class Serve : public testing::Test {
 protected:
  ServerProcess server_{"durability: os\n"};
  std::uint16_t port_ = server_.port();

  double refused(const std::string& code) {
    return metric(port_, "clamor_refused_total{code=\"" + code + "\"}");
  }
};

TEST_F(Serve, AMessageIsAcknowledgedAndReachesEveryOtherDeviceOfTheMembers) {
  TestDevice alice{1, 1};
  TestDevice alice_phone{1, 2};
  TestDevice bob{2, 1};
  TestDevice stranger{3, 1};
  for (TestDevice* device : {&alice, &alice_phone, &bob, &stranger}) {
    EXPECT_EQ(device->come_online(port_), 1U) << "even a device without news gets its last page";
  }
  EXPECT_EQ(alice.create(10, {1, 2}), MessageId{1});
  for (TestDevice* device : {&alice, &alice_phone, &bob}) {
    const Kept joined = device->hear();
    EXPECT_EQ(joined.record.kind, core::RecordKind::join) << "record 1 is the join of all members";
    EXPECT_EQ(joined.body.size(), 16U);
    EXPECT_EQ(joined.record.sender, UserId{1}) << "the admin";
    EXPECT_EQ(joined.record.device, DeviceId{0}) << "made by the server";
  }
  EXPECT_EQ(alice.say(10, "hello"), MessageId{2});
  for (TestDevice* device : {&alice_phone, &bob}) {
    const Kept heard = device->hear();
    EXPECT_EQ(heard.body, "hello");
    EXPECT_EQ(heard.record.id, MessageId{2});
    EXPECT_EQ(heard.record.sender, UserId{1});
    EXPECT_EQ(heard.record.device, DeviceId{1});
    EXPECT_EQ(heard.record.client_message_id, ClientMessageId{1});
  }
  EXPECT_EQ(bob.say(10, "hi"), MessageId{3});
  EXPECT_EQ(alice.hear().body, "hi");
  EXPECT_EQ(alice_phone.hear().body, "hi");
  // The sending device got its ack and nothing else; the stranger nothing at all.
  EXPECT_TRUE(bob.client().is_silent(50ms));
  EXPECT_TRUE(stranger.client().is_silent(0ms));
  EXPECT_EQ(metric(port_, "clamor_records_total"), 3);
  EXPECT_EQ(metric(port_, "clamor_live_deliveries_total"), 3 + 2 + 2);
  EXPECT_EQ(metric(port_, "clamor_membership_intervals_total"), 2);
}

TEST_F(Serve, AResendGetsTheSameIdAndIsStoredOnce) {
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(port_);
  bob.come_online(port_);
  alice.create(10, {1, 2});
  alice.hear();
  bob.hear();
  const MessageId first = alice.say(10, "once");
  alice.client().send(protocol::Send{{10}, {1}, {}});
  EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, first);
  EXPECT_EQ(bob.hear().body, "once");
  EXPECT_EQ(alice.say(10, "twice"), first + 1);
  EXPECT_EQ(bob.hear().body, "twice") << "nothing came between";
  EXPECT_EQ(metric(port_, "clamor_duplicate_sends_total"), 1);
}

TEST_F(Serve, AResendThatOvertakesItsOwnCommitIsAcknowledgedOnce) {
  TestDevice alice{1, 1};
  alice.come_online(port_);
  alice.create(10, {1});
  alice.hear();
  // Both sends arrive in one turn: the second finds the first pending.
  for (int i = 0; i < 2; ++i) alice.send(10, 1, "twice");
  EXPECT_EQ(alice.take_ack(10), MessageId{2});
  alice.send(10, 2, "next");
  TestClient::Arrived arrived = alice.client().receive();
  while (std::get<protocol::Ack>(arrived.message).client_message_id == ClientMessageId{1}) {
    arrived = alice.client().receive();  // The resend came after the commit: acked again.
  }
  EXPECT_EQ(std::get<protocol::Ack>(arrived.message).message_id, MessageId{3});
}

TEST_F(Serve, ASkippedClientMessageIdIsRefusedWithTheExpectedOne) {
  TestDevice alice{1, 1};
  alice.come_online(port_);
  alice.create(10, {1});
  alice.hear();
  alice.say(10, "1");
  alice.send(10, 4, "4");
  const auto refusal = alice.client().expect<protocol::Refused>();
  EXPECT_EQ(refusal.code, RefusalCode::client_message_id_gap);
  EXPECT_EQ(refusal.expected, ClientMessageId{2});
  EXPECT_EQ(refusal.client_message_id, ClientMessageId{4});
  EXPECT_EQ(refusal.channel, ChannelId{10});
  EXPECT_EQ(refused("client_message_id_gap"), 1);
}

TEST_F(Serve, ASendBelowTheRingIsTooOldToAnswer) {
  TestDevice alice{1, 1};
  alice.come_online(port_);
  alice.create(10, {1});
  alice.hear();
  for (int i = 0; i < 70; ++i) alice.say(10, "x");
  alice.send(10, 7, "x");
  EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{8})
      << "the last 64 are remembered";
  alice.send(10, 6, "x");
  EXPECT_EQ(alice.client().expect<protocol::Refused>().code,
            RefusalCode::client_message_id_too_old);
}

TEST_F(Serve, RequestsThatCannotBeAreRefusedByName) {
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(port_);
  bob.come_online(port_);
  alice.create(10, {1});
  alice.hear();
  const auto code_of = [](TestDevice& device, const auto& request) {
    device.client().send(request);
    return device.client().expect<protocol::Refused>().code;
  };
  EXPECT_EQ(code_of(alice, protocol::Send{{99}, {1}, {}}), RefusalCode::no_such_channel);
  EXPECT_EQ(code_of(bob, protocol::Send{{10}, {1}, {}}), RefusalCode::not_member);
  EXPECT_EQ(code_of(bob, protocol::Leave{{10}}), RefusalCode::not_member);
  EXPECT_EQ(code_of(bob, protocol::Leave{{99}}), RefusalCode::no_such_channel);
  EXPECT_EQ(code_of(bob, protocol::Join{{99}}), RefusalCode::no_such_channel);
  EXPECT_EQ(code_of(alice, protocol::Join{{10}}), RefusalCode::already_member);
  EXPECT_EQ(code_of(bob, protocol::CreateChannel{{10}, {{2}}}), RefusalCode::channel_exists);
  const std::vector<std::byte> large(16 * 1024 + 1);
  EXPECT_EQ(code_of(alice, protocol::Send{{10}, {1}, large}), RefusalCode::body_too_large);
  std::vector<UserId> many;
  for (std::uint64_t user = 1; user <= 10'001; ++user) many.push_back({user});
  EXPECT_EQ(code_of(alice, protocol::CreateChannel{{11}, many}), RefusalCode::group_too_large);
  const std::string token = token_of(1);
  EXPECT_EQ(code_of(alice, alice.login(token)), RefusalCode::already_logged_in);
  EXPECT_EQ(alice.say(10, "still fine"), MessageId{2}) << "none of it harmed the session";
  for (const char* code : {"not_member", "no_such_channel"}) EXPECT_GE(refused(code), 2) << code;
}

TEST_F(Serve, ASessionThatDoesNotSpeakTheProtocolIsToldAndClosed) {
  struct Case {
    const char* name;
    std::vector<std::byte> payload;
    bool after_login;
    RefusalCode code;
    CloseCode close;
  };
  const auto encoded = [](const auto& message) {
    std::vector<std::byte> bytes;
    protocol::encode(message, bytes);
    return bytes;
  };
  const auto changed = [](std::vector<std::byte> bytes, auto&& change) {
    change(bytes);
    return bytes;
  };
  const std::string token = token_of(1);
  const std::string forged = token.substr(0, token.size() - 1) + (token.back() == '0' ? '1' : '0');
  const auto login = [&](const std::string& with, std::uint32_t device = 1) {
    return encoded(protocol::Login{.token = with, .device = {device}, .positions = {}});
  };
  const auto send = encoded(protocol::Send{{10}, {1}, {}});
  const std::vector<Case> cases{
      {"empty", {}, false, RefusalCode::malformed, CloseCode::malformed},
      {"unknown type", {std::byte{0x7F}}, false, RefusalCode::malformed, CloseCode::malformed},
      {"truncated", changed(login(token), [](auto& b) { b.resize(b.size() - 1); }), false,
       RefusalCode::malformed, CloseCode::malformed},
      {"trailing", changed(send, [](auto& b) { b.resize(b.size() + 1); }), true,
       RefusalCode::malformed, CloseCode::malformed},
      {"other version", changed(login(token), [](auto& b) { b[1] = std::byte{99}; }), false,
       RefusalCode::unsupported_version, CloseCode::malformed},
      {"send before login", send, false, RefusalCode::not_logged_in, CloseCode::unauthorized},
      {"heartbeat before login", encoded(protocol::Heartbeat{}), false, RefusalCode::not_logged_in,
       CloseCode::unauthorized},
      {"forged token", login(forged), false, RefusalCode::bad_token, CloseCode::unauthorized},
      {"no token", login(""), false, RefusalCode::bad_token, CloseCode::unauthorized},
      {"expired token", login(token::mint(token::derive_key(test_secret), {1}, 1)), false,
       RefusalCode::bad_token, CloseCode::unauthorized},
      {"device 0", login(token, 0), false, RefusalCode::malformed, CloseCode::malformed},
      {"a server's message", encoded(protocol::Ack{{1}, {1}, {1}}), true, RefusalCode::malformed,
       CloseCode::malformed},
      {"next page unasked", encoded(protocol::NextPage{}), true, RefusalCode::malformed,
       CloseCode::malformed},
      {"channel 0", encoded(protocol::CreateChannel{{0}, {{1}}}), true, RefusalCode::malformed,
       CloseCode::malformed},
      {"no members", encoded(protocol::CreateChannel{{5}, {}}), true, RefusalCode::malformed,
       CloseCode::malformed},
      {"a member twice", encoded(protocol::CreateChannel{{5}, {{1}, {2}, {1}}}), true,
       RefusalCode::malformed, CloseCode::malformed},
  };
  double malformed_before = refused("malformed");
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    TestClient client{port_};
    client.upgrade();
    if (c.after_login) {
      client.send(protocol::Login{.token = token, .device = {1}, .positions = {}});
      (void)client.expect<protocol::LoginAccepted>();
      (void)client.expect<protocol::Page>();
    }
    client.send_payload(c.payload);
    EXPECT_EQ(client.expect<protocol::Refused>().code, c.code);
    EXPECT_EQ(client.expect_close().code, static_cast<std::uint16_t>(c.close));
    if (c.code == RefusalCode::malformed) {
      EXPECT_EQ(refused("malformed"), ++malformed_before);
    }
  }
  EXPECT_EQ(metric(port_, "clamor_malformed_total{error=\"trailing_bytes\"}"), 1);
  EXPECT_EQ(refused("bad_token"), 3);
  TestDevice alice{1, 1};
  EXPECT_EQ(alice.come_online(port_), 1U) << "the server is as well as before";
}

TEST_F(Serve, ASecondLoginOfADeviceSupersedesItsFirstSession) {
  TestDevice old_session{1, 1};
  TestDevice other_device{1, 2};
  old_session.come_online(port_);
  other_device.come_online(port_);
  other_device.create(10, {1});
  old_session.hear();
  other_device.hear();
  TestDevice new_session{1, 1};
  new_session.come_online(port_);
  EXPECT_EQ(old_session.client().expect_close().code,
            static_cast<std::uint16_t>(CloseCode::superseded));
  other_device.say(10, "to the new one");
  EXPECT_EQ(new_session.hear().body, "to the new one");
  EXPECT_EQ(metric(port_, "clamor_sessions"), 2);
  EXPECT_EQ(metric(port_, "clamor_sessions_superseded_total"), 1);
}

TEST_F(Serve, AnotherIncarnationOfADeviceCountsItsSendsFromOneAgain) {
  TestDevice alice{1, 1};
  alice.come_online(port_);
  alice.create(10, {1});
  alice.say(10, "a");
  alice.say(10, "b");
  TestClient reborn{port_};
  reborn.upgrade();
  const std::string token = token_of(1);
  protocol::Login login = alice.login(token);
  login.device_incarnation = 2;
  reborn.send(login);
  (void)reborn.expect<protocol::LoginAccepted>();
  (void)reborn.expect<protocol::Page>();
  reborn.send(protocol::Send{{10}, {1}, {}});
  EXPECT_EQ(reborn.expect<protocol::Ack>().message_id, MessageId{4}) << "new, not a duplicate";
}

// Goal: a device that starts anew while a send of its former life is being committed gets that
// record like anybody's. Method: many tries at a commit that a sync makes slow.
TEST(ServeFsync, AnotherIncarnationReceivesWhatTheFormerOneHadUnderWay) {
  constexpr std::uint64_t channel = 10;
  ServerProcess server{"durability: fsync\n"};
  TestDevice witness{2, 1};
  witness.come_online(server.port());
  witness.create(channel, {1, 2});
  const std::string token = token_of(1);
  std::optional<TestClient> before;
  for (std::uint32_t incarnation = 1; incarnation <= 20; ++incarnation) {
    TestClient now{server.port()};
    now.upgrade();
    if (before) before->send(protocol::Send{{channel}, {1}, {}});
    now.send(protocol::Login{
        .token = token, .device = {1}, .device_incarnation = incarnation, .positions = {}});
    (void)now.expect<protocol::LoginAccepted>();
    const std::uint64_t last = witness.say(channel, "done").value;
    Ids received;
    while (received.empty() || received.back() < last) {
      const TestClient::Arrived arrived = now.receive();
      if (const auto* page = std::get_if<protocol::Page>(&arrived.message)) {
        for (const protocol::PageItem& item : page->items) {
          received.push_back(std::get<protocol::RecordFrame>(item).record.id.value);
        }
      } else {
        received.push_back(std::get<protocol::RecordFrame>(arrived.message).record.id.value);
      }
    }
    ASSERT_EQ(received, ids_from(1, last)) << "incarnation " << incarnation;
    before.emplace(std::move(now));
  }
}

TEST_F(Serve, SilenceClosesASessionAndHeartbeatsKeepIt) {
  ServerProcess impatient{"durability: os\nheartbeat: {interval: 50ms, offline_after: 300ms}\n"};
  TestDevice silent{1, 1};
  TestDevice beating{2, 1};
  silent.come_online(impatient.port());
  beating.come_online(impatient.port());
  const auto until = std::chrono::steady_clock::now() + 900ms;
  while (std::chrono::steady_clock::now() < until) {
    beating.client().send(protocol::Heartbeat{});
    EXPECT_TRUE(beating.client().is_silent(50ms)) << "a heartbeat gets no reply";
  }
  EXPECT_EQ(silent.client().expect_close().code, static_cast<std::uint16_t>(CloseCode::silent));
  EXPECT_EQ(metric(impatient.port(), "clamor_sessions"), 1);
}

TEST_F(Serve, ADeviceThatSendsWithoutEndButAsksForNoPageIsClosed) {
  ServerProcess server{"durability: os\ncatch_up: {page_records: 1}\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1});
  alice.say(10, "x");
  TestDevice second{1, 2};
  second.connect(server.port());
  ASSERT_FALSE(second.take_page());
  second.send(10, 1, "x");
  alice.hear();  // It is durable: every resend is answered from here on, by an ack each.
  std::uint16_t code = 0;
  try {
    for (int i = 0; i < 6000; ++i) second.send(10, 1, "x");
    code = second.client().expect_close().code;
  } catch (const std::runtime_error&) {  // Closed while it was still sending.
    code = static_cast<std::uint16_t>(CloseCode::slow_consumer);
  }
  EXPECT_EQ(code, static_cast<std::uint16_t>(CloseCode::slow_consumer));
  EXPECT_EQ(metric(server.port(), "clamor_sessions"), 1);
}

TEST(ServeLargeGroups, SendersAreSlowedByPlannedEntriesToo) {
  ServerProcess server{
      "durability: os\nlimits: {fan_out_lag_entries: 5}\nstore: {queue_linger: 10s}\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2, 3});
  alice.say(10, "within the limit when it came");
  alice.send(10, 2, "one too many");
  const auto refusal = alice.client().expect<protocol::Refused>();
  EXPECT_EQ(refusal.code, RefusalCode::overloaded);
  EXPECT_GT(refusal.retry_after, Duration{});
  EXPECT_EQ(metric(server.port(), "clamor_fan_out_lag_entries"), 6);
}

// --- catch-up, under every design
struct Queueing {
  DesignSpec design;
  QueuePayload payload = QueuePayload::reference;
};

class CatchUpUnder : public testing::TestWithParam<Queueing> {
 protected:
  [[nodiscard]] static std::string settings(const std::string& more = "") {
    return "durability: os\ndesign: " + setting_of(GetParam().design) +
           "\npayload: " + std::string{name_of(GetParam().payload)} + "\n" + more;
  }
  [[nodiscard]] static int fetched(int n) {
    return GetParam().payload == QueuePayload::copy ? 0 : n;
  }
};

TEST_P(CatchUpUnder, ADeviceThatWasAwayGetsWhatItMissedInPagesOnceAndInOrder) {
  // Small pages and no tail: the store, its queues and many pages are what is looked at.
  ServerProcess server{settings("catch_up: {page_records: 7, tail_age: 0s}\n")};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  for (const std::uint64_t channel : {10, 11, 12}) {
    alice.create(channel, {1, 2});
    alice.hear();
    bob.hear();
  }
  alice.say(10, "live");
  EXPECT_EQ(bob.hear().body, "live");
  bob.acknowledge();
  bob.vanish();
  for (int i = 0; i < 40; ++i) {
    alice.say(10, "a" + std::to_string(i));
    if (i % 4 == 0) alice.say(11, "b" + std::to_string(i));
  }
  wait_for_queues(server.port());
  EXPECT_GE(bob.come_online(server.port()), 50U / 7);
  const auto count = [&](const std::string& name) {
    return metric(server.port(), "clamor_" + name + "_total");
  };
  const QueueDesign design = GetParam().design.design;
  const bool queued = design != QueueDesign::per_group;
  // Three joins and 51 messages for two members each; bob lacks 50, in two of three channels.
  EXPECT_EQ(count("queue_entries"), queued ? 2 * (3 + 1 + 40 + 10) : 0);
  EXPECT_EQ(count("queue_scans"), design == QueueDesign::per_member ? 2 : queued ? 1 : 0);
  EXPECT_EQ(count("log_scans"), queued ? 0 : 2);
  EXPECT_EQ(count("log_gets"), queued ? fetched(50) : 0);
  EXPECT_EQ(count("tail_hits"), 0);
  EXPECT_GE(count("log_seeks"), queued ? fetched(2) : 0);
  EXPECT_LE(count("log_seeks"), queued ? fetched(2 * 8) : 0)
      << "as many for each page of 7 at most";
  EXPECT_GE(count("wakes"), 1);
  EXPECT_EQ(bob.ids(10), ids_from(1, 42));
  EXPECT_EQ(bob.ids(11), ids_from(1, 11));
  EXPECT_EQ(bob.ids(12), ids_from(1, 1));
  EXPECT_EQ(bob.kept(10).back().body, "a39");
  alice.say(12, "live again");
  EXPECT_EQ(bob.hear().body, "live again") << "no gap and no duplicate after the last page";
  bob.go_offline();
  EXPECT_EQ(bob.come_online(server.port()), 1U);
  EXPECT_EQ(bob.ids(10), ids_from(1, 42)) << "what it holds is not sent again";
}

TEST_P(CatchUpUnder, RecordsThatFillAPageByTheirBytesAreStillReadByWayOfTheQueue) {
  ServerProcess server{settings("catch_up: {tail_age: 0s}\n")};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1, 2});
  bob.hear();
  bob.go_offline();
  const std::string body(1024, 'x');
  for (int i = 0; i < 256; ++i) alice.say(10, body);
  wait_for_queues(server.port());
  EXPECT_EQ(bob.come_online(server.port()), 2U);
  EXPECT_EQ(bob.ids(10), ids_from(1, 257));
  const QueueDesign design = GetParam().design.design;
  const bool queued = design != QueueDesign::per_group;
  EXPECT_EQ(metric(server.port(), "clamor_log_gets_total"), queued ? fetched(256) : 0);
  EXPECT_EQ(metric(server.port(), "clamor_log_scans_total"), queued ? 0 : 1);
}

TEST_P(CatchUpUnder, ANewDeviceGetsTheWholeHistoryOfItsIntervals) {
  ServerProcess server{settings("catch_up: {page_records: 50, tail_age: 0s}\n")};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2});
  for (int i = 0; i < 300; ++i) alice.say(10, std::string(100, 'x'));
  TestDevice second{1, 2};
  EXPECT_GE(second.come_online(server.port()), 6U);
  EXPECT_EQ(second.ids(10), ids_from(1, 301)) << "the first device's own messages, too";
}

TEST_P(CatchUpUnder, AMemberGetsExactlyTheRecordsOfItsIntervals) {
  ServerProcess server{settings("catch_up: {tail_age: 0s}\n")};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1});
  alice.say(10, "2, before bob");
  bob.client().send(protocol::Join{{10}});
  EXPECT_EQ(bob.take_changed(), MessageId{3});
  EXPECT_EQ(bob.hear().record.kind, core::RecordKind::join);
  alice.say(10, "4, bob is in");
  EXPECT_EQ(bob.hear().body, "4, bob is in");
  bob.client().send(protocol::Leave{{10}});
  EXPECT_EQ(bob.take_changed(), MessageId{5});
  EXPECT_EQ(bob.hear().record.kind, core::RecordKind::leave) << "the leave is the last he gets";
  alice.say(10, "6, bob is out");
  EXPECT_TRUE(bob.client().is_silent(50ms));
  bob.client().send(protocol::Join{{10}});
  EXPECT_EQ(bob.take_changed(), MessageId{7});
  EXPECT_EQ(bob.hear().record.id, MessageId{7});
  alice.say(10, "8, bob is back");
  EXPECT_EQ(bob.hear().body, "8, bob is back");
  EXPECT_EQ(bob.ids(10), (Ids{3, 4, 5, 7, 8}));

  TestDevice bob_phone{2, 2};
  bob_phone.come_online(server.port());
  EXPECT_EQ(bob_phone.ids(10), (Ids{3, 4, 5, 7, 8})) << "caught up, it is the same";
  EXPECT_EQ(metric(server.port(), "clamor_membership_intervals_total"), 3);
}

TEST_P(CatchUpUnder, WhatComesInDuringACatchUpFollowsItsLastPage) {
  ServerProcess server{settings("catch_up: {page_records: 2}\n")};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2});
  for (int i = 0; i < 6; ++i) alice.say(10, "before");
  bob.connect(server.port());
  ASSERT_FALSE(bob.take_page());
  for (int i = 0; i < 5; ++i) alice.say(10, "during");
  bob.client().send(protocol::NextPage{});
  bob.catch_up();
  while (bob.position(10) < 12) EXPECT_EQ(bob.hear().body, "during");
  EXPECT_EQ(bob.ids(10), ids_from(1, 12));
}

TEST_P(CatchUpUnder, TooMuchDuringACatchUpIsScannedAgainInsteadOfHeld) {
  ServerProcess server{
      settings("catch_up: {page_records: 2}\nlimits: {catch_up_held_records: 3}\n")};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2});
  for (int i = 0; i < 6; ++i) alice.say(10, "before");
  bob.connect(server.port());
  ASSERT_FALSE(bob.take_page());
  for (int i = 0; i < 20; ++i) alice.say(10, "during");
  bob.client().send(protocol::NextPage{});
  bob.catch_up();
  EXPECT_EQ(bob.ids(10), ids_from(1, 27)) << "all of it in pages";
  EXPECT_EQ(metric(server.port(), "clamor_catch_up_overflows_total"), 1);
  alice.say(10, "live");
  EXPECT_EQ(bob.hear().body, "live");
}

TEST_P(CatchUpUnder, AShortAbsenceIsServedFromTheTail) {
  ServerProcess server{settings("catch_up: {tail_age: 1m}\n")};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1, 2});
  bob.hear();
  bob.go_offline();
  for (int i = 0; i < 10; ++i) alice.say(10, "missed");
  bob.come_online(server.port());
  EXPECT_EQ(bob.ids(10), ids_from(1, 11));
  EXPECT_GE(metric(server.port(), "clamor_tail_hits_total"), 1);
}

TEST_P(CatchUpUnder, APositionThatIsNoneDoesNoHarm) {
  ServerProcess server{settings("catch_up: {tail_age: 0s}\n")};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1});
  for (int i = 0; i < 5; ++i) alice.say(10, "x");
  const std::string token = token_of(1);
  const auto items = [&](protocol::Login login) {
    login.token = token;
    login.device = {2};
    TestClient client{server.port()};
    client.upgrade();
    client.send(login);
    (void)client.expect<protocol::LoginAccepted>();
    return client.expect<protocol::Page>().items.size();
  };
  EXPECT_EQ(items({.positions = {{{10}, {1, {6}}}, {{77}, {1, {3}}}}}), 0U)
      << "a channel that does not exist";
  EXPECT_EQ(items({.positions = {{{10}, {1, {1000}}}}}), 0U) << "beyond the head";
  EXPECT_EQ(items({.positions = {{{10}, {9, {6}}}}}), 6U) << "another history: nothing is held";
  EXPECT_EQ(items({.queue_position = {1'000'000}, .positions = {}}), 6U)
      << "a queue position beyond the queue: the log serves";
}

INSTANTIATE_TEST_SUITE_P(Designs, CatchUpUnder,
                         testing::Values(Queueing{{QueueDesign::per_user}},
                                         Queueing{{QueueDesign::per_user}, QueuePayload::copy},
                                         Queueing{{QueueDesign::per_member}},
                                         Queueing{{QueueDesign::per_member}, QueuePayload::copy},
                                         Queueing{{QueueDesign::per_group}},
                                         Queueing{{QueueDesign::hybrid, 2}}),
                         [](const auto& of) {
                           const std::string name{name_of(of.param.design.design)};
                           return of.param.payload == QueuePayload::copy ? name + "_of_copies"
                                                                         : name;
                         });

TEST(ServeHybrid, AGroupChangesItsDesignByARecordAndLosesNothing) {
  ServerProcess server{
      "durability: os\ndesign: {hybrid: {threshold: 2}}\ncatch_up: {tail_age: 0s}\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2});
  alice.say(10, "2, per_user");
  bob.come_online(server.port());
  bob.go_offline();
  TestDevice carol{3, 1};
  carol.come_online(server.port());
  carol.client().send(protocol::Join{{10}});
  EXPECT_EQ(carol.take_changed(), MessageId{3});
  EXPECT_EQ(carol.hear().record.kind, core::RecordKind::join);
  EXPECT_EQ(carol.hear().record.kind, core::RecordKind::design_changed);
  alice.say(10, "5, per_group");
  carol.client().send(protocol::Leave{{10}});
  EXPECT_EQ(carol.take_changed(), MessageId{6}) << "2 members are not below 80 % of 2";
  alice.say(10, "7, per_group");
  bob.come_online(server.port());
  EXPECT_EQ(bob.ids(10), ids_from(1, 7));
  TestDevice bob_phone{2, 2};
  bob_phone.come_online(server.port());
  EXPECT_EQ(bob_phone.ids(10), ids_from(1, 7));
}

}  // namespace
}  // namespace clamor::test
