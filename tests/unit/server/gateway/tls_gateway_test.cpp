// The session layer as a TLS peer sees it.

#include "server/tls/dev_certificate.hpp"
#include "tests/temporary_directory.hpp"
#include "tests/unit/server/gateway/live_gateway.hpp"
#include "tests/unit/server/gateway/raw_peer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace clamor::gateway {
namespace {

using namespace std::chrono_literals;
using protocol::CloseCode;

constexpr std::uint16_t code(CloseCode close) { return static_cast<std::uint16_t>(close); }

class TlsGateway : public testing::Test {
 protected:
  GatewaySettings settings() {
    GatewaySettings settings;
    settings.message_bytes_max = 1 << 20;
    settings.tls.emplace();
    settings.tls->files = {files_.certificate, files_.key};
    return settings;
  }
  RawPeer upgraded(const LiveGateway& live, int receive_buffer_bytes = 0) {
    RawPeer peer{live.port(), receive_buffer_bytes};
    EXPECT_TRUE(peer.secure(client_)) << peer.tls().failure_text();
    peer.send(upgrade_request);
    EXPECT_EQ(peer.read_http().substr(0, 12), "HTTP/1.1 101");
    return peer;
  }

  test::TemporaryDirectory directory_;
  tls::DevCertificate files_ = tls::write_dev_certificate(directory_ / "tls", {"127.0.0.1"}, 1);
  tls::Context client_ = tls::Context::client(files_.authority);
};

TEST_F(TlsGateway, MessagesOfAnySizeComeBackWhole) {
  LiveGateway live{settings()};
  RawPeer peer = upgraded(live);
  for (const std::size_t size : {1U, 100U, 16'383U, 16'384U, 16'385U, 65'536U, 300'000U}) {
    const std::string text(size, static_cast<char>('a' + size % 26));
    peer.send(client_frame(text));
    EXPECT_EQ(peer.read_message(), text);
  }
  EXPECT_EQ(live.counters().tls_handshakes_full, 1U);
}

TEST_F(TlsGateway, ATurnsFramesLeaveInOneWriteASession) {
  LiveGateway live{settings()};
  RawPeer peer = upgraded(live);
  const std::uint64_t before = live.operations().flushes;
  std::string burst;
  Buffer frames;
  for (int i = 0; i < 20; ++i) {
    const Buffer frame = client_frame("hold");
    frames.insert(frames.end(), frame.begin(), frame.end());
  }
  peer.send(frames);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(peer.read_message(), "hold");
  EXPECT_EQ(live.operations().flushes - before, 1U);
  EXPECT_EQ(live.operations().frames_out, 20U);
}

TEST_F(TlsGateway, FramesThatCameInOneRecordWithTheRequestAreAnswered) {
  LiveGateway live{settings()};
  RawPeer peer{live.port()};
  ASSERT_TRUE(peer.secure(client_));
  std::string together{upgrade_request};
  together += text_of(client_frame("early"));
  together += text_of(client_frame(std::string(40'000, 'x')));
  peer.send(together);
  EXPECT_EQ(peer.read_http().substr(0, 12), "HTTP/1.1 101");
  EXPECT_EQ(peer.read_message(), "early");
  EXPECT_EQ(peer.read_message(), std::string(40'000, 'x'));
}

TEST_F(TlsGateway, HttpIsAnsweredAndTheConnectionKeptAlive) {
  LiveGateway live{settings()};
  RawPeer peer{live.port()};
  ASSERT_TRUE(peer.secure(client_));
  for (int i = 0; i < 2; ++i) {
    peer.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_NE(peer.read_http().find("answer to /metrics"), std::string::npos);
  }
}

TEST_F(TlsGateway, ASlowReaderFindsWholeFramesOnlyAndTheReasonLast) {
  GatewaySettings with_limit = settings();
  with_limit.session_limits = {.buffer_bytes = 64 * 1024, .buffer_age = 100ms};
  with_limit.close_grace = 30s;
  LiveGateway live{with_limit};
  RawPeer neighbour = upgraded(live);
  RawPeer slow = upgraded(live, 4096);
  slow.send(client_frame("flood me"));
  EXPECT_TRUE(live.eventually([&](LiveGateway& l) {
    neighbour.send(client_frame("meanwhile"));
    EXPECT_EQ(neighbour.read_message(), "meanwhile");
    return l.ended(EndReason::slow_consumer) == 1;
  }));
  EXPECT_EQ(slow.read_close(), code(CloseCode::slow_consumer));
}

TEST_F(TlsGateway, ASlowReaderThatGoesOnHearsAllThatWasTaken) {
  GatewaySettings with_limit = settings();
  with_limit.session_limits.buffer_bytes = 64 * 1024;
  LiveGateway live{with_limit};
  RawPeer slow = upgraded(live, 4096);
  slow.send(client_frame("flood me"));
  EXPECT_TRUE(live.eventually([](LiveGateway& l) {
    return l.ask([](Gateway&, EchoHandler& handler) { return handler.refused; }) == 1;
  }));
  std::size_t count = 0;
  std::string message = slow.read_message();
  for (; message.size() == 16 * 1024; message = slow.read_message()) {
    ASSERT_EQ(message.substr(0, message.find(' ')), std::to_string(count++));
  }
  EXPECT_EQ(message, "flooded by " + std::to_string(count));
}

TEST_F(TlsGateway, EndsAreToldOnBothLayers) {
  LiveGateway live{settings()};
  RawPeer polite = upgraded(live);
  polite.send(client_frame("close me"));
  EXPECT_EQ(polite.read_close(), code(CloseCode::superseded));
  EXPECT_EQ(polite.read_event().kind, protocol::FrameEvent::Kind::need_more);
  polite.close();
  RawPeer gone = upgraded(live);
  gone.reset();
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.ended(EndReason::peer_reset) == 1; }));
  RawPeer half = upgraded(live);
  half.send(client_frame("last words"));
  half.shut_sending();
  EXPECT_EQ(half.read_message(), "last words");
  RawPeer broken = upgraded(live);
  broken.send_bytes(bytes_of("this is no record of TLS at all"));
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.ended(EndReason::peer_reset) == 2; }));
  RawPeer open = upgraded(live);
  live.stop();
  EXPECT_EQ(open.read_close(), code(CloseCode::going_away));
}

TEST_F(TlsGateway, ATicketSpareTheServerAFullHandshake) {
  LiveGateway live{settings()};
  RawPeer first = upgraded(live);
  RawPeer second{live.port()};
  EXPECT_TRUE(second.secure(client_, first.tls().ticket()));
  EXPECT_TRUE(second.tls().resumed());
  EXPECT_TRUE(
      live.eventually([](LiveGateway& l) { return l.counters().tls_handshakes_resumed == 1; }));
}

TEST_F(TlsGateway, AHandshakeThatDoesNotEndIsCutOffInTime) {
  GatewaySettings impatient = settings();
  impatient.handshake_timeout = 50ms;
  LiveGateway live{impatient};
  RawPeer silent{live.port()};
  RawPeer slow{live.port()};
  slow.send(std::string_view{"\x16\x03\x01\x02\x00\x01", 6});  // the begin of a ClientHello
  EXPECT_TRUE(silent.reads_end());
  EXPECT_TRUE(slow.reads_end() || slow.reads_reset());
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.counters().handshake_timeouts == 2; }));
}

TEST_F(TlsGateway, WhoSpeaksPlainHttpIsToldWhatThePortSpeaks) {
  LiveGateway live{settings()};
  RawPeer plain{live.port()};
  plain.send(upgrade_request);
  const std::string answer = plain.read_http();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 400");
  EXPECT_NE(answer.find("wss://"), std::string::npos) << answer;
  EXPECT_EQ(live.counters().tls_failures[static_cast<std::size_t>(tls::Failure::plain_http)], 1U);
}

}  // namespace
}  // namespace clamor::gateway
