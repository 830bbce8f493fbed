// What retention lets go is gone for everybody alike, and said so; what it keeps survives a kill.

#include "server/base/queue_design.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t channel = 10;

/// Members are users 1 (who talks), 2 and 3.
class Retention : public testing::TestWithParam<std::pair<QueueDesign, const char*>> {
 protected:
  [[nodiscard]] static std::string settings(const std::string& more) {
    return "durability: os\ncatch_up: {tail_age: 0s}\nstore: {queue_flush_after: 100ms}\ndesign: " +
           std::string{name_of(GetParam().first)} + "\npayload: " + GetParam().second + "\n" + more;
  }
  void begin(const ServerProcess& server) {
    alice_.come_online(server.port());
    said_ = alice_.create(channel, {1, 2, 3}).value;
  }
  void say(int messages) {
    for (int i = 0; i < messages; ++i) said_ = alice_.say(channel, "hello").value;
  }
  /// Waits, in bounded time, until so many records are gone.
  static void wait_for_trims(const ServerProcess& server, double records) {
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (metric(server, "clamor_log_records_trimmed_total") < records) {
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("nothing is trimmed");
      std::this_thread::sleep_for(20ms);
    }
  }

  TestDevice alice_{1, 1};
  TestDevice bob_{2, 1};
  std::uint64_t said_ = 0;  ///< The head.
};

TEST_P(Retention, WhoIsBehindIsToldWhatIsGoneAndGetsTheRest) {
  ServerProcess server{settings("retention: {records: 20}\n")};
  begin(server);
  bob_.come_online(server.port());
  say(4);
  while (bob_.position(channel) < said_) bob_.hear();
  bob_.go_offline();
  say(45);
  wait_for_queues(server);
  ASSERT_EQ(said_, 50U);
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.expired(channel), ids_from(6, 30));
  EXPECT_EQ(bob_.ids(channel).back(), 50U);
  EXPECT_EQ(bob_.ids(channel).size(), 5U + 20U);
  EXPECT_EQ(metric(server.port(), "clamor_expired_deliveries_total"), 25);

  TestDevice bobs_new{2, 2};
  bobs_new.want_unread();
  bobs_new.come_online(server.port());
  EXPECT_EQ(bobs_new.expired(channel), ids_from(1, 30)) << "a new device begins there too";
  EXPECT_EQ(bobs_new.ids(channel), ids_from(31, 50));
  const auto unread = bobs_new.take_unread();
  ASSERT_EQ(unread.size(), 1U);
  EXPECT_EQ(unread[0].unread, 20U) << "what is gone counts as read";
  EXPECT_EQ(unread[0].read, MessageId{30});
  bobs_new.read(channel, 45);
  EXPECT_EQ(bobs_new.take_unread()[0].unread, 5U);
  bob_.go_offline();
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.expired(channel).size(), 25U) << "it is told once";
}

TEST_P(Retention, WhatIsKeptAndTheStateSurviveTrimsAndKills) {
  ServerProcess server{settings("retention: {records: 16}\n")};
  begin(server);
  TestDevice carol{3, 1};
  carol.come_online(server.port());
  carol.client().send(protocol::Leave{{channel}});
  const std::uint64_t left = carol.take_changed().value;
  carol.go_offline();
  std::uint64_t held = 0;
  for (int round = 0; round < 2; ++round) {
    say(40);
    wait_for_trims(server, round == 0 ? 20 : 30);  // Of this start.
    say(5);
    server.kill_hard();
    server.start();
    bob_.come_online(server.port());
    EXPECT_EQ(bob_.position(channel), said_) << "every id was had or is gone";
    EXPECT_EQ(bob_.ids(channel).size() + bob_.expired(channel).size(), said_);
    EXPECT_EQ(bob_.ids(channel).size(), held + 16) << "of each round what is kept";
    held = bob_.ids(channel).size();
    bob_.vanish();
    alice_.vanish();
    alice_.come_online(server.port());
    // A resend is known still, an old one is told from it.
    alice_.send(channel, alice_.sent(channel), "hello");
    EXPECT_EQ(alice_.client().expect<protocol::Ack>().message_id, MessageId{said_});
    alice_.send(channel, 1, "hello");
    if (round != 0) {
      EXPECT_EQ(alice_.take_refusal(), protocol::RefusalCode::client_message_id_too_old);
    } else {
      (void)alice_.client().receive();
    }
  }
  // Membership and admin were made by records that are gone.
  carol.come_online(server.port());
  EXPECT_EQ(carol.position(channel), left);
  carol.send(channel, 1, "still here?");
  EXPECT_EQ(carol.take_refusal(), protocol::RefusalCode::not_member);
  bob_.come_online(server.port());
  const MessageId about = bob_.say(channel, "delete this");
  alice_.hear();
  EXPECT_EQ(alice_.say_about(channel, core::RecordKind::deletion, about.value), about + 1);
  alice_.send_about(channel, alice_.sent(channel) + 1, core::RecordKind::deletion, 2);
  EXPECT_EQ(alice_.take_refusal(), protocol::RefusalCode::no_such_message) << "that one is gone";
}

/// What is the same under every design, by one with queues.
class RetentionOfQueues : public Retention {};

TEST_P(RetentionOfQueues, ByAgeAQuietLogEmptiesAndGoesOn) {
  ServerProcess server{settings("retention: {age: 1s}\n")};
  begin(server);
  say(9);
  wait_for_trims(server, 10);
  server.kill_hard();
  server.start();
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.expired(channel), ids_from(1, 10));
  alice_.vanish();
  alice_.come_online(server.port());
  say(1);
  EXPECT_EQ(bob_.hear().record.id, MessageId{11});
}

TEST_P(RetentionOfQueues, ADeviceThatWasSilentForTooLongIsToldLikeAnyOther) {
  ServerProcess server{settings("retention: {records: 20}\nlimits: {device_expires_after: 1s}\n")};
  begin(server);
  bob_.come_online(server.port());
  bob_.go_offline();
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (metric(server.port(), "clamor_devices_expired_total") == 0 || said_ < 40) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "it never expires";
    say(1);
    wait_for_queues(server);
    std::this_thread::sleep_for(10ms);
  }
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.expired(channel), ids_from(2, said_ - 20));
  EXPECT_EQ(bob_.position(channel), said_);
}

TEST_P(RetentionOfQueues, ARedoFindsEveryRecordThatTheQueuesLack) {
  // Nothing is flushed before the kill: all entries are redone from journal and log.
  ServerProcess server{
      "durability: os\ncatch_up: {tail_age: 0s}\nretention: {records: 20}\n"
      "design: " +
      std::string{name_of(GetParam().first)} + "\npayload: " + GetParam().second + "\n"};
  begin(server);
  bob_.come_online(server.port());
  bob_.go_offline();
  say(60);
  server.kill_hard();
  server.start();
  wait_for_queues(server);
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.expired(channel), ids_from(2, said_ - 20));
  EXPECT_EQ(bob_.position(channel), said_);
}

std::string name_of_case(const testing::TestParamInfo<std::pair<QueueDesign, const char*>>& of) {
  return std::string{name_of(of.param.first)} + "_" + of.param.second;
}

INSTANTIATE_TEST_SUITE_P(Designs, RetentionOfQueues,
                         testing::Values(std::pair{QueueDesign::per_user, "copy"}), name_of_case);
INSTANTIATE_TEST_SUITE_P(Designs, Retention,
                         testing::Values(std::pair{QueueDesign::per_user, "reference"},
                                         std::pair{QueueDesign::per_user, "copy"},
                                         std::pair{QueueDesign::per_member, "reference"},
                                         std::pair{QueueDesign::per_group, "reference"}),
                         name_of_case);

}  // namespace
}  // namespace clamor::test
