// The server talks to a browser: headless Chromium, whose page browser/dialogue.html reports each
// check in a channel. Debian's `chromium` is large: `.ci/run` installs it, else this is skipped.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <string>
#include <unistd.h>
#include <vector>

namespace clamor::test {
namespace {

constexpr const char* chromium = "/usr/bin/chromium";
constexpr std::uint64_t channel = 10;

TEST(Browser, AgreesWithTheServerOnEveryFrame) {
  if (access(chromium, X_OK) != 0) GTEST_SKIP() << "no " << chromium;
  const ServerProcess server{"durability: os\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(channel, {1, 2});
  alice.hear();
  alice.say(channel, "gr\xC3\xBC\xC3\x9F vorher");
  const TemporaryDirectory directory;
  ChildProcess browser{
      {chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
       "--disable-background-networking", "--disable-component-update", "--disable-sync",
       "--disable-dev-shm-usage", "--remote-debugging-port=0",
       "--user-data-dir=" + (directory / "profile"),
       "file://" CLAMOR_ROOT "/tests/integration/browser/dialogue.html#" +
           std::to_string(server.port()) + "/" + token_of(2) + "/" + std::to_string(channel)},
      directory / "log"};
  const auto hear = [&] {
    // A browser starts slowly on a machine that has other work.
    for (int i = 0; i < 60 && alice.client().is_silent(std::chrono::seconds{1}); ++i) {
      alice.client().send(protocol::Heartbeat{});
    }
    try {
      return alice.hear().body;
    } catch (const std::runtime_error& error) {
      return std::string{error.what()} + "\n" + browser.log();
    }
  };
  std::size_t checks = 0;
  std::string said = hear();
  for (; said.starts_with("ok: "); said = hear()) ++checks;
  ASSERT_EQ(said, "listening") << "after " << checks << " checks";
  EXPECT_EQ(checks, 8U);
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    alice.say(channel, std::to_string(i));
    expected += std::to_string(i) + " ";
  }
  alice.say(channel, "enough");
  EXPECT_EQ(hear(), "heard: " + expected);
  EXPECT_EQ(
      metric(server.port(), "clamor_gateway_frame_errors_total{error=\"text_not_supported\"}"), 1);
  EXPECT_EQ(metric(server.port(), "clamor_gateway_frame_errors_total{error=\"message_too_big\"}"),
            1);
  EXPECT_EQ(metric(server.port(), "clamor_gateway_frame_errors_total{error=\"not_masked\"}"), 0);
  browser.signal(SIGTERM);
}

}  // namespace
}  // namespace clamor::test
