#include "server/operator/client.hpp"

#include "loadgen/net/handshake.hpp"
#include "server/protocol/codec.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace clamor::server {
namespace {

constexpr std::size_t read_bytes = std::size_t{16} * 1024;

}  // namespace

Client::Client(const loadgen::Target& target, std::chrono::milliseconds patience,
               const tls::Ticket& ticket)
    : target_{target},
      until_{std::chrono::steady_clock::now() + patience},
      decoder_{protocol::Side::client, protocol::server_message_bytes_max} {
  try {
    connect();
    shake_hands(ticket);
  } catch (...) {
    close(socket_);
    throw;
  }
}

Client::~Client() { close(socket_); }

void Client::fail(std::string_view why) const {
  throw ClientError{fmt::format("{}:{}: {}", target_.host, target_.port, why)};
}

void Client::await(short events) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      until_ - std::chrono::steady_clock::now());
  pollfd ready{.fd = socket_, .events = events, .revents = 0};
  if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) == 0) {
    fail("the server does not answer");
  }
}

void Client::connect() {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) fail(std::strerror(errno));
  const auto* const address = reinterpret_cast<const sockaddr*>(&target_.address);
  if (::connect(socket_, address, sizeof target_.address) != 0 && errno != EINPROGRESS) {
    fail(std::strerror(errno));
  }
  await(POLLOUT);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail(std::strerror(error));
}

void Client::shake_hands(const tls::Ticket& ticket) {
  if (target_.trust != nullptr) {
    tls_ = tls::Connection::connect(*target_.trust, target_.host, ticket);
    std::vector<std::byte> plain(tls::record_bytes_max);
    std::vector<std::byte> out;
    auto taken = tls_.take({}, plain, out);
    write_all(out);
    while (taken.state == tls::State::handshaking) {
      std::array<std::byte, read_bytes> cipher{};
      await(POLLIN);
      const ssize_t got = recv(socket_, cipher.data(), cipher.size(), 0);
      if (got <= 0) fail("the connection was closed in the TLS handshake");
      out.clear();
      plain.resize(cipher.size() + tls::record_bytes_max);
      taken = tls_.take(std::span{cipher}.first(static_cast<std::size_t>(got)), plain, out);
      write_all(out);
    }
    if (taken.state != tls::State::open) fail(tls_.failure_text());
  }
  const std::string request = loadgen::handshake_request(target_);
  write(std::as_bytes(std::span{request}));
  std::string answer;
  for (;;) {
    read();
    answer.append(reinterpret_cast<const char*>(unread_.data()), unread_.size());
    const auto result = loadgen::check_handshake(answer);
    if (result.state == loadgen::HandshakeState::refused) fail(result.error);
    if (result.state != loadgen::HandshakeState::accepted) continue;
    unread_ = unread_.last(answer.size() - result.used);
    return;
  }
}

void Client::write(std::span<const std::byte> plain) {
  if (!tls_) return write_all(plain);
  std::vector<std::byte> out;
  if (!tls_.put(plain, out)) fail("the TLS connection has failed");
  write_all(out);
}

void Client::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    await(POLLOUT);
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) continue;
    if (sent < 0) fail(std::strerror(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

void Client::read() {
  for (;;) {
    std::array<std::byte, read_bytes> got{};
    await(POLLIN);
    const ssize_t size = recv(socket_, got.data(), got.size(), 0);
    if (size < 0 && errno == EAGAIN) continue;
    if (size <= 0) fail(size == 0 ? "the server has closed the connection" : std::strerror(errno));
    const auto bytes = std::span{got}.first(static_cast<std::size_t>(size));
    if (!tls_) {
      input_.assign(bytes.begin(), bytes.end());
      unread_ = input_;
      return;
    }
    input_.resize(bytes.size() + tls::record_bytes_max);
    std::vector<std::byte> out;
    const auto taken = tls_.take(bytes, input_, out);
    write_all(out);
    if (taken.state == tls::State::failed) fail(tls_.failure_text());
    if (taken.plain_bytes != 0) {
      unread_ = std::span{input_}.first(taken.plain_bytes);
      return;
    }
    if (taken.state == tls::State::ended) fail("the server has closed the connection");
  }
}

void Client::send(std::span<const std::byte> message) {
  std::vector<std::byte> frame;
  // No script chose what is sent: the mask guards nobody (RFC 6455, 10.3).
  protocol::append_client_frame(protocol::Opcode::binary, message, 0, frame);
  write(frame);
}

std::span<const std::byte> Client::receive() {
  for (;;) {
    const protocol::FrameEvent event = decoder_.next(unread_);
    using Kind = protocol::FrameEvent::Kind;
    if (event.kind == Kind::message) return event.payload;
    if (event.kind == Kind::error) fail("the server's answer is no WebSocket frame");
    if (event.kind == Kind::close) {
      fail(fmt::format("the server closes the session ({}) {}", event.close_code,
                       std::string_view{reinterpret_cast<const char*>(event.payload.data()),
                                        event.payload.size()}));
    }
    if (event.kind == Kind::need_more) read();
  }
}

}  // namespace clamor::server
