// A server that is taken down lets go of its sessions slice by slice, each told when to come back.

#include "server/core/drain.hpp"

#include "server/protocol/close.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t sessions = 8 * core::drain_slice_least;

class Drain : public testing::Test {
 protected:
  /// One user's devices, in the order in which they are let go.
  void log_all_in(const ServerProcess& server) {
    for (std::uint32_t device = 1; device <= sessions; ++device) {
      devices_.emplace_back(1, device);
      devices_.back().come_online(server.port());
    }
  }
  std::vector<TestDevice> devices_;
};

// Method: all sessions at once would take no time; a slice is a tenth of a second, however fast the
// machine is. The last device sends all the while: until its slice leaves it is served, and what it
// sends then is refused, not dropped: the session is closed only after that.
TEST_F(Drain, SessionsAreClosedInSlicesAndServedUntilTheirs) {
  ServerProcess server{
      "durability: os\ndrain: {period: 5s, reconnect_from: 2s, reconnect_to: 7s}\n"};
  log_all_in(server);
  TestDevice& last = devices_.back();
  last.create(10, {2});  // Others of the user are no members: nothing but answers comes.
  const auto began = std::chrono::steady_clock::now();
  server.process().signal(SIGTERM);

  const auto close = devices_.front().client().expect_close();
  EXPECT_EQ(close.code, static_cast<std::uint16_t>(protocol::CloseCode::draining));
  EXPECT_EQ(close.reason.rfind("retry_after=2000-7000; ", 0), 0U) << close.reason;
  std::uint16_t code = 0;
  std::size_t answered = 0;
  try {
    for (std::uint64_t channel = 100; code == 0; ++channel) {
      last.client().send(protocol::CreateChannel{.channel = {channel}, .members = {{2}}});
      const TestClient::Arrived arrived = last.client().receive();
      const auto* const refused = std::get_if<protocol::Refused>(&arrived.message);
      if (refused == nullptr) {
        ++answered;
        continue;
      }
      EXPECT_EQ(refused->code, protocol::RefusalCode::shutting_down);
      code = last.client().expect_close().code;
    }
  } catch (const std::runtime_error& error) {
    // Closed between two requests, none of which was left without an answer.
    EXPECT_EQ(std::string{error.what()}.rfind("closed with 4102 retry_after=2000-7000; ", 0), 0U)
        << error.what();
  }
  for (TestDevice& device : devices_) device.go_offline();
  EXPECT_EQ(server.process().wait(), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 600ms) << "eight slices, the last at once";
  server.start();
  EXPECT_GE(metric(server, "clamor_channels"), 1.0 + static_cast<double>(answered))
      << "what was answered is there";
}

TEST_F(Drain, NoSessionIsTakenMeanwhileAndASecondSignalEndsItAtOnce) {
  ServerProcess server{"durability: os\n"};
  log_all_in(server);
  server.process().signal(SIGTERM);
  (void)devices_.front().client().expect_close();
  const auto open_one = [&] { TestClient{server.port()}.upgrade(); };
  EXPECT_THROW(open_one(), std::runtime_error);
  // Here it goes on closing, and then waits for the clients to close in turn.
  server.process().signal(SIGTERM);
  EXPECT_EQ(server.process().wait(), 105);
}

TEST_F(Drain, WithoutAPeriodAllAreClosedAtOnce) {
  ServerProcess server{"durability: os\ndrain: {period: 0s}\n"};
  log_all_in(server);
  server.process().signal(SIGTERM);
  for (TestDevice& device : devices_) {
    EXPECT_EQ(device.client().expect_close().code,
              static_cast<std::uint16_t>(protocol::CloseCode::draining));
    device.go_offline();
  }
  EXPECT_EQ(server.process().wait(), 0);
}

}  // namespace
}  // namespace clamor::test
