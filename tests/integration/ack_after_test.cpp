// What an ack of a real `clamor serve` means under `ack_after: log` and `ack_after: fanout`. The
// queue writer is slowed by its linger, so that acks and queue entries come well apart.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace clamor::test {
namespace {

constexpr const char* slow = "store: {queue_linger: 400ms}\n";
constexpr const char* never = "store: {queue_linger: 10s}\n";

std::string settings(const char* ack_after, const std::string& design, const char* linger) {
  return std::string{"durability: os\nack_after: "} + ack_after + "\ndesign: " + design + "\n" +
         linger;
}

double entries(const ServerProcess& server) {
  return metric(server.port(), "clamor_queue_entries_total");
}

/// One more send than a device's bookkeeping knows of: the test looks at every frame itself.
void send(TestClient& client, std::uint64_t client_message_id) {
  constexpr std::string_view body = "hello";
  client.send(protocol::Send{{10}, {client_message_id}, std::as_bytes(std::span{body})});
}

struct Room {
  explicit Room(ServerProcess& server) {
    alice.come_online(server.port());
    bob.come_online(server.port());
    alice.create(10, {1, 2, 3});
    alice.hear();
    bob.hear();
    wait_for_queues(server.port());
  }
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
};

class AckAfterFanout : public testing::TestWithParam<const char*> {};

TEST_P(AckAfterFanout, AnAckComesOnceTheQueueEntriesAreAppliedAndNotBefore) {
  ServerProcess server{settings("fanout", GetParam(), slow)};
  Room room{server};
  TestClient& alice = room.alice.client();
  ASSERT_EQ(entries(server), 3) << "of the channel's creation";
  for (std::uint64_t sent = 1; sent <= 3; ++sent) {
    send(alice, sent);
    const auto own = alice.expect<protocol::RecordFrame>();
    EXPECT_EQ(own.record.id, MessageId{sent + 1}) << "durable, so its ids stay dense";
    EXPECT_EQ(room.bob.hear().record.id, MessageId{sent + 1}) << "nobody waits but the ack";
    const auto ack = alice.expect<protocol::Ack>();
    EXPECT_EQ(ack.message_id, MessageId{sent + 1});
    EXPECT_EQ(entries(server), 3 + 3 * static_cast<double>(sent)) << "acknowledged too early";
    EXPECT_EQ(metric(server.port(), "clamor_fan_out_lag_records"), 0);
  }
}

TEST_P(AckAfterFanout, AResendIsNotAcknowledgedBeforeItsRecordIs) {
  ServerProcess server{settings("fanout", GetParam(), slow)};
  Room room{server};
  TestClient& alice = room.alice.client();
  send(alice, 1);
  (void)alice.expect<protocol::RecordFrame>();
  send(alice, 1);  // Durable by now: `ack_after: log` would answer at once.
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{2});
  EXPECT_EQ(entries(server), 6);
  send(alice, 2);
  EXPECT_EQ(alice.expect<protocol::RecordFrame>().record.id, MessageId{3}) << "one ack a record";
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{3});
  send(alice, 2);
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{3}) << "a late one at once";
  EXPECT_EQ(metric(server.port(), "clamor_duplicate_sends_total"), 2);
}

TEST_P(AckAfterFanout, AServerThatStopsAnswersWhatWaitsForTheQueues) {
  ServerProcess server{settings("fanout", GetParam(), slow)};
  Room room{server};
  TestClient& alice = room.alice.client();
  send(alice, 1);
  (void)alice.expect<protocol::RecordFrame>();
  server.process().signal(SIGTERM);
  EXPECT_EQ(alice.expect<protocol::Ack>().message_id, MessageId{2});
  (void)alice.expect_close();
  room.alice.go_offline();
  room.bob.go_offline();
  EXPECT_EQ(server.process().wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Designs, AckAfterFanout,
                         testing::Values("per_user", "per_member", "{hybrid: {threshold: 3}}"),
                         [](const auto& of) {
                           const std::string name = of.param;
                           return name[0] == '{' ? std::string{"hybrid"} : name;
                         });

TEST(AckAfterFanoutWithoutQueues, NothingIsWaitedForWhereTheDesignHasNoEntries) {
  for (const char* design : {"per_group", "{hybrid: {threshold: 2}}"}) {
    ServerProcess server{settings("fanout", design, never)};
    TestDevice alice{1, 1};
    alice.come_online(server.port());
    alice.create(10, {1, 2, 3});
    alice.hear();
    send(alice.client(), 1);
    EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{2}) << design;
    send(alice.client(), 1);
    EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, MessageId{2}) << design;
  }
}

TEST(AckAfterLog, AnAckWaitsForNoQueue) {
  ServerProcess server{settings("log", "per_user", never)};
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
