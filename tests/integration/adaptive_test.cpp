// A server under adaptive: who comes back for every other message gets a queue by a record of the
// channel, who stays away loses it by another; across both, and across a kill, nobody misses
// anything.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

using core::RecordKind;

constexpr std::uint64_t channel = 10;
constexpr std::uint64_t window = 8;

class Adaptive : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (TestDevice* device : {&writer_, &commuter_, &across_}) device->come_online(port());
    writer_.create(channel, {1, 2, 3});
    for (TestDevice* device : {&commuter_, &across_}) {
      device->hear();
      device->go_offline();
    }
  }
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }
  [[nodiscard]] std::uint64_t counted(const std::string& name) const {
    return static_cast<std::uint64_t>(metric(port(), "clamor_" + name + "_total"));
  }
  /// The next message, and the commuter comes for it and leaves.
  void say_and_read() {
    writer_.say(channel, "for the commuter");
    wait_for_queues(port());
    commuter_.come_online(port());
    commuter_.go_offline();
  }
  void say(std::uint64_t messages) {
    for (; messages != 0; --messages) writer_.say(channel, "for nobody in particular");
    wait_for_queues(port());
  }
  /// Says something until there are so many records of modes; how many messages that took.
  template <class Say>
  std::uint64_t until_modes_change(std::uint64_t records, Say say_one) {
    std::uint64_t messages = 0;
    while (counted("mode_records") < records) {
      say_one();
      if (++messages > 4 * window) throw std::runtime_error("modes never change");
    }
    return messages;
  }

  ServerProcess server_{"durability: os\ndesign: {adaptive: {window: " + std::to_string(window) +
                        "}}\ncatch_up: {tail_age: 0s}\n" + GetParam()};
  TestDevice writer_{1, 1};
  TestDevice commuter_{2, 1};
  TestDevice across_{3, 1};  ///< Away across all changes.
};

TEST_P(Adaptive, QueuesFollowWhoReadsOftenAcrossAKillAndNobodyMissesAnything) {
  EXPECT_EQ(until_modes_change(1, [&] { say_and_read(); }), window - 1) << "record 1 is the join";
  EXPECT_EQ(counted("queue_entries"), 1U) << "of the record that says so, and nobody else's";
  EXPECT_EQ(counted("queue_scans"), 0U);
  const std::uint64_t log_scans = counted("log_scans");
  for (int i = 0; i < 4; ++i) say_and_read();
  EXPECT_EQ(counted("queue_entries"), 5U);
  EXPECT_EQ(counted("queue_scans"), 4U);
  EXPECT_EQ(counted("log_scans"), log_scans);

  server_.kill_hard();
  server_.start();
  writer_.come_online(port());
  const std::uint64_t redone = counted("queue_entries");
  say_and_read();
  EXPECT_EQ(counted("queue_entries"), redone + 1) << "the mode is in the log";
  EXPECT_EQ(counted("queue_scans"), 1U);
  EXPECT_EQ(counted("log_scans"), 0U);
  EXPECT_EQ(counted("mode_records"), 0U);

  // Nobody reads any more: two windows at most until that is seen of a whole one.
  EXPECT_LE(until_modes_change(1, [&] { say(1); }), 2 * window);
  const std::uint64_t entries = counted("queue_entries");
  say(window);
  EXPECT_EQ(counted("queue_entries"), entries);
  EXPECT_EQ(counted("mode_records"), 1U);

  const std::uint64_t head = writer_.say(channel, "the last").value;
  for (TestDevice* device : {&commuter_, &across_}) {
    device->come_online(port());
    EXPECT_EQ(device->position(channel), head) << "user " << device->user();
  }
  TestDevice reader{2, 2};  // New: gets all of it.
  reader.come_online(port());
  ASSERT_EQ(reader.ids(channel), ids_from(1, head));
  std::uint64_t modes = 0;
  for (const Kept& kept : reader.kept(channel)) {
    if (kept.record.kind != RecordKind::member_mode) continue;
    ++modes;
    EXPECT_EQ(kept.record.id.value % window, 1U) << "behind a window";
    EXPECT_EQ(kept.body, "") << "who reads often is the server's affair";
    EXPECT_EQ(kept.record.sender, UserId{});
  }
  EXPECT_EQ(modes, 2U);
}

std::string payload_name(const testing::TestParamInfo<const char*>& of) {
  return of.index == 0 ? "reference" : "copy";
}

INSTANTIATE_TEST_SUITE_P(Payloads, Adaptive, testing::Values("", "payload: copy\n"), payload_name);

TEST(AdaptiveStorm, ManyWhoComeBackAtOnceAreNamedByOneRecord) {
  constexpr std::uint64_t users = 40;
  ServerProcess server{"durability: os\ndesign: {adaptive: {window: 4}}\n"};
  std::vector<TestDevice> devices;
  for (std::uint64_t user = 1; user <= users; ++user) devices.emplace_back(user, 1);
  devices[0].come_online(server.port());
  devices[0].create(channel, ids_from(1, users));
  for (int round = 0; round < 3; ++round) {
    devices[0].say(channel, "news");
    for (std::size_t i = 1; i < devices.size(); ++i) {
      devices[i].come_online(server.port());
      devices[i].go_offline();
    }
  }
  EXPECT_EQ(metric(server.port(), "clamor_mode_records_total"), 1);
  devices[0].say(channel, "in the queues of all who come and go");
  wait_for_queues(server.port());
  EXPECT_EQ(metric(server.port(), "clamor_queue_entries_total"), 2 * (users - 1));
}

}  // namespace
}  // namespace clamor::test
