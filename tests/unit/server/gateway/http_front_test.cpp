#include "tests/unit/server/gateway/live_gateway.hpp"
#include "tests/unit/server/gateway/raw_peer.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace clamor::gateway {
namespace {

using namespace std::chrono_literals;

std::string upgrade_with(std::string_view removed, std::string_view inserted) {
  std::string request{upgrade_request};
  request.replace(request.find(removed), removed.size(), inserted);
  return request;
}

struct BadRequest {
  const char* name;
  std::string text;
  std::string status;
};

std::vector<BadRequest> bad_requests() {
  return {
      {"noise", "\x16\x03\x01 not HTTP\r\n\r\n", "400"},
      {"unknown method", "BREW / HTTP/1.1\r\n\r\n", "405"},
      {"POST", "POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", "405"},
      {"HEAD", "HEAD /metrics HTTP/1.1\r\nHost: t\r\n\r\n", "405"},
      {"body", "GET /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc", "400"},
      {"version", "GET / HTTP/9.9\r\n\r\n", "400"},
      {"huge header", "GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", "431"},
      {"plain GET of the endpoint", "GET /ws HTTP/1.1\r\nHost: t\r\n\r\n", "426"},
      {"upgrade elsewhere", upgrade_with("/ws", "/elsewhere"), "404"},
      {"no key", upgrade_with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), "400"},
      {"long key", upgrade_with("dGhlIHNhbXBsZSBub25jZQ==", std::string(60, 'x')), "400"},
      {"old version", upgrade_with("Version: 13", "Version: 8"), "426"},
      {"no host", upgrade_with("Host: test\r\n", ""), "400"},
      {"HTTP/1.0 upgrade", upgrade_with("HTTP/1.1", "HTTP/1.0"), "426"},
      {"no version", upgrade_with("Sec-WebSocket-Version: 13\r\n", ""), "400"},
      {"two keys",
       upgrade_with("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Key: "),
       "400"},
      {"two versions",
       upgrade_with("Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Version: 13"),
       "400"},
      {"two hosts", upgrade_with("Host: test", "Host: test\r\nHost: other"), "400"},
      {"no Connection: Upgrade", upgrade_with("Connection: Upgrade", "Connection: close"), "426"},
      {"no Upgrade", upgrade_with("Upgrade: websocket\r\n", ""), "426"},
      {"another Upgrade", upgrade_with("Upgrade: websocket", "Upgrade: h2c"), "426"},
      {"upgrade by POST", upgrade_with("GET", "POST"), "405"},
      {"upgrade with a body", upgrade_with("Host: test", "Host: test\r\nContent-Length: 3") + "abc",
       "400"},
  };
}

TEST(HttpFront, EachBadRequestHasItsStatusAndACount) {
  LiveGateway live;
  RawPeer neighbour = RawPeer::upgraded(live.port());
  std::uint64_t refused = 0;
  for (const BadRequest& bad : bad_requests()) {
    RawPeer peer{live.port()};
    peer.send(bad.text);
    const std::string answer = peer.read_http();
    EXPECT_EQ(answer.substr(0, 7), "HTTP/1.") << bad.name << ": " << answer;
    EXPECT_EQ(answer.substr(8, 5), " " + bad.status + " ") << bad.name << ": " << answer;
    ++refused;
    EXPECT_TRUE(live.eventually([refused](LiveGateway& l) {
      return l.counters().http_refused == refused;
    })) << bad.name;
    peer.shut_sending();
    EXPECT_TRUE(peer.reads_end()) << bad.name;
    neighbour.send(client_frame("still here"));
    EXPECT_EQ(neighbour.read_message(), "still here") << bad.name;
  }
  EXPECT_EQ(live.sessions(), 1U);
}

// RFC 6455 4.2: what a server may not insist on, and must not answer with.
TEST(HttpFront, HeadersOfAHandshakeMayComeInAnyCaseAndCompany) {
  LiveGateway live;
  const std::vector<std::string> requests{
      upgrade_with("Connection: Upgrade", "Connection: keep-alive, upgrade"),
      upgrade_with("Upgrade: websocket", "UPGRADE:   WebSocket"),
      upgrade_with("Host: test", "Host: test\r\nOrigin: http://elsewhere\r\nCookie: a=b"),
      upgrade_with("Host: test",
                   "Host: test\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
                   "Sec-WebSocket-Protocol: chat, superchat"),
  };
  for (const std::string& request : requests) {
    RawPeer peer{live.port()};
    peer.send(request);
    const std::string answer = peer.read_http();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << request << answer;
    EXPECT_NE(answer.find("\r\nUpgrade: websocket\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("\r\nConnection: upgrade\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);
    EXPECT_EQ(answer.find("Sec-WebSocket-Extensions"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("Sec-WebSocket-Protocol"), std::string::npos) << answer;
    peer.send(client_frame("x"));
    EXPECT_EQ(peer.read_message(), "x");
  }
}

TEST(HttpFront, AnotherVersionIsToldWhichOneIsSpoken) {
  LiveGateway live;
  RawPeer peer{live.port()};
  peer.send(upgrade_with("Version: 13", "Version: 8"));
  EXPECT_NE(peer.read_http().find("\r\nSec-WebSocket-Version: 13\r\n"), std::string::npos);
}

TEST(HttpFront, RequestCutInHalfIsRefused) {
  LiveGateway live;
  RawPeer peer{live.port()};
  peer.send(upgrade_request.substr(0, 40));
  peer.shut_sending();
  EXPECT_EQ(peer.read_http().substr(0, 12), "HTTP/1.1 400");
}

TEST(HttpFront, RequestThatNeverEndsTimesOut) {
  GatewaySettings settings;
  settings.handshake_timeout = 50ms;
  LiveGateway live{settings};
  RawPeer dripping{live.port()};
  RawPeer mute{live.port()};
  dripping.send(upgrade_request.substr(0, 40));
  EXPECT_EQ(dripping.read_http().substr(0, 12), "HTTP/1.1 408");
  EXPECT_EQ(mute.read_http().substr(0, 12), "HTTP/1.1 408");
  EXPECT_EQ(live.counters().handshake_timeouts, 2U);
}

// Method: a peer that sends a byte now and then, as long as it is let: the time of a request does
// not begin anew with each.
TEST(HttpFront, RequestThatDripsByteByByteTimesOutAndDisturbsNobody) {
  GatewaySettings settings;
  settings.handshake_timeout = 100ms;
  LiveGateway live{settings};
  RawPeer neighbour = RawPeer::upgraded(live.port());
  std::vector<RawPeer> dripping;
  for (int i = 0; i < 50; ++i) dripping.emplace_back(live.port());
  std::size_t sent = 0;
  EXPECT_TRUE(live.eventually([&](LiveGateway& l) {
    const std::string_view byte = upgrade_request.substr(sent++ % 40, 1);
    for (RawPeer& peer : dripping) peer.send(byte);
    neighbour.send(client_frame("still here"));
    EXPECT_EQ(neighbour.read_message(), "still here");
    std::this_thread::sleep_for(2ms);  // the drip itself
    return l.counters().handshake_timeouts + l.counters().http_refused == dripping.size();
  }));
  EXPECT_EQ(live.sessions(), 1U);
}

TEST(HttpFront, PlainGetsAreAnsweredOnAKeptConnection) {
  LiveGateway live;
  RawPeer peer{live.port()};
  for (int i = 0; i < 3; ++i) {
    peer.send("GET /metrics?x=1 HTTP/1.1\r\nHost: t\r\n\r\n");
    const std::string answer = peer.read_http();
    EXPECT_EQ(answer.substr(0, 15), "HTTP/1.1 200 OK") << answer;
    EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4\r\n"), std::string::npos);
    EXPECT_TRUE(answer.ends_with("\r\n\r\nanswer to /metrics?x=1")) << answer;
  }
  peer.send("GET /missing HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(peer.read_http().substr(0, 12), "HTTP/1.1 404");
  EXPECT_TRUE(peer.reads_end());
  EXPECT_EQ(live.counters().http_answers, 4U);

  RawPeer old{live.port()};
  old.send("GET /metrics HTTP/1.0\r\n\r\n");
  EXPECT_NE(old.read_http().find("200"), std::string::npos);
  EXPECT_TRUE(old.reads_end()) << "HTTP/1.0 closes unless asked not to";
}

TEST(HttpFront, KeptConnectionMayTurnIntoASession) {
  LiveGateway live;
  RawPeer peer{live.port()};
  peer.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
  peer.read_http();
  peer.send(upgrade_request);
  EXPECT_NE(peer.read_http().find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos)
      << "RFC 6455's own example of an accept key";
  peer.send(client_frame("x"));
  EXPECT_EQ(peer.read_message(), "x");
}

TEST(HttpFront, SessionsOverTheLimitAreRefusedUntilOneLeaves) {
  GatewaySettings settings;
  settings.sessions_max = 3;
  LiveGateway live{settings};
  std::vector<RawPeer> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(RawPeer::upgraded(live.port()));
  RawPeer refused{live.port()};
  refused.send(upgrade_request);
  const std::string answer = refused.read_http();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 503");
  EXPECT_NE(answer.find("Retry-After: 1\r\n"), std::string::npos);
  EXPECT_EQ(live.counters().sessions_max_refused, 1U);
  RawPeer metrics{live.port()};
  metrics.send("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(metrics.read_http().substr(0, 12), "HTTP/1.1 200") << "a full server can be watched";

  peers.pop_back();
  EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.sessions() == 2; }));
  RawPeer next = RawPeer::upgraded(live.port());
  next.send(client_frame("x"));
  EXPECT_EQ(next.read_message(), "x");
}

TEST(HttpFront, NoSessionOpensWhileTheHandlerTakesNoneAndTheRestIsAnswered) {
  LiveGateway live;
  live.ask([](Gateway&, EchoHandler& handler) { return handler.takes = false; });
  RawPeer refused{live.port()};
  refused.send(upgrade_request);
  const std::string answer = refused.read_http();
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 503");
  EXPECT_NE(answer.find("Retry-After: 1\r\n"), std::string::npos);
  EXPECT_EQ(live.counters().sessions_not_taken, 1U);
  RawPeer metrics{live.port()};
  metrics.send("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(metrics.read_http().substr(0, 12), "HTTP/1.1 200");
  live.ask([](Gateway&, EchoHandler& handler) { return handler.takes = true; });
  RawPeer::upgraded(live.port());
}

TEST(HttpFront, AnAddressThatConnectsTooOftenIsToldWhenToComeAgain) {
  GatewaySettings settings;
  settings.connection_rate = {.per_second = 1, .burst = 2};
  LiveGateway live{settings};
  RawPeer first = RawPeer::upgraded(live.port());
  RawPeer second = RawPeer::upgraded(live.port());
  // By now a token may have come back: one of the next few is one too many, however slow this is.
  EXPECT_TRUE(live.eventually([](LiveGateway& l) {
    RawPeer next{l.port()};
    const std::string answer = next.read_http();
    return answer.substr(0, 12) == "HTTP/1.1 429" &&
           answer.find("Retry-After: 1\r\n") != std::string::npos;
  }));
  EXPECT_GE(live.counters().connection_rate_refused, 1U);
  EXPECT_LE(
      live.ask([](Gateway& gateway, EchoHandler&) { return gateway.queues(); }).connection_buckets,
      1U);
  first.send(client_frame("still here"));
  EXPECT_EQ(first.read_message(), "still here") << "who is connected stays";
}

TEST(HttpFront, ConnectionsThatSayNothingCannotTakeEveryDescriptor) {
  GatewaySettings settings;
  settings.sessions_max = 2;
  LiveGateway live{settings};
  RawPeer neighbour = RawPeer::upgraded(live.port());
  std::vector<RawPeer> mute;
  for (std::size_t i = 0; i < connections_beside_sessions + 1; ++i) mute.emplace_back(live.port());
  RawPeer refused{live.port()};
  EXPECT_EQ(refused.read_http().substr(0, 12), "HTTP/1.1 503");
  EXPECT_TRUE(refused.reads_end());
  EXPECT_EQ(live.counters().connections_max_refused, 1U);
  neighbour.send(client_frame("still here"));
  EXPECT_EQ(neighbour.read_message(), "still here");

  mute.clear();
  EXPECT_TRUE(live.eventually([&](LiveGateway& l) {
    RawPeer next{l.port()};
    next.send(upgrade_request);
    return next.read_http().substr(0, 12) == "HTTP/1.1 101";
  }));
}

/// Takes all descriptors of the process but `spare`, and gives them back.
class DescriptorShortage {
 public:
  explicit DescriptorShortage(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = limit;
    ::setrlimit(RLIMIT_NOFILE, &low);
    for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY)) >= 0;) taken_.push_back(fd);
  }
  ~DescriptorShortage() {
    for (const int fd : taken_) ::close(fd);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  DescriptorShortage(const DescriptorShortage&) = delete;
  DescriptorShortage& operator=(const DescriptorShortage&) = delete;
  void give_back_one() {
    ::close(taken_.back());
    taken_.pop_back();
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

// Method: the one spare descriptor goes to the client's socket, so that accepting it fails; the
// gateway must wait and retry, not spin, serve its sessions meanwhile, and accept in the end.
TEST(HttpFront, OutOfDescriptorsPausesAcceptingAndNothingElse) {
  LiveGateway live;
  RawPeer neighbour = RawPeer::upgraded(live.port());
  std::optional<RawPeer> waiting;
  {
    DescriptorShortage shortage{200};
    shortage.give_back_one();
    waiting.emplace(live.port());
    EXPECT_TRUE(live.eventually([](LiveGateway& l) { return l.counters().accept_failures >= 2; }));
    EXPECT_LE(live.counters().accept_failures, 100U) << "10 a second, not a spin";
    neighbour.send(client_frame("still here"));
    EXPECT_EQ(neighbour.read_message(), "still here");
  }
  waiting->send(upgrade_request);
  EXPECT_EQ(waiting->read_http().substr(0, 12), "HTTP/1.1 101");
}

TEST(HttpFront, AddressInUseIsAnErrorAtTheStart) {
  LiveGateway live;
  boost::asio::io_context io;
  EchoHandler handler;
  GatewaySettings settings;
  settings.port = live.port();
  EXPECT_THROW((Gateway{io, settings, handler}), boost::system::system_error);
}

}  // namespace
}  // namespace clamor::gateway
