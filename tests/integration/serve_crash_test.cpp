// What survives when a real `clamor serve` is killed, stopped, or cannot write; and what it says
// when it cannot start.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using protocol::RefusalCode;

/// A user that sends as fast as the server acknowledges, 32 at a time, until the connection breaks.
class Sender {
 public:
  Sender(std::uint64_t user, std::uint64_t channel) : user_{user}, channel_{channel} {}

  void run(std::uint16_t port) {
    TestClient client{port};
    client.upgrade();
    const std::string token = token_of(user_);
    client.send(protocol::Login{.token = token, .device = {1}, .positions = {}});
    try {
      (void)client.expect<protocol::LoginAccepted>();
      (void)client.expect<protocol::Page>();
      for (std::uint64_t next = 1;; ++next) {
        const std::string body = body_of(next);
        client.send(protocol::Send{{channel_}, {next}, std::as_bytes(std::span{body})});
        while (acknowledged_.size() + 32 <= next) take_ack(client);
      }
    } catch (const std::runtime_error&) {  // The kill.
    }
  }
  [[nodiscard]] std::string body_of(std::uint64_t client_message_id) const {
    return std::to_string(user_) + ":" + std::to_string(client_message_id);
  }
  /// message_id by client_message_id.
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& acknowledged() const {
    return acknowledged_;
  }
  [[nodiscard]] std::uint64_t user() const { return user_; }

 private:
  void take_ack(TestClient& client) {
    const TestClient::Arrived arrived = client.receive();
    if (const auto* ack = std::get_if<protocol::Ack>(&arrived.message)) {
      acknowledged_[ack->client_message_id.value] = ack->message_id.value;
    }
  }

  std::uint64_t user_;
  std::uint64_t channel_;
  std::map<std::uint64_t, std::uint64_t> acknowledged_;
};

class KilledUnder : public testing::TestWithParam<const char*> {};

TEST_P(KilledUnder, EveryAcknowledgedMessageIsStillThereAndTheQueuesAreRedone) {
  constexpr std::uint64_t channel = 10;
  ServerProcess server{std::string{"durability: os\ndesign: "} + GetParam() + "\n"};
  TestDevice founder{1, 1};
  founder.come_online(server.port());
  founder.create(channel, {1, 2, 3, 4, 5});
  founder.go_offline();
  std::vector<Sender> senders;
  for (std::uint64_t user = 2; user <= 4; ++user) senders.emplace_back(user, channel);
  std::vector<std::thread> threads;
  for (Sender& sender : senders) {
    threads.emplace_back([&sender, &server] { sender.run(server.port()); });
  }
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (metric(server.port(), "clamor_records_total") < 2000 &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(5ms);
  }
  server.kill_hard();
  for (std::thread& thread : threads) thread.join();

  server.start();
  const double redone = metric(server.port(), "clamor_queue_entries_total");
  TestDevice reader{5, 1};
  reader.come_online(server.port());
  const std::vector<Kept>& kept = reader.kept(channel);
  ASSERT_GE(kept.size(), 2000U);
  EXPECT_EQ(reader.ids(channel), ids_from(1, kept.size())) << "no gap, no repetition";
  std::size_t acknowledged = 0;
  for (const Sender& sender : senders) {
    acknowledged += sender.acknowledged().size();
    for (const auto& [client_message_id, id] : sender.acknowledged()) {
      ASSERT_LE(id, kept.size()) << "acknowledged, then lost";
      ASSERT_EQ(kept[id - 1].body, sender.body_of(client_message_id)) << "replaced";
      ASSERT_EQ(kept[id - 1].record.sender, UserId{sender.user()});
    }
  }
  EXPECT_GE(acknowledged, 1500U);
  // The killed server's queue rows were in memory only: the journal gives them back.
  const bool per_user = std::string{GetParam()} != "per_group";
  EXPECT_EQ(redone, per_user ? 5.0 * static_cast<double>(kept.size()) : 0.0);
  EXPECT_EQ(metric(server.port(), "clamor_queue_scans_total"), per_user ? 1 : 0);
  EXPECT_EQ(metric(server.port(), "clamor_log_scans_total"), per_user ? 0 : 1);
}

TEST_P(KilledUnder, AResendAcrossTheRestartKeepsItsId) {
  ServerProcess server{std::string{"durability: fsync\ndesign: "} + GetParam() + "\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2});
  alice.hear();
  const MessageId id = alice.say(10, "acknowledged");
  server.kill_hard();
  server.start();
  alice.come_online(server.port());
  alice.client().send(protocol::Send{{10}, {1}, {}});
  EXPECT_EQ(alice.client().expect<protocol::Ack>().message_id, id);
  EXPECT_EQ(alice.say(10, "next"), id + 1);
}

INSTANTIATE_TEST_SUITE_P(Designs, KilledUnder,
                         testing::Values("per_user", "per_user\npayload: copy", "per_group"),
                         [](const auto& of) {
                           const std::string name = of.param;
                           return name.find('\n') == std::string::npos ? name : "per_user_copies";
                         });

TEST(ServeStops, OnSigtermItAnswersWhatItAcceptedClosesSessionsAndExitsWithZero) {
  ServerProcess server{"durability: fsync\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1, 2});
  alice.hear();
  bob.hear();
  alice.say(10, "kept");
  EXPECT_EQ(bob.hear().body, "kept");
  server.process().signal(SIGTERM);
  for (TestDevice* device : {&alice, &bob}) {
    EXPECT_EQ(device->client().expect_close().code,
              static_cast<std::uint16_t>(protocol::CloseCode::draining));
  }
  alice.go_offline();
  bob.go_offline();
  EXPECT_EQ(server.process().wait(), 0);

  server.start();
  EXPECT_EQ(metric(server.port(), "clamor_queue_entries_total"), 0) << "nothing to redo";
  TestDevice bob_phone{2, 2};
  bob_phone.come_online(server.port());
  EXPECT_EQ(bob_phone.ids(10), ids_from(1, 2));
  server.process().signal(SIGINT);
  EXPECT_EQ(server.process().wait(), 0);
}

TEST(ServeStops, AtOnceOnASecondSignalAndSaysWhatThatMayLose) {
  ServerProcess server{"durability: os\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1});
  alice.say(10, "kept");
  server.process().signal(SIGTERM);
  (void)alice.client().expect_close();  // It waits for alice to close in turn.
  server.process().signal(SIGTERM);
  EXPECT_EQ(server.process().wait(), 105);
  EXPECT_NE(server.process().log().find("Nothing that was acknowledged is lost"),
            std::string::npos);
  alice.go_offline();
  server.start();
  TestDevice phone{1, 2};
  phone.come_online(server.port());
  EXPECT_EQ(phone.ids(10), ids_from(1, 2));
}

/// Bounds the size of files that a process writes: to it, the disk is full.
void set_file_size_limit(pid_t pid, rlim_t bytes) {
  rlimit limit{};
  ASSERT_EQ(prlimit(pid, RLIMIT_FSIZE, nullptr, &limit), 0);
  limit.rlim_cur = bytes;
  ASSERT_EQ(prlimit(pid, RLIMIT_FSIZE, &limit, nullptr), 0);
}

TEST(ServeWithAFullDisk, RefusesTypedAndGoesOnFromTheLogOnceThereIsRoom) {
  ServerProcess server{"durability: os\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1, 2});
  alice.hear();
  bob.hear();
  alice.say(10, "2, before");
  EXPECT_EQ(bob.hear().body, "2, before");

  set_file_size_limit(server.process().pid(), 1024);
  const std::string body(8 * 1024, 'x');
  alice.send(10, 2, body);
  const auto refusal = alice.client().expect<protocol::Refused>();
  EXPECT_EQ(refusal.code, RefusalCode::store_failed);
  EXPECT_GT(refusal.retry_after, Duration{});
  EXPECT_EQ(refusal.client_message_id, ClientMessageId{2});
  EXPECT_EQ(metric(server.port(), "clamor_append_failures_total"), 1);
  EXPECT_TRUE(bob.client().is_silent(20ms)) << "nobody hears of what is not durable";
  ASSERT_EQ(metric(server.port(), "clamor_store_failed"), 1) << "no rebuild without room";
  TestClient early{server.port()};
  early.upgrade();
  const std::string token = token_of(2);
  early.send(protocol::Login{.token = token, .device = {3}});
  const auto turned_away = early.expect<protocol::Refused>();
  EXPECT_EQ(turned_away.code, RefusalCode::store_failed) << "no catch-up from a state in rebuild";
  EXPECT_GT(turned_away.retry_after, Duration{});

  set_file_size_limit(server.process().pid(), RLIM_INFINITY);
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (metric(server.port(), "clamor_store_failed") != 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << server.process().log();
    std::this_thread::sleep_for(20ms);
  }
  alice.send(10, 2, "3, after");
  EXPECT_EQ(alice.take_ack(10), MessageId{3}) << "the refused one took no id";
  EXPECT_EQ(bob.hear().body, "3, after") << "its session outlived the failure";
  EXPECT_GE(metric(server.port(), "clamor_rebuilds_total"), 1);
  wait_for_queues(server.port());
  TestDevice bob_phone{2, 2};
  bob_phone.come_online(server.port());
  EXPECT_EQ(bob_phone.ids(10), ids_from(1, 3));
  EXPECT_EQ(server.stop(), 0);
}

// --- starting ------------------------------------------------------------------------------------

class ServeFailsToStart : public testing::Test {
 protected:
  struct Outcome {
    int exit_code = 0;
    std::string log;
  };
  Outcome serve(const std::vector<std::string>& options) {
    std::vector<std::string> arguments{CLAMOR_BINARY, "serve"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    ChildProcess process{arguments, directory_ / "log"};
    Outcome outcome;
    outcome.exit_code = process.wait();
    outcome.log = process.log();
    return outcome;
  }
  std::string config(const std::string& text) {
    const std::string path = directory_ / "serve.yaml";
    std::ofstream{path} << text;
    return path;
  }
  TemporaryDirectory directory_;
};

TEST_F(ServeFailsToStart, ForSettingsThatAreWrongNamingEachPlace) {
  const std::string path = config(
      "secret: a secret of some length\n"
      "durabilty: os\n"
      "design: per_usr\n"
      "listen: nowhere\n"
      "heartbeat: {interval: 30s, offline_after: 5s}\n"
      "limits:\n"
      "  sessions: many\n");
  const Outcome outcome = serve({"--config", path});
  EXPECT_EQ(outcome.exit_code, 104);
  for (const std::string expected :
       {":2:1:", "did you mean \"durability\"?", ":3:9:", "did you mean \"per_user\"?",
        ":4:9:", "expected ADDRESS:PORT", ":5:", "offline_after must be longer than interval",
        ":7:13:", "a whole number"}) {
    EXPECT_NE(outcome.log.find(expected), std::string::npos) << expected << "\n" << outcome.log;
  }
}

TEST_F(ServeFailsToStart, WithoutASecretOrAFile) {
  EXPECT_EQ(serve({}).exit_code, 104);
  EXPECT_NE(serve({}).log.find("CLAMOR_SECRET"), std::string::npos);
  const Outcome missing = serve({"--config", directory_ / "missing.yaml"});
  EXPECT_EQ(missing.exit_code, 104);
  EXPECT_NE(missing.log.find("missing.yaml"), std::string::npos);
  EXPECT_EQ(serve({"--nonsense"}).exit_code, 104);
}

TEST_F(ServeFailsToStart, WhereThePortOrTheDataDirectoryIsTaken) {
  ServerProcess first{"durability: os\n"};
  const std::string secret = config("secret: a secret of some length\n");
  const std::string address = "127.0.0.1:" + std::to_string(first.port());
  const Outcome port =
      serve({"--config", secret, "--listen", address, "--data", directory_ / "data"});
  EXPECT_EQ(port.exit_code, 104);
  EXPECT_NE(port.log.find("cannot listen on " + address), std::string::npos) << port.log;
  const Outcome data =
      serve({"--config", secret, "--listen", "127.0.0.1:0", "--data", first.data()});
  EXPECT_EQ(data.exit_code, 104);
  EXPECT_NE(data.log.find("another server uses this data directory"), std::string::npos)
      << data.log;
  const Outcome nowhere =
      serve({"--config", secret, "--listen", "127.0.0.1:0", "--data", "/proc/clamor"});
  const Outcome file = serve({"--config", secret, "--listen", "127.0.0.1:0", "--data", secret});
  EXPECT_EQ(file.exit_code, 104);
  EXPECT_NE(file.log.find("this is a file; expected a directory"), std::string::npos) << file.log;
  EXPECT_EQ(nowhere.exit_code, 104);
  EXPECT_NE(nowhere.log.find("/proc/clamor: cannot open"), std::string::npos) << nowhere.log;
}

TEST_F(ServeFailsToStart, OnDataThatAnotherDesignFilled) {
  ServerProcess first{"durability: os\ndesign: per_user\n"};
  EXPECT_EQ(first.stop(), 0);
  const Outcome other =
      serve({"--config", config("secret: a secret of some length\ndesign: per_group\n"), "--listen",
             "127.0.0.1:0", "--data", first.data()});
  EXPECT_EQ(other.exit_code, 104);
  EXPECT_NE(other.log.find("filled under another design"), std::string::npos) << other.log;
}

}  // namespace
}  // namespace clamor::test
