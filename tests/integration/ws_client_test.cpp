// The server talks to a WebSocket client that is not ours: npm's `ws`, which is strict about what
// it receives. ws_client/dialogue.mjs has the checks.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>
#include <sys/wait.h>

namespace clamor::test {
namespace {

TEST(WsClient, AgreesWithTheServerOnEveryFrame) {
  ServerProcess server{"durability: os\n"};
  const std::string command = "node " CLAMOR_ROOT "/tests/integration/ws_client/dialogue.mjs " +
                              std::to_string(server.port()) + " " + token_of(1) + " 2>&1";
  std::FILE* const output = popen(command.c_str(), "r");
  ASSERT_NE(output, nullptr);
  std::string text;
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), output)) > 0;) {
    text.append(buffer.data(), got);
  }
  const int status = pclose(output);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text;
  EXPECT_NE(text.find("ok: close codes come back"), std::string::npos) << text;
  // What the peer broke, and nothing else: no frame of its own was malformed.
  EXPECT_EQ(metric(server.port(), "clamor_gateway_frame_errors_total{error=\"message_too_big\"}"),
            1);
  EXPECT_EQ(
      metric(server.port(), "clamor_gateway_frame_errors_total{error=\"text_not_supported\"}"), 1);
  EXPECT_EQ(metric(server.port(), "clamor_gateway_frame_errors_total{error=\"not_masked\"}"), 0);
}

}  // namespace
}  // namespace clamor::test
