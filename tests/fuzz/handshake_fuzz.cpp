// The gateway's port: plain HTTP, the opening handshake and what follows it, over real sockets. A
// peer that has sent all and shut its half gets well-formed answers and the end of the stream.

#include "server/gateway/gateway.hpp"
#include "server/protocol/websocket_frame.hpp"
#include "tests/fuzz/fuzz_target.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace clamor::fuzz {
namespace {

/// Sends every message back.
class Echo final : public gateway::Handler {
 public:
  gateway::Gateway* gateway = nullptr;

  void on_open(gateway::SessionId, Instant) override {}
  void on_message(gateway::SessionId id, std::span<const std::byte> payload, Instant) override {
    (void)gateway->send(id, gateway::make_frame(payload));  // to whoever reads nothing: no answer
  }
  void on_end(gateway::SessionId, gateway::EndReason, Instant) override {}
  void on_drained(gateway::SessionId, Instant) override {}
  void on_turn_end(Instant) override {}
  gateway::HttpAnswer on_http_get(std::string_view target) override {
    return {.body = std::string{target}};
  }
};

/// One gateway for all inputs: what an input leaves behind, the next ones meet.
struct Server {
  boost::asio::io_context io{1};
  Echo echo;
  gateway::Gateway gateway{io, {.message_bytes_max = 4096}, echo};
  Server() { echo.gateway = &gateway; }
};

Server& server() {
  static Server one;
  return one;
}

/// Source addresses are used in turn: a connection's port is not free again for a minute, and one
/// address has 28,000. -1 where the machine has no connection left all the same: no finding.
int connect_to(std::uint16_t port) {
  static std::uint32_t connections = 0;
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + connections++ % 250);
  require(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "a loopback address can be had");
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  std::fprintf(stderr, "no connection: %s\n", std::strerror(errno));
  ::close(fd);
  return -1;
}

/// Reads what has come; false once the stream has ended.
bool receive(int fd, Buffer& out) {
  std::byte bytes[16384];
  for (;;) {
    const ssize_t got = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
      append(out, std::span{bytes}.first(static_cast<std::size_t>(got)));
    } else {
      return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
  }
}

/// HTTP answers, and behind one that upgrades WebSocket frames.
void check(std::span<std::byte> answer) {
  if (answer.empty()) return;
  const std::string_view text{reinterpret_cast<const char*>(answer.data()), answer.size()};
  require(text.starts_with("HTTP/1."), "an answer is HTTP");
  const std::size_t upgraded = text.find(" 101 Switching Protocols\r\n");
  if (upgraded == std::string_view::npos) return;
  const std::size_t head = text.find("\r\n\r\n", upgraded);
  require(head != std::string_view::npos, "a head is complete");
  std::span<std::byte> frames = answer.subspan(head + 4);
  protocol::FrameDecoder decoder{protocol::Side::client, 1U << 20U};
  while (!frames.empty()) {
    require(decoder.next(frames).kind != protocol::FrameEvent::Kind::error,
            "frames of the server obey RFC 6455");
  }
  require(!decoder.holds_partial(), "the last frame is complete");
}

Buffer seed(std::uint8_t piece, std::string_view text) {
  Buffer out{static_cast<std::byte>(piece)};
  append(out, bytes_of(text));
  return out;
}

constexpr std::string_view upgrade =
    "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

}  // namespace

/// The first byte says in what pieces the rest is sent: 0 at once, else of so many bytes.
void run(std::span<const std::byte> input) {
  if (input.empty()) return;
  Server& live = server();
  const std::size_t piece_bytes = std::to_integer<std::size_t>(input[0]);
  auto stream = input.subspan(1);
  const int fd = connect_to(live.gateway.port());
  if (fd < 0) return;
  Buffer answer;
  // Small pieces cost a turn each: the rest of a long stream goes at once.
  for (int pieces = 0; !stream.empty(); ++pieces) {
    const bool all = piece_bytes == 0 || pieces == 32;
    const auto piece = stream.first(all ? stream.size() : std::min(piece_bytes, stream.size()));
    const ssize_t sent = ::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) break;  // The gateway has closed, or does not read: a wait would be for ever.
    stream = stream.subspan(static_cast<std::size_t>(sent));
    live.io.poll();
    receive(fd, answer);
  }
  ::shutdown(fd, SHUT_WR);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (receive(fd, answer)) {
    live.io.poll();
    require(std::chrono::steady_clock::now() < give_up, "a peer that ended its half is ended");
  }
  check(answer);
  ::close(fd);
  live.io.poll();
}

std::vector<Buffer> seeds() {
  Buffer session = seed(0, upgrade);
  protocol::append_client_frame(protocol::Opcode::binary, bytes_of("hello"), 7, session);
  protocol::append_client_frame(protocol::Opcode::ping, bytes_of("beat"), 8, session);
  protocol::append_client_frame(protocol::Opcode::close, {}, 9, session);
  Buffer slow = session;
  slow[0] = std::byte{16};
  std::string elsewhere{upgrade};
  elsewhere.replace(4, 3, "/no");
  std::string old{upgrade};
  old.replace(old.find("13"), 2, "8");
  return {
      session,
      slow,
      seed(0, elsewhere),
      seed(0, old),
      seed(0, "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n"),
      seed(0, "POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"),
      seed(0, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
      seed(3, "GET /ws HTTP/1.1\r\nHost: t\r\n\r\n"),
      seed(0, "GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n"),
  };
}

}  // namespace clamor::fuzz
