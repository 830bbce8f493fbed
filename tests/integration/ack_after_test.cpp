// What an ack of a real `clamor serve` means under `ack_after: log` and `ack_after: fanout`. The
// queue writer is slowed by its linger, so that acks and queue entries come well apart.

#include "server/base/queue_design.hpp"
#include "tests/designs.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace clamor::test {
namespace {

constexpr const char* slow = "store: {queue_linger: 400ms}\n";
constexpr const char* never = "store: {queue_linger: 10s}\n";

std::string settings(const char* ack_after, const DesignSpec& design, const char* linger) {
  return std::string{"durability: os\nack_after: "} + ack_after +
         "\ndesign: " + setting_of(design) + "\n" + linger;
}

double entries(const ServerProcess& server) {
  return metric(server.port(), "clamor_queue_entries_total");
}

/// One more send than a device's bookkeeping knows of: the test looks at every frame itself.
void send(TestClient& client, std::uint64_t client_message_id) {
  constexpr std::string_view body = "hello";
  client.send(protocol::Send{{10}, {client_message_id}, std::as_bytes(std::span{body})});
}

/// A server with a channel of three members, two of them online.
struct Room {
  explicit Room(const std::string& of_server) : server{of_server} {
    alice.come_online(server.port());
    bob.come_online(server.port());
    alice.create(10, {1, 2, 3});
    alice.hear();
    bob.hear();
  }
  ServerProcess server;
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
};

class AckAfterFanout : public testing::TestWithParam<DesignSpec> {};

TEST_P(AckAfterFanout, AnAckComesOnceTheQueueEntriesAreAppliedAndNotBefore) {
  Room room{settings("fanout", GetParam(), slow)};
  TestClient& alice = room.alice.client();
  wait_for_queues(room.server.port());
  ASSERT_EQ(entries(room.server), 3) << "of the channel's creation";
  for (std::uint64_t sent = 1; sent <= 3; ++sent) {
    send(alice, sent);
    const auto own = alice.expect<protocol::RecordFrame>();
    EXPECT_EQ(own.record.id, MessageId{sent + 1}) << "durable, so its ids stay dense";
    EXPECT_EQ(room.bob.hear().record.id, MessageId{sent + 1}) << "nobody waits but the ack";
    const auto ack = alice.expect<protocol::Ack>();
    EXPECT_EQ(ack.message_id, MessageId{sent + 1});
    EXPECT_EQ(entries(room.server), 3 + 3 * static_cast<double>(sent)) << "acknowledged too early";
    EXPECT_EQ(metric(room.server.port(), "clamor_fan_out_lag_records"), 0);
  }
}

TEST_P(AckAfterFanout, AResendIsNotAcknowledgedBeforeItsRecordIs) {
  Room room{settings("fanout", GetParam(), "store: {queue_linger: 2s}\n")};
  TestClient& alice = room.alice.client();
  send(alice, 1);
  EXPECT_EQ(alice.expect<protocol::RecordFrame>().record.id, MessageId{2});
  send(alice, 1);  // Durable by now: `ack_after: log` would answer at once.
  send(alice, 2);
  EXPECT_EQ(alice.expect<protocol::RecordFrame>().record.id, MessageId{3}) << "stored once";
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{2});
  EXPECT_GE(entries(room.server), 2 * 3) << "acknowledged too early";
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{3}) << "one ack a record";
  send(alice, 2);
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{3}) << "a late one at once";
  EXPECT_EQ(metric(room.server.port(), "clamor_duplicate_sends_total"), 2);
}

TEST_P(AckAfterFanout, AServerThatStopsAnswersWhatWaitsForTheQueues) {
  Room room{settings("fanout", GetParam(), slow)};
  TestClient& alice = room.alice.client();
  send(alice, 1);
  (void)alice.expect<protocol::RecordFrame>();
  room.server.process().signal(SIGTERM);
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{2});
  (void)alice.expect_close();
  room.alice.go_offline();
  room.bob.go_offline();
  EXPECT_EQ(room.server.process().wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Designs, AckAfterFanout,
                         testing::Values(DesignSpec{QueueDesign::per_user},
                                         DesignSpec{QueueDesign::per_member},
                                         DesignSpec{QueueDesign::hybrid, 3}),
                         design_test_name);

TEST(AckAfterFanoutWithoutQueues, NothingIsWaitedForWhereTheDesignHasNoEntries) {
  for (const DesignSpec design : {DesignSpec{QueueDesign::per_group}, {QueueDesign::hybrid, 2}}) {
    ServerProcess server{settings("fanout", design, never)};
    TestDevice alice{1, 1};
    alice.come_online(server.port());
    alice.create(10, {1, 2, 3});
    alice.hear();
    send(alice.client(), 1);
    EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{2})
        << setting_of(design);
    send(alice.client(), 1);
    EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{2})
        << setting_of(design);
  }
}

TEST(AckAfterLog, AnAckWaitsForNoQueue) {
  ServerProcess server{settings("log", {QueueDesign::per_user}, never)};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2, 3});
  alice.hear();
  send(alice.client(), 1);
  EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{2});
  EXPECT_EQ(entries(server), 0) << "the writer lingers for ten seconds";
}

}  // namespace
}  // namespace clamor::test
