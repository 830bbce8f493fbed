// What all devices of a user acknowledged leaves the user's queues; whoever comes back is served.

#include "server/base/queue_design.hpp"
#include "tests/integration/queue_audit.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;

/// Members are users 1 (who talks), 2 and 3.
class TrimmedQueues : public testing::TestWithParam<QueueDesign> {
 protected:
  static constexpr std::uint64_t channel = 10;

  [[nodiscard]] std::string settings(const std::string& more) const {
    return "durability: os\ncatch_up: {tail_age: 0s}\ndesign: " + std::string{name_of(GetParam())} +
           "\n" + more;
  }
  void begin(const ServerProcess& server) {
    alice_.come_online(server.port());
    alice_.create(channel, {1, 2, 3});
  }
  void say(int messages) {
    for (int i = 0; i < messages; ++i) alice_.say(channel, "hello");
    said_ += static_cast<std::uint64_t>(messages);
  }
  /// Hears what was said so far and acknowledges it; the server has that in its hands then.
  void hear_all(TestDevice& device, const ServerProcess& server) {
    while (device.position(channel) <= said_) device.hear();
    const double before = metric(server.port(), "clamor_device_acks_total");
    device.acknowledge();
    const auto until = std::chrono::steady_clock::now() + TestClient::patience;
    while (metric(server.port(), "clamor_device_acks_total") == before) {
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("no ack arrives");
    }
  }
  [[nodiscard]] std::vector<std::uint64_t> all() const {
    std::vector<std::uint64_t> ids;
    for (std::uint64_t id = 1; id <= said_ + 1; ++id) ids.push_back(id);
    return ids;
  }
  /// Entries that the store of a server which is down has, user 1's and 3's included.
  [[nodiscard]] std::uint64_t stored(const ServerProcess& server) const {
    const QueueAudit audit = audit_queues(server.data(), {GetParam()}, 1, Queues::trimmed);
    EXPECT_EQ(audit.faults.size(), 0U) << audit.faults.front();
    return audit.entries;
  }

  TestDevice alice_{1, 1};
  TestDevice bob_{2, 1};
  std::uint64_t said_ = 0;
};

TEST_P(TrimmedQueues, KeepWhatTheDeviceThatIsAwayLacks) {
  ServerProcess server{settings("store: {queue_flush_records: 10}\n")};
  begin(server);
  TestDevice bobs_other{2, 2};
  bob_.come_online(server.port());
  bobs_other.come_online(server.port());
  say(10);
  hear_all(bob_, server);
  hear_all(bobs_other, server);
  bobs_other.go_offline();
  say(30);
  hear_all(bob_, server);
  wait_for_queues(server.port());
  say(30);  // With flushes, before and after what bob acknowledges.
  hear_all(bob_, server);
  wait_for_queues(server.port());
  const double scans = metric(server.port(), "clamor_queue_scans_total");
  const double log_scans = metric(server.port(), "clamor_log_scans_total");
  bobs_other.come_online(server.port());
  EXPECT_EQ(bobs_other.ids(channel), all());
  EXPECT_EQ(metric(server.port(), "clamor_queue_scans_total"), scans + 1) << "by the queue";
  EXPECT_EQ(metric(server.port(), "clamor_log_scans_total"), log_scans) << "and by it alone";
  bobs_other.acknowledge();
  bob_.go_offline();
  bobs_other.go_offline();
  ASSERT_EQ(server.stop(), 0);
  EXPECT_EQ(stored(server), 2 * 71U) << "users 1 and 3 acknowledged nothing, user 2 everything";
}

TEST_P(TrimmedQueues, AreServedExactlyAfterATrimAndAKill) {
  ServerProcess server{settings("store: {queue_flush_records: 10}\n")};
  begin(server);
  bob_.come_online(server.port());
  for (int round = 0; round < 4; ++round) {
    say(15);
    hear_all(bob_, server);
    if (round == 2) bob_.vanish();
    if (round == 2) break;
  }
  say(25);
  wait_for_queues(server.port());
  server.kill_hard();
  server.start();
  const double log_scans = metric(server.port(), "clamor_log_scans_total");
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.ids(channel), all());
  EXPECT_EQ(metric(server.port(), "clamor_log_scans_total"), log_scans) << "the queue had it all";
  bob_.acknowledge();
  alice_.vanish();
  alice_.come_online(server.port());
  say(5);
  hear_all(bob_, server);
  bob_.vanish();
  say(5);
  wait_for_queues(server.port());
  server.kill_hard();
  server.start();
  TestDevice bobs_new{2, 3};
  for (TestDevice* const device : {&bob_, &bobs_new}) {
    device->come_online(server.port());
    EXPECT_EQ(device->ids(channel), all()) << "trimmed or not";
  }
}

TEST_P(TrimmedQueues, ThatBeginAnewServeWhoHasAPositionInTheOldOnes) {
  ServerProcess server{settings("")};
  begin(server);
  say(30);
  wait_for_queues(server.port());
  bob_.come_online(server.port());
  bob_.acknowledge();
  bob_.go_offline();
  ASSERT_EQ(server.stop(), 0);
  EXPECT_EQ(stored(server), 2 * 31U) << "nothing is left of bob's queue, not its end either";
  server.start();
  alice_.vanish();
  alice_.come_online(server.port());
  say(10);
  wait_for_queues(server.port());
  const double scans = metric(server.port(), "clamor_queue_scans_total");
  const double log_scans = metric(server.port(), "clamor_log_scans_total");
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.ids(channel), all());
  EXPECT_EQ(metric(server.port(), "clamor_queue_scans_total"), scans + 1);
  EXPECT_EQ(metric(server.port(), "clamor_log_scans_total"), log_scans);
}

TEST_P(TrimmedQueues, ANewDeviceGetsFromTheLogWhatTheOthersHadTrimmed) {
  ServerProcess server{settings("")};
  begin(server);
  bob_.come_online(server.port());
  say(20);
  hear_all(bob_, server);
  say(1);  // Its fan-out takes the acknowledgement along.
  wait_for_queues(server.port());
  TestDevice bobs_new{2, 2};
  bobs_new.come_online(server.port());
  EXPECT_EQ(bobs_new.ids(channel), all());
  EXPECT_GT(metric(server.port(), "clamor_log_scans_total"), 0);
}

TEST_P(TrimmedQueues, BeyondTheirBoundAreDroppedAndTheLogServes) {
  ServerProcess server{settings("limits: {queue_entries: 20}\nstore: {queue_flush_records: 10}\n")};
  begin(server);
  bob_.come_online(server.port());
  bob_.go_offline();
  for (int i = 0; i < 4; ++i) {  // Flushes come before what is applied: in between, see to it.
    say(12);
    wait_for_queues(server.port());
  }
  EXPECT_GE(metric(server.port(), "clamor_queues_expired_total"), 3) << "those of all members";
  EXPECT_EQ(metric(server.port(), "clamor_devices_expired_total"), 0);
  bob_.come_online(server.port());
  EXPECT_EQ(bob_.ids(channel), all());
  EXPECT_GT(metric(server.port(), "clamor_log_scans_total"), 0);
  ASSERT_EQ(server.stop(), 0);
  EXPECT_LE(stored(server), 3 * 30U);
}

TEST_P(TrimmedQueues, DoNotWaitForADeviceThatWasSilentForTooLong) {
  ServerProcess server{
      settings("limits: {device_expires_after: 2s}\nstore: {queue_flush_records: 1}\n")};
  begin(server);
  TestDevice bobs_other{2, 2};
  bob_.come_online(server.port());
  bobs_other.come_online(server.port());
  bobs_other.go_offline();
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (metric(server.port(), "clamor_devices_expired_total") == 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "it never expires";
    say(1);
    hear_all(bob_, server);  // Signs of life.
    alice_.acknowledge();
    wait_for_queues(server.port());
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(metric(server.port(), "clamor_devices_expired_total"), 1) << "bob and alice were there";
  bobs_other.come_online(server.port());
  EXPECT_EQ(bobs_other.ids(channel), all());
  EXPECT_GT(metric(server.port(), "clamor_log_scans_total"), 0);
}

INSTANTIATE_TEST_SUITE_P(Designs, TrimmedQueues,
                         testing::Values(QueueDesign::per_user, QueueDesign::per_member),
                         [](const auto& of) { return std::string{name_of(of.param)}; });

}  // namespace
}  // namespace clamor::test
