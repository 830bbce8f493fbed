#include "server/app/settings.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace clamor::server {
namespace {

class SettingsFile : public testing::Test {
 protected:
  Settings read(const std::string& text) {
    const std::string path = directory_ / "serve.yaml";
    std::ofstream{path} << text;
    return read_settings(path);
  }
  std::string faults_of(const std::string& text) {
    try {
      (void)read(text);
    } catch (const scenario::ConfigError& error) {
      return error.what();
    }
    return "";
  }
  test::TemporaryDirectory directory_;
};

TEST_F(SettingsFile, PrintedSettingsReadBackAsThemselves) {
  Settings settings;
  settings.listen = {"::1", 7};
  settings.data = "/var/lib/a \"quoted\" place";
  settings.design = {QueueDesign::hybrid, 77};
  settings.durability = store::Durability::os;
  settings.threads = Threads::pinned;
  settings.ack_after = AckAfter::fanout;
  settings.payload = QueuePayload::copy;
  settings.tls = {"/etc/a \"quoted\" cert.pem", "key.pem"};
  settings.log = {log::Level::warning, log::Format::json};
  settings.resume_for = 90s;
  settings.token_for = 5min;
  settings.password_cost = {3, 1 << 20U};
  settings.password_threads = 2;
  settings.passwords_waiting_max = 9;
  settings.queue_flush_records = 1234;
  settings.queue_entries_max = 4321;
  settings.device_expires_after = 36h;
  settings.heartbeat_interval = 1500ms;
  settings.offline_delay = 0s;
  settings.tail_age = 0s;
  settings.retention = {.records = 5000, .age = 720h};
  settings.queue_flush_after = 3s;
  settings.page = {3, 4096};
  settings.admission = {.age = {10ms, 0ms, 3s}, .sustained = 1ms};
  settings.send_rate = {.per_second = 7, .burst = 8};
  settings.connection_rate = {.per_second = 9, .burst = 1};
  settings.drain = {.period = 90s, .reconnect_from = 1ms, .reconnect_to = 2s};
  std::string printed = print_settings(settings);
  EXPECT_EQ(print_settings(read(printed)), printed);
  settings.design = {.design = QueueDesign::adaptive, .window = 77};
  printed = print_settings(settings);
  EXPECT_EQ(print_settings(read(printed)), printed);
  EXPECT_EQ(read(printed).design, settings.design);
}

TEST_F(SettingsFile, TheWindowOfAdaptiveMayChangeOverTheSameData) {
  EXPECT_EQ(layout_of(read("design: {adaptive: {window: 8}}\n").design),
            layout_of(read("design: adaptive\n").design));
  EXPECT_NE(layout_of(read("design: adaptive\n").design),
            layout_of(read("design: per_user\n").design));
  EXPECT_NE(faults_of("design: {adaptive: {window: 3}}\n").find(":1:29:"), std::string::npos);
}

TEST_F(SettingsFile, TheSecretIsReadButNeverPrinted) {
  const Settings settings = read("secret: a swordfish of length\n");
  EXPECT_EQ(settings.secret, "a swordfish of length");
  EXPECT_EQ(print_settings(settings).find("swordfish"), std::string::npos);
}

TEST_F(SettingsFile, AShortSecretIsRefusedAtItsPlace) {
  const std::string faults = faults_of("secret: swordfish\n");
  EXPECT_NE(faults.find(":1:9:"), std::string::npos) << faults;
  EXPECT_NE(faults.find("at least 16"), std::string::npos) << faults;
}

TEST_F(SettingsFile, EveryFaultIsNamedWithItsPlace) {
  const std::string faults = faults_of(
      "durability: never\n"
      "limits: {sessions: 0, nonsense: 1, device_expires_after: 10ms, queue_entries: 0}\n"
      "catch_up: [1]\n"
      "design: {hybrid: {threshold: 0}}\n"
      "ack_after: fan_out\n"
      "store: {queue_flush_records: 0}\n"
      "payload: copies\n"
      "tls: {certificate: a.pem}\n"
      "login: {resume_for: 10ms}\n"
      "log: {level: warn, colour: 1}\n"
      "passwords: {hash_memory_bytes: 100, waiting: 0}\n"
      "retention: {records: 0, age: 5ms, size: 1}\n");
  for (const std::string expected :
       {":1:13:", ":2:20:", ":2:23:", ":2:58:", ":2:79:", ":3:11:", ":4:30:", ":5:12:",
        "did you mean \"fanout\"?", ":6:30:", ":7:10:", ":8:6:", ":9:21:", ":10:14:",
        "did you mean \"warning\"?", ":10:20:", ":11:32:", ":11:46:", ":12:22:", ":12:30:",
        ":12:35:"}) {
    EXPECT_NE(faults.find(expected), std::string::npos) << expected << "\n" << faults;
  }
}

TEST_F(SettingsFile, WhatIsTurnedAwayFirstHasTheLowestAge) {
  EXPECT_EQ(faults_of("admission: {lossy_age: 1s, login_age: 1s, message_age: 0s}\n"), "");
  EXPECT_EQ(faults_of("admission: {lossy_age: 1s, login_age: 0s, message_age: 2s}\n"), "");
  const std::string faults =
      faults_of("admission: {lossy_age: 3s, login_age: 0s, message_age: 2s, sustained: 1h}\n");
  EXPECT_NE(faults.find(":1:56: message_age is 2s, below the 3s"), std::string::npos) << faults;
  EXPECT_NE(faults.find(":1:71:"), std::string::npos) << faults;
}

TEST_F(SettingsFile, RatesAndDrainNameWhatIsWrong) {
  const std::string faults = faults_of(
      "rates: {sends: {per_second: -1}, requests: {burst: 0}, logins: 3}\n"
      "drain: {reconnect_from: 5s, reconnect_to: 1s}\n");
  for (const std::string expected : {":1:29:", ":1:52:", ":1:56:", ":2:43:"}) {
    EXPECT_NE(faults.find(expected), std::string::npos) << expected << "\n" << faults;
  }
}

TEST_F(SettingsFile, DepthCostsNoStack) {
  EXPECT_NE(faults_of("data: " + std::string(200'000, '[')), "");
  EXPECT_NE(faults_of("data: " + std::string(200'000, '[') + std::string(200'000, ']')), "");
}

TEST_F(SettingsFile, AnIdleSessionMustOutliveTwoHeartbeats) {
  EXPECT_NE(faults_of("heartbeat: {interval: 10s, offline_after: 10s}\n").find("offline_after"),
            std::string::npos);
}

TEST_F(SettingsFile, ListenNamesAnAddressAndAPort) {
  EXPECT_EQ(read("listen: \"[::1]:80\"\n").listen.host, "::1");
  EXPECT_EQ(read("listen: 0.0.0.0:0\n").listen.port, 0);
  for (const std::string wrong : {"localhost", "localhost:80", ":80", "a:b", "a:70000", "a:-1"}) {
    Settings settings;
    EXPECT_THROW(set_listen(settings, wrong, "--listen"), scenario::ConfigError) << wrong;
  }
}

TEST_F(SettingsFile, NodesOfSeveralProcessesAreAListAndWhichOfThemThisOneHosts) {
  const std::string text =
      "nodes:\n"
      "  - {listen: 127.0.0.1:0, bus: 127.0.0.1:7200}\n"
      "  - {listen: 10.0.0.2:7100, bus: 10.0.0.2:7200}\n"
      "  - {listen: \"[::1]:7100\", bus: \"[::1]:7200\"}\n"
      "host: [2, 0]\n";
  const Settings settings = read(text);
  EXPECT_EQ(settings.nodes, 3U);
  EXPECT_EQ(hosted(settings), (std::vector<NodeId>{{0}, {2}}));
  EXPECT_EQ(listen_of(settings, {1}), (Address{"10.0.0.2", 7100}));
  EXPECT_EQ(settings.places[2].bus, (Address{"::1", 7200}));
  EXPECT_TRUE(server::faults_of(settings).empty());
  const std::string printed = print_settings(settings);
  EXPECT_EQ(print_settings(read(printed)), printed);

  Settings alone = read("listen: 127.0.0.1:7000\nnodes: 2\n");
  EXPECT_EQ(hosted(alone), (std::vector<NodeId>{{0}, {1}}));
  EXPECT_EQ(listen_of(alone, {1}), (Address{"127.0.0.1", 7001}));
  alone.listen.port = 65'535;
  ASSERT_EQ(server::faults_of(alone).size(), 1U);
}

TEST_F(SettingsFile, NodesListenAtOneAddressOnlyWhereDifferentProcessesHostThem) {
  const std::string list =
      "nodes:\n"
      "  - {listen: 0.0.0.0:7100, bus: 10.0.0.1:7200}\n"
      "  - {listen: 0.0.0.0:7100, bus: 10.0.0.2:7200}\n"
      "  - {listen: 10.0.0.1:7200, bus: 10.0.0.3:7200}\n";
  EXPECT_TRUE(server::faults_of(read(list + "host: [0]\n")).empty());
  EXPECT_TRUE(server::faults_of(read(list + "host: [1, 2]\n")).empty());
  const auto both = server::faults_of(read(list + "host: [0, 1]\n"));
  ASSERT_EQ(both.size(), 1U);
  EXPECT_NE(both[0].find("`listen` of node 0 in the list and `listen` of node 1 are both 0.0.0.0:"),
            std::string::npos)
      << both[0];
  const auto on_bus = server::faults_of(read(list + "host: [0, 2]\n"));
  ASSERT_EQ(on_bus.size(), 1U);
  EXPECT_NE(on_bus[0].find("`listen` of node 2 in the list and `bus` of node 0"), std::string::npos)
      << on_bus[0];
}

TEST_F(SettingsFile, EveryFaultOfAListOfNodesIsNamedWithItsPlace) {
  const std::string faults = faults_of(
      "nodes:\n"
      "  - {listen: 127.0.0.1:7100}\n"
      "  - {listen: localhost:7101, bus: 127.0.0.1:0}\n"
      "  - {listen: 127.0.0.1:7102, bus: 0.0.0.0:7202}\n"
      "  - {listen: 127.0.0.1:7103, bus: 127.0.0.1:7205}\n"
      "  - {listen: 127.0.0.1:7104, bus: 127.0.0.1:7205, buss: 1}\n"
      "listen: 127.0.0.1:7100\n"
      "host: [x, 64]\n");
  for (const std::string expected :
       {":2:5:", ":3:14:", ":3:35:", ":4:35:", ":6:35: bus 127.0.0.1:7205 stands twice",
        ":6:51:", ":7:9:", ":8:8:", ":8:11:"}) {
    EXPECT_NE(faults.find(expected), std::string::npos) << expected << "\n" << faults;
  }
  EXPECT_NE(faults_of("nodes: [{listen: 127.0.0.1:1, bus: 127.0.0.1:2}]\n").find("expected 2 to"),
            std::string::npos);
  EXPECT_NE(faults_of("nodes: 17\n").find(":1:8:"), std::string::npos);
}

}  // namespace
}  // namespace clamor::server
