// What a real `clamor serve` does when what lies below it fails: the disk's syncs, RocksDB's
// writes, the wall clock. (A full disk is in serve_crash_test.cpp.)

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using protocol::RefusalCode;

/// Variables of the environment that a child is started with; as before when it goes.
class Environment {
 public:
  explicit Environment(std::vector<std::pair<const char*, std::string>> variables) {
    for (const auto& [name, value] : variables) {
      setenv(name, value.c_str(), 1);
      names_.push_back(name);
    }
  }
  ~Environment() {
    for (const char* name : names_) unsetenv(name);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::vector<const char*> names_;
};

/// A file that a running server's preloaded library reads again and again; changed in one step.
class Control {
 public:
  explicit Control(std::string text) { set(text); }
  void set(const std::string& text) const {
    std::ofstream{path() + ".new"} << text;
    std::filesystem::rename(path() + ".new", path());
  }
  [[nodiscard]] std::string path() const { return directory_ / "control"; }

 private:
  TemporaryDirectory directory_;
};

/// Waits, in bounded time, until a metric is what it should be.
::testing::AssertionResult becomes(const ServerProcess& server, const std::string& name,
                                   double value) {
  const auto until = std::chrono::steady_clock::now() + 20s;
  for (;;) {
    const double is = metric(server.port(), name);
    if (is == value) return ::testing::AssertionSuccess();
    if (std::chrono::steady_clock::now() > until) {
      return ::testing::AssertionFailure() << name << " is " << is;
    }
    std::this_thread::sleep_for(10ms);
  }
}

// --- syncs ---------------------------------------------------------------------------------------

class SyncFaults : public testing::Test {
 protected:
  Control control_{"none"};
  Environment environment_{
      {{"LD_PRELOAD", CLAMOR_FAILING_SYNC}, {"CLAMOR_SYNC_FAULT", control_.path()}}};
};

// A record whose sync failed may be in the log or not: whichever it is, the sender's next try gets
// one id, once.
TEST_F(SyncFaults, AFailedSyncIsRefusedAndWhatWasAcknowledgedBeforeAndAfterIsThereOnce) {
  ServerProcess server{"durability: fsync\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1, 2});
  alice.hear();
  bob.hear();
  alice.say(10, "2, before");
  EXPECT_EQ(bob.hear().body, "2, before");
  const double synced = metric(server.port(), "clamor_syncs_total");
  EXPECT_GE(synced, 2);

  control_.set("fail");
  alice.send(10, 2, "3, once");
  const auto refusal = alice.client().expect<protocol::Refused>();
  EXPECT_EQ(refusal.code, RefusalCode::store_failed);
  EXPECT_GT(refusal.retry_after, Duration{});
  EXPECT_EQ(metric(server.port(), "clamor_append_failures_total"), 1) << "the fault bit";
  EXPECT_EQ(metric(server.port(), "clamor_syncs_total"), synced);
  EXPECT_TRUE(bob.client().is_silent(20ms)) << "nobody hears of what is not durable";
  const std::string ready = TestClient::get(server.port(), "/readyz");
  EXPECT_TRUE(ready.starts_with("HTTP/1.1 503")) << ready;
  alice.send(10, 2, "3, once");
  EXPECT_EQ(alice.client().expect<protocol::Refused>().code, RefusalCode::store_failed)
      << "no rebuild on a disk that does not sync";

  control_.set("none");
  ASSERT_TRUE(becomes(server, "clamor_store_failed", 0)) << server.process().log();
  // Where it was in the log, the sender meets it like anybody, before the ack of its next try.
  const auto acknowledged = [&alice](std::uint64_t number, std::string_view body) {
    alice.send(10, number, body);
    for (;;) {
      const TestClient::Arrived arrived = alice.client().receive();
      if (const auto* const ack = std::get_if<protocol::Ack>(&arrived.message)) {
        EXPECT_EQ(ack->client_message_id, ClientMessageId{number});
        return ack->message_id;
      }
      EXPECT_EQ(std::get<protocol::RecordFrame>(arrived.message).record.id, MessageId{3});
    }
  };
  EXPECT_EQ(acknowledged(2, "3, once"), MessageId{3});
  EXPECT_EQ(bob.hear().body, "3, once");
  EXPECT_EQ(acknowledged(3, "4, after"), MessageId{4});
  EXPECT_EQ(bob.hear().body, "4, after");
  server.kill_hard();
  server.start();
  TestDevice phone{2, 2};
  phone.come_online(server.port());
  ASSERT_EQ(phone.ids(10), ids_from(1, 4));
  EXPECT_EQ(phone.kept(10)[2].body, "3, once");
  EXPECT_EQ(phone.kept(10)[3].body, "4, after");
}

/// Several, since a device may have 64 unacknowledged sends in one.
constexpr std::uint64_t stalled_channels[] = {10, 11, 12};

/// Sends large messages, at most 50 unacknowledged a channel, until one is refused.
class StalledSender {
 public:
  explicit StalledSender(TestDevice& device) : device_{device} {}

  void send_some() {
    for (const std::uint64_t channel : stalled_channels) {
      if (sent_[channel] - acknowledged_[channel].size() >= 50) continue;
      const std::uint64_t number = ++sent_[channel];
      device_.send(channel, number, body_of(number));
    }
    while (!device_.client().is_silent(1ms)) take();
  }
  /// Resends in each channel what has no ack, one at a time; each gets its ack.
  void send_refused_again() {
    for (const std::uint64_t channel : stalled_channels) {
      auto& acknowledged = acknowledged_[channel];
      for (std::uint64_t number = 1; number <= sent_[channel]; ++number) {
        if (acknowledged.contains(number)) continue;
        device_.send(channel, number, body_of(number));
        while (!acknowledged.contains(number)) take();
      }
    }
  }
  [[nodiscard]] const std::optional<protocol::Refused>& refusal() const { return refusal_; }
  /// message_id by client_message_id.
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& acknowledged(std::uint64_t channel) {
    return acknowledged_[channel];
  }
  static std::string body_of(std::uint64_t number) {
    return std::to_string(number) + ":" + std::string(16'000, 'x');
  }

 private:
  void take() {
    const TestClient::Arrived arrived = device_.client().receive();
    if (const auto* const ack = std::get_if<protocol::Ack>(&arrived.message)) {
      acknowledged_[ack->channel.value][ack->client_message_id.value] = ack->message_id.value;
    } else if (const auto* const one = std::get_if<protocol::Refused>(&arrived.message)) {
      if (!refusal_) refusal_ = *one;
      refusal_->detail = {};  // It lies in the message.
    }
  }

  TestDevice& device_;
  std::map<std::uint64_t, std::uint64_t> sent_;
  std::map<std::uint64_t, std::map<std::uint64_t, std::uint64_t>> acknowledged_;
  std::optional<protocol::Refused> refusal_;
};

// Method: RocksDB's flush hangs, so that its write buffers fill and it stops writes.
TEST_F(SyncFaults, AWriteStallSlowsSendersByRefusalsAndLosesNothing) {
  const ServerProcess server{
      "durability: os\n"
      "store: {write_buffer_bytes: 1048576}\n"
      "limits: {commit_queue_bytes: 1048576}\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  for (const std::uint64_t channel : stalled_channels) alice.create(channel, {1, 2});
  control_.set("hang .sst");
  StalledSender sender{alice};
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!sender.refusal() && std::chrono::steady_clock::now() < until) sender.send_some();
  ASSERT_TRUE(sender.refusal()) << "no stall";
  EXPECT_EQ(sender.refusal()->code, RefusalCode::overloaded);
  EXPECT_GT(sender.refusal()->retry_after, Duration{});
  EXPECT_EQ(metric(server.port(), "clamor_store_writes_stopped"), 1) << "the fault bit";
  EXPECT_GT(metric(server.port(), "clamor_commits_pending"), 0);

  control_.set("none");
  ASSERT_TRUE(becomes(server, "clamor_commits_pending", 0));
  EXPECT_EQ(metric(server.port(), "clamor_store_writes_stopped"), 0);
  EXPECT_EQ(metric(server.port(), "clamor_append_failures_total"), 0) << "a stall is no failure";
  sender.send_refused_again();
  wait_for_queues(server.port());
  TestDevice bob{2, 1};
  bob.come_online(server.port());
  for (const std::uint64_t channel : stalled_channels) {
    const auto& acknowledged = sender.acknowledged(channel);
    ASSERT_EQ(bob.ids(channel), ids_from(1, acknowledged.size() + 1)) << "the join, and the acked";
    for (const auto& [number, id] : acknowledged) {
      ASSERT_EQ(bob.kept(channel)[id - 1].body, StalledSender::body_of(number));
    }
  }
}

// --- the wall clock ------------------------------------------------------------------------------

class ClockFaults : public testing::Test {
 protected:
  /// What a login with this token is answered with: a resume token, or the refusal's detail.
  static std::pair<std::string, std::string> log_in(const ServerProcess& server,
                                                    const std::string& token) {
    TestClient client{server.port()};
    client.upgrade();
    client.send(protocol::Login{.token = token, .device = {9}});
    const TestClient::Arrived arrived = client.receive();
    if (const auto* const refused = std::get_if<protocol::Refused>(&arrived.message)) {
      return {"", std::string{refused->detail}};
    }
    const auto& accepted = std::get<protocol::LoginAccepted>(arrived.message);
    return {std::string{accepted.resume_token}, ""};
  }

  Control clock_{"+0\n"};
  // As when an operator or NTP sets it: the monotonic clock is another one.
  Environment environment_{{{"LD_PRELOAD", CLAMOR_FAKETIME},
                            {"FAKETIME_TIMESTAMP_FILE", clock_.path()},
                            {"FAKETIME_NO_CACHE", "1"},
                            {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}}};
};

TEST_F(ClockFaults, ASetClockEndsTokensAndNothingElse) {
  const ServerProcess server{
      "durability: os\nheartbeat: {interval: 250ms, offline_after: 1s}\n"
      "login: {resume_for: 24h}\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1, 2});
  alice.hear();
  bob.hear();
  const std::string token = token_of(3);  // For an hour.
  const auto [resume, no_fault] = log_in(server, token);
  ASSERT_NE(resume, "") << no_fault;
  std::uint64_t said = 1;
  Instant last{};
  // Talks for longer than silence is borne: sessions live, records come in order and at once.
  const auto goes_on = [&](const char* clock) {
    clock_.set(std::string{clock} + "\n");
    for (int i = 0; i < 6; ++i) {
      const auto began = std::chrono::steady_clock::now();
      ASSERT_EQ(alice.say(10, clock), MessageId{++said}) << clock;
      const Kept heard = bob.hear();
      EXPECT_LT(std::chrono::steady_clock::now() - began, 5s) << clock;
      EXPECT_EQ(heard.body, clock);
      if (last != Instant{}) {
        EXPECT_GT(heard.record.accepted_at, last) << clock;
        EXPECT_LT(heard.record.accepted_at - last, 60s) << clock;
      }
      last = heard.record.accepted_at;
      bob.client().send(protocol::Heartbeat{});
      std::this_thread::sleep_for(250ms);
    }
  };

  goes_on("+60d");
  EXPECT_EQ(log_in(server, token).second, "the token has expired") << "the fault bit";
  EXPECT_EQ(log_in(server, resume).second, "the token has expired");

  goes_on("-60d");
  const auto [early_resume, early_fault] = log_in(server, token);
  EXPECT_NE(early_resume, "") << "it holds for sixty days more: " << early_fault;
  EXPECT_EQ(log_in(server, resume).second, "");

  goes_on("+0");
  EXPECT_EQ(log_in(server, resume).second, "");
  EXPECT_EQ(log_in(server, early_resume).second, "the token has expired")
      << "made when the clock was behind; the client has its login token";
  EXPECT_EQ(log_in(server, token).second, "");

  // Silence is judged by the other clock: who says nothing is closed, and after a second.
  TestDevice silent{4, 1};
  silent.come_online(server.port());
  clock_.set("-60d\n");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(silent.client().expect_close().code, 4101);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 500ms);

  clock_.set("+60d\n");
  wait_for_queues(server.port());
  clock_.set("+0\n");
  TestDevice phone{2, 2};
  phone.come_online(server.port());
  EXPECT_EQ(phone.ids(10), ids_from(1, said));
}

}  // namespace
}  // namespace clamor::test
