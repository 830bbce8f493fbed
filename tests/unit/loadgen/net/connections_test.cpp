#include "loadgen/net/connections.hpp"

#include "server/host/clock.hpp"
#include "server/protocol/websocket_frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

/// What Connections told, in order.
struct Told final : ConnectionEvents {
  void on_open(std::uint32_t slot) override { lines.push_back("open " + std::to_string(slot)); }
  void on_failed(std::uint32_t slot, const std::string& why) override {
    lines.push_back("failed " + std::to_string(slot));
    reason = why;
  }
  void on_message(std::uint32_t slot, std::span<const std::byte> payload) override {
    lines.push_back("message " + std::to_string(slot) + " of " + std::to_string(payload.size()));
  }
  void on_closed(std::uint32_t slot, std::uint16_t code, const std::string& why) override {
    lines.push_back("closed " + std::to_string(slot) + " by " + std::to_string(code));
    reason = why;
  }
  std::vector<std::string> lines;
  std::string reason;
};

/// A server whose every byte the test decides, on the test's own thread.
class Peer {
 public:
  Peer() : listener_{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(listener_.get(), 8);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  bool accept() {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const int fd = ::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return false;
    socket.reset(fd);
    source = ntohl(from.sin_addr.s_addr);
    return true;
  }
  /// Reads what has come; false once the client has gone.
  bool read() {
    char buffer[4096];
    const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (got > 0) received.append(buffer, static_cast<std::size_t>(got));
    reset = got < 0 && errno == ECONNRESET;
    return !(got == 0 || reset);
  }
  void write(std::string_view text) const {
    ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  void write_frame(protocol::Opcode opcode, std::size_t bytes) const {
    std::vector<std::byte> frame;
    const std::vector<std::byte> payload(bytes);
    protocol::append_server_frame(opcode, payload, frame);
    write({reinterpret_cast<const char*>(frame.data()), frame.size()});
  }
  void write_close(std::uint16_t code) const {
    std::vector<std::byte> frame;
    protocol::append_server_frame(
        protocol::Opcode::close,
        protocol::close_payload(static_cast<protocol::CloseCode>(code), "why"), frame);
    write({reinterpret_cast<const char*>(frame.data()), frame.size()});
  }

  std::uint16_t port = 0;
  std::uint32_t source = 0;
  Descriptor socket;
  std::string received;
  bool reset = false;

 private:
  Descriptor listener_;
};

class ConnectionsTest : public testing::Test {
 protected:
  ConnectionsTest() {
    std::string error;
    connections.emplace(parse_targets("ws://127.0.0.1:" + std::to_string(peer.port), error), 4, 7,
                        told);
  }
  /// Turns until `done`; fails after ten seconds.
  void turn_until(const std::function<bool()>& done) {
    const Instant deadline = monotonic_now() + 10s;
    while (!done()) {
      ASSERT_LT(monotonic_now(), deadline) << "nothing more happens";
      connections->wait(1ms);
      connections->dispatch();
      connections->flush();
    }
  }
  bool has_told(const std::string& line) {
    return std::find(told.lines.begin(), told.lines.end(), line) != told.lines.end();
  }
  void open(std::uint32_t slot) {
    connections->open(slot);
    turn_until([this] { return peer.accept(); });
    turn_until([this] {
      peer.read();
      return peer.received.ends_with("\r\n\r\n");
    });
    peer.received.clear();
    peer.write(
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    turn_until([&] { return has_told("open " + std::to_string(slot)); });
  }

  Peer peer;
  Told told;
  std::optional<Connections> connections;
};

TEST_F(ConnectionsTest, OpensFromASourceAddressOfItsGroup) {
  open(2);
  EXPECT_EQ(peer.source, (127U << 24U) | (23U << 16U) | (3U << 8U) | 1U);
  EXPECT_EQ(connections->opening(), 0U);
}

TEST_F(ConnectionsTest, TakesAHandshakeInPiecesWithFramesBehindIt) {
  connections->open(0);
  turn_until([this] { return peer.accept(); });
  peer.write("HTTP/1.1 101 Switching");
  for (int n = 0; n < 3; ++n) {
    connections->wait(1ms);
    connections->dispatch();
  }
  std::vector<std::byte> frame;
  protocol::append_server_frame(protocol::Opcode::binary, std::vector<std::byte>(5), frame);
  peer.write(" Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" +
             std::string{reinterpret_cast<const char*>(frame.data()), frame.size()});
  turn_until([this] { return has_told("message 0 of 5"); });
  EXPECT_EQ(told.lines.front(), "open 0");
}

TEST_F(ConnectionsTest, SendsWhatWasGatheredAsMaskedFrames) {
  open(0);
  const std::vector<std::byte> body(100, std::byte{7});
  connections->send(0, body);
  connections->send(0, body);
  turn_until([this] {
    peer.read();
    return peer.received.size() >= 2 * (100 + 6);
  });
  protocol::FrameDecoder decoder{protocol::Side::server, 1000};
  std::span<std::byte> input{reinterpret_cast<std::byte*>(peer.received.data()),
                             peer.received.size()};
  for (int n = 0; n < 2; ++n) {
    const auto event = decoder.next(input);
    ASSERT_EQ(event.kind, protocol::FrameEvent::Kind::message);
    EXPECT_TRUE(std::equal(event.payload.begin(), event.payload.end(), body.begin(), body.end()));
  }
}

TEST_F(ConnectionsTest, AnswersPingsAndReassemblesALargeMessage) {
  open(0);
  peer.write_frame(protocol::Opcode::ping, 4);
  peer.write_frame(protocol::Opcode::binary, 100'000);
  turn_until([this] { return has_told("message 0 of 100000"); });
  turn_until([this] {
    peer.read();
    return peer.received.size() == 10;
  });
  EXPECT_EQ(static_cast<unsigned char>(peer.received[0]), 0x8AU) << "a pong";
}

TEST_F(ConnectionsTest, TellsTheServersCloseCodeAndAnEndWithoutOne) {
  open(0);
  peer.write_close(4409);
  turn_until([this] { return has_told("closed 0 by 4409"); });
  EXPECT_EQ(told.reason, "why");
  open(1);
  peer.socket.reset();
  turn_until([this] { return has_told("closed 1 by 0"); });
}

TEST_F(ConnectionsTest, AServerThatDoesNotReadEndsTheConnectionAtABoundedQueue) {
  open(0);
  const std::vector<std::byte> body(64 * 1024);
  const int enough = 1024;  // 64 MiB: far above what the kernel's two buffers take
  int sent = 0;
  turn_until([&] {
    if (connections->is_open(0) && sent++ < enough) connections->send(0, body);
    return has_told("closed 0 by 0") || sent > enough;
  });
  EXPECT_TRUE(has_told("closed 0 by 0"));
  EXPECT_FALSE(connections->is_open(0));
  peer.socket.reset();
  open(0);  // the slot serves again
}

TEST_F(ConnectionsTest, ClosesCleanlyThoughTheServerStillTalks) {
  open(0);
  peer.write_frame(protocol::Opcode::binary, 50);
  connections->close(0);
  EXPECT_FALSE(connections->is_open(0));
  turn_until([this] {
    peer.read();
    return peer.received.size() >= 8;
  });
  EXPECT_EQ(static_cast<unsigned char>(peer.received[0]), 0x88U) << "a close frame";
  peer.write_close(1000);
  peer.socket.reset();
  const std::size_t lines = told.lines.size();
  for (int n = 0; n < 3; ++n) {
    connections->wait(1ms);
    connections->dispatch();
  }
  EXPECT_EQ(told.lines.size(), lines) << "a closed slot is told nothing more";
  open(0);
}

TEST_F(ConnectionsTest, ResetsHard) {
  open(0);
  connections->reset(0);
  turn_until([this] { return !peer.read(); });
  EXPECT_TRUE(peer.reset);
}

TEST_F(ConnectionsTest, TellsWhyAConnectionFailed) {
  connections->open(0);
  turn_until([this] { return peer.accept(); });
  peer.write("HTTP/1.1 404 Not Found\r\n\r\n");
  turn_until([this] { return has_told("failed 0"); });
  EXPECT_NE(told.reason.find("404"), std::string::npos);

  std::string error;
  Descriptor unused{::socket(AF_INET, SOCK_STREAM, 0)};  // bound, never listening
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(unused.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  socklen_t size = sizeof address;
  ::getsockname(unused.get(), reinterpret_cast<sockaddr*>(&address), &size);
  connections.emplace(
      parse_targets("ws://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), error), 4, 7,
      told);
  connections->open(1);
  turn_until([this] { return has_told("failed 1"); });
  EXPECT_NE(told.reason.find("refused"), std::string::npos) << told.reason;
}

}  // namespace
}  // namespace clamor::loadgen
