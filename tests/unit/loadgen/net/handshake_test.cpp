#include "loadgen/net/handshake.hpp"

#include "loadgen/net/target.hpp"
#include "server/core/placement.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <string>

namespace clamor::loadgen {
namespace {

using testing::HasSubstr;

const std::string good =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: Upgrade\r\n"
    "sec-websocket-ACCEPT:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n";

TEST(Handshake, AcceptsTheAnswerToItsKeyHoweverItIsSpelt) {
  const HandshakeResult result = check_handshake(good + "frames");
  EXPECT_EQ(result.state, HandshakeState::accepted);
  EXPECT_EQ(result.used, good.size()) << "what follows the head are frames";
}

TEST(Handshake, WaitsForTheWholeHead) {
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_EQ(check_handshake(good.substr(0, cut)).state, HandshakeState::need_more) << cut;
  }
}

TEST(Handshake, RefusesAnotherStatusAndSaysWhich) {
  const HandshakeResult result = check_handshake("HTTP/1.1 503 Too Many\r\n\r\n");
  EXPECT_EQ(result.state, HandshakeState::refused);
  EXPECT_THAT(result.error, HasSubstr("503 Too Many"));
}

TEST(Handshake, RefusesAWrongAcceptAndAnEndlessHead) {
  EXPECT_EQ(check_handshake("HTTP/1.1 101 x\r\nSec-WebSocket-Accept: abc\r\n\r\n").state,
            HandshakeState::refused);
  EXPECT_EQ(check_handshake(std::string(handshake_bytes_max + 1, 'x')).state,
            HandshakeState::refused);
}

TEST(Target, ReadsHostPortAndPath) {
  std::string error;
  const auto target = parse_target("ws://127.0.0.1:7100/chat", error);
  ASSERT_TRUE(target) << error;
  EXPECT_EQ(target->port, 7100);
  EXPECT_EQ(target->path, "/chat");
  EXPECT_TRUE(target->loopback());
  EXPECT_EQ(parse_target("ws://localhost:1/", error)->path, "/ws");
}

TEST(Target, AListNamesOneANode) {
  std::string error;
  const auto targets = parse_targets("ws://127.0.0.1:7100,ws://127.0.0.2:7200", error);
  ASSERT_EQ(targets.size(), 2U);
  EXPECT_EQ(targets[1].host, "127.0.0.2");
  EXPECT_EQ(targets[1].port, 7200);
  EXPECT_TRUE(parse_targets("ws://127.0.0.1:7100,", error).empty());
  EXPECT_NE(error.find("expected ws://host:port"), std::string::npos) << error;
}

TEST(Target, AUserGoesToTheNodeThatTheSimulatorChooses) {
  const std::vector<NodeId> nodes{{0}, {1}, {2}};
  std::vector<int> users(3);
  for (std::uint64_t user = 1; user <= 300; ++user) {
    EXPECT_EQ(target_of({user}, 3), core::gateway_of({user}, nodes).value);
    ++users[target_of({user}, 3)];
    EXPECT_EQ(target_of({user}, 1), 0);
  }
  for (const int count : users) EXPECT_GT(count, 60);
}

TEST(Target, SaysWhatIsWrongWithAUrl) {
  for (const char* url : {"http://x", "ws://:80", "ws://h:", "ws://h:0", "ws://h:70000",
                          "ws://h:1x", "127.0.0.1:7100"}) {
    std::string error;
    EXPECT_FALSE(parse_target(url, error)) << url;
    EXPECT_THAT(error, HasSubstr(url));
    EXPECT_THAT(error, HasSubstr("expected"));
  }
}

}  // namespace
}  // namespace clamor::loadgen
