// Nodes in several processes: how they find one another, and what happens where they must not.

#include "tests/integration/local_nodes.hpp"
#include "tests/integration/server_processes.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t nodes = 3;
constexpr std::uint64_t first_channel = 10;
constexpr std::uint64_t last_channel = 21;

TEST(Processes, AMessageReachesTheMembersAtEveryNodeAndARestartOfAllKeepsIt) {
  ServerProcesses servers{"durability: os\ncatch_up: {tail_age: 0s}\n", nodes};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  TestDevice carol{3, 1};
  alice.come_online(servers.port(0));
  bob.come_online(servers.port(1));
  carol.come_online(servers.port(2));
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    alice.create(channel, {1, 2, 3});
    EXPECT_EQ(bob.hear().record.id, MessageId{1});
    EXPECT_EQ(carol.hear().record.id, MessageId{1});
    EXPECT_EQ(bob.say(channel, "by bob"), MessageId{2});
    EXPECT_EQ(carol.hear().body, "by bob");
  }
  for (const std::uint16_t port : servers.ports()) {
    EXPECT_GT(metric(port, "clamor_bus_frames_total"), 0);
    EXPECT_EQ(metric(port, "clamor_repairs_total"), 0);
    wait_for_queues(port);
  }
  EXPECT_EQ(servers.stop(), 0) << servers.log(0) << servers.log(1) << servers.log(2);
  std::ostringstream noted;
  noted << std::ifstream{servers.data() + "/deployment"}.rdbuf();
  for (std::uint32_t node = 0; node < nodes; ++node) {
    const std::string line = "node " + std::to_string(node) + " term 1 listen 127.0.0.1 " +
                             std::to_string(servers.port(node)) + "\n";
    EXPECT_NE(noted.str().find(line), std::string::npos) << noted.str();
  }

  servers.start_all();
  TestDevice phone{2, 2};
  phone.come_online(servers.port(0));
  for (std::uint64_t channel = first_channel; channel <= last_channel; ++channel) {
    EXPECT_EQ(phone.ids(channel), ids_from(1, 2));
  }
}

// What goes on while two processes do not reach each other, and after.
class ACableIsCut : public testing::Test {
 protected:
  static constexpr std::chrono::milliseconds linger{300};
  ServerProcesses servers_{
      "durability: os\nstore: {queue_linger: " + std::to_string(linger.count()) + "ms}\n", 2, true};
  /// Whether node 1 had a message's entry, applied it and could not say so when the cable was cut:
  /// the bytes on it may be lost with it, and all may be over sooner. Leaves the cable cut.
  bool an_entry_is_applied_behind_a_cut(TestDevice& alice) {
    for (const std::uint16_t port : servers_.ports()) wait_for_queues(port);
    const double applied = metric(servers_.port(1), "clamor_queue_entries_total");
    alice.say(near_channel_, "its entry is under way");
    servers_.cable().cut();
    servers_.await_links(1);
    const auto until = std::chrono::steady_clock::now() + 5 * linger;
    while (metric(servers_.port(1), "clamor_queue_entries_total") == applied) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(5ms);
    }
    return metric(servers_.port(0), "clamor_fan_out_lag_records") == 1;
  }

  /// The user of node 1 whom a channel of node 0 has.
  const std::uint64_t far_user_ = LocalNodes::user_of(1, 1, 2);
  const std::uint64_t near_channel_ = LocalNodes::channel_of(0, 10, 2);
};

TEST_F(ACableIsCut, EntriesThatWereAppliedMeanwhileAreSaidSoAfterwards) {
  TestDevice alice{LocalNodes::user_of(0, 1, 2), 1};
  alice.come_online(servers_.port(0));
  alice.create(near_channel_, {alice.user(), far_user_});
  bool bit = false;
  for (int attempt = 0; attempt < 20 && !bit; ++attempt) {
    bit = an_entry_is_applied_behind_a_cut(alice);
    servers_.cable().mend();
    servers_.await_links();
    wait_for_queues(servers_.port(0));  // Nobody sends anything more.
  }
  EXPECT_TRUE(bit) << "every cut came before the entry, or after it was told of";
  EXPECT_EQ(servers_.stop(), 0);
}

TEST_F(ACableIsCut, TheDeviceThatLoggedInElsewhereMeanwhileKeepsItsLaterSession) {
  const std::uint64_t user = LocalNodes::user_of(0, 1, 2);
  TestDevice before{user, 1};
  TestDevice after{user, 1};
  before.come_online(servers_.port(1));
  servers_.cable().cut();
  servers_.await_links(1);
  after.come_online(servers_.port(0));
  servers_.cable().mend();
  EXPECT_EQ(before.client().expect_close().code, 4409);
  after.create(near_channel_, {user, far_user_});
  EXPECT_EQ(after.say(near_channel_, "still here"), MessageId{2});
  EXPECT_EQ(servers_.stop(), 0);
}

/// A `clamor serve` that does not start: what it says.
std::string refusal_of(const std::string& config, const std::vector<std::string>& more) {
  const TemporaryDirectory directory;
  std::vector<std::string> arguments{CLAMOR_BINARY, "serve", "--config", config};
  arguments.insert(arguments.end(), more.begin(), more.end());
  ChildProcess process{arguments, directory / "log"};
  EXPECT_EQ(process.wait(), 104) << process.log();
  return process.log();
}

TEST(Processes, WhatAProcessHostsIsCheckedBeforeAnythingElse) {
  const TemporaryDirectory directory;
  const std::string list = directory / "list.yaml";
  std::ofstream{list} << "secret: integration tests\ndata: " << (directory / "data")
                      << "\nnodes: [{listen: 127.0.0.1:0, bus: 127.0.0.1:1}, "
                         "{listen: 127.0.0.1:0, bus: 127.0.0.1:2}]\n";
  const std::string number = directory / "number.yaml";
  std::ofstream{number} << "secret: integration tests\nnodes: 2\n";
  const auto expect = [](const std::string& said, const std::string& expected) {
    EXPECT_NE(said.find(expected), std::string::npos) << said;
  };
  expect(refusal_of(list, {}), "none that this process hosts; expected --host 0");
  expect(refusal_of(list, {"--host", "2"}), "--host names node 2, but the settings list 2");
  expect(refusal_of(list, {"--host", "1,1"}), "--host names node 1 twice");
  expect(refusal_of(list, {"--host", "0", "--nodes", "2"}), "--nodes does not go with the list");
  expect(refusal_of(list, {"--host", "0", "--listen", "127.0.0.1:0"}),
         "--listen does not go with the list");
  expect(refusal_of(number, {"--host", "0"}), "expected a list of all nodes");
}

/// Waits, in bounded time, for what /readyz answers.
::testing::AssertionResult becomes(std::uint16_t port, const std::string& status,
                                   const std::string& words) {
  const auto until = std::chrono::steady_clock::now() + TestClient::patience;
  for (;;) {
    const std::string answer = TestClient::get(port, "/readyz");
    const bool is = answer.starts_with("HTTP/1.1 " + status) && answer.ends_with(words + "\n");
    if (is) return ::testing::AssertionSuccess();
    if (std::chrono::steady_clock::now() > until) return ::testing::AssertionFailure() << answer;
    std::this_thread::sleep_for(5ms);
  }
}

TEST(Processes, ANodeIsReadyWhileItReachesTheOthersAndAliveWhateverBecomesOfThem) {
  ServerProcesses servers{"durability: os\nlog: {format: json}\n", 2};
  EXPECT_TRUE(becomes(servers.port(0), "200", "ready"));
  servers.drop(1);
  EXPECT_TRUE(becomes(servers.port(0), "503", "node 1 cannot be reached"));
  EXPECT_TRUE(TestClient::get(servers.port(0), "/healthz").starts_with("HTTP/1.1 200"));
  servers.start(1);
  EXPECT_TRUE(becomes(servers.port(0), "200", "ready"));
  EXPECT_TRUE(becomes(servers.port(1), "200", "ready"));

  std::vector<std::string> said;
  std::istringstream log{servers.log(0)};
  for (std::string line; std::getline(log, line);) {
    const auto event = nlohmann::json::parse(line);
    EXPECT_TRUE(event.contains("time") && event.contains("level")) << line;
    if (event.value("peer", 0) != 1 || event.value("node", 1) != 0) continue;
    if (said.empty() || said.back() != event["what"]) said.push_back(event["what"]);
  }
  // Until the other listens the link is down, which may be seen or not.
  if (said.front() == "node down") said.erase(said.begin());
  EXPECT_EQ(said, (std::vector<std::string>{"node up", "node down", "node up"}));
}

TEST(Processes, ANodeOfAnotherDeploymentOrWithoutTheSecretIsNotLetIn) {
  ServerProcesses servers{"durability: os\n", 2};
  servers.drop(1);
  std::ostringstream text;
  text << std::ifstream{servers.config()}.rdbuf();
  const auto intrude = [&](const std::string& setting, const std::string& instead) {
    std::string changed = text.str();
    changed.replace(changed.find(setting), setting.size(), instead);
    const TemporaryDirectory directory;
    std::ofstream{directory / "serve.yaml"} << changed;
    ChildProcess process{{CLAMOR_BINARY, "serve", "--config", directory / "serve.yaml", "--data",
                          directory / "data", "--host", "1"},
                         directory / "log"};
    process.read_line();
    const auto until = std::chrono::steady_clock::now() + TestClient::patience;
    while (process.log().find("error=\"it ") == std::string::npos) {
      if (std::chrono::steady_clock::now() > until) return "it says nothing: " + process.log();
      std::this_thread::sleep_for(5ms);  // A log file tells of no change.
    }
    EXPECT_EQ(metric(servers.port(1), "clamor_nodes_up"), 1);
    EXPECT_EQ(metric(servers.port(0), "clamor_nodes_up"), 1);
    return process.log();
  };
  EXPECT_NE(intrude("integration tests", "another secret of mine").find("same `secret`"),
            std::string::npos);
  const std::string other = intrude("durability: os", "durability: os\ndesign: per_group");
  EXPECT_NE(other.find("2 nodes, per_user, payload reference"), std::string::npos) << other;
  EXPECT_NE(other.find("2 nodes, per_group, payload reference"), std::string::npos) << other;
}

}  // namespace
}  // namespace clamor::test
