#include "server/app/settings.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

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
  settings.address = "::1";
  settings.port = 7;
  settings.data = "/var/lib/a \"quoted\" place";
  settings.design = {QueueDesign::hybrid, 77};
  settings.durability = store::Durability::os;
  settings.ack_after = AckAfter::fanout;
  settings.payload = QueuePayload::copy;
  settings.queue_flush_records = 1234;
  settings.queue_entries_max = 4321;
  settings.device_expires_after = 36h;
  settings.heartbeat_interval = 1500ms;
  settings.tail_age = 0s;
  settings.page = {3, 4096};
  const std::string printed = print_settings(settings);
  EXPECT_EQ(print_settings(read(printed)), printed);
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
      "payload: copies\n");
  for (const std::string expected :
       {":1:13:", ":2:20:", ":2:23:", ":2:58:", ":2:79:", ":3:11:", ":4:30:", ":5:12:",
        "did you mean \"fanout\"?", ":6:30:", ":7:10:"}) {
    EXPECT_NE(faults.find(expected), std::string::npos) << expected << "\n" << faults;
  }
}

TEST_F(SettingsFile, AnIdleSessionMustOutliveTwoHeartbeats) {
  EXPECT_NE(faults_of("heartbeat: {interval: 10s, offline_after: 10s}\n").find("offline_after"),
            std::string::npos);
}

TEST_F(SettingsFile, ListenNamesAnAddressAndAPort) {
  EXPECT_EQ(read("listen: \"[::1]:80\"\n").address, "::1");
  EXPECT_EQ(read("listen: 0.0.0.0:0\n").port, 0);
  for (const std::string wrong : {"localhost", "localhost:80", ":80", "a:b", "a:70000", "a:-1"}) {
    Settings settings;
    EXPECT_THROW(set_listen(settings, wrong, "--listen"), scenario::ConfigError) << wrong;
  }
}

}  // namespace
}  // namespace clamor::server
