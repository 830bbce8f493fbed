#pragma once

#include "server/protocol/websocket_frame.hpp"
#include "server/tls/connection.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace clamor::gateway {

using Buffer = std::vector<std::byte>;

inline Buffer bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline constexpr std::string_view upgrade_request =
    "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A masked frame, as a client sends it.
inline Buffer client_frame(std::string_view payload,
                           protocol::Opcode opcode = protocol::Opcode::binary) {
  Buffer frame;
  protocol::append_client_frame(opcode, bytes_of(payload), 0x5EED1234, frame);
  return frame;
}

/// A test's end of a connection: a blocking socket with timeouts, which sends whatever bytes it is
/// told, valid or not.
class RawPeer {
 public:
  explicit RawPeer(std::uint16_t port, int receive_buffer_bytes = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_GE(fd_, 0);
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_buffer_bytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~RawPeer() { close(); }
  RawPeer(RawPeer&& other) noexcept
      : fd_{std::exchange(other.fd_, -1)},
        tls_{std::move(other.tls_)},
        tls_state_{other.tls_state_},
        unread_{std::move(other.unread_)},
        decoder_{std::move(other.decoder_)} {}
  RawPeer& operator=(RawPeer&&) = delete;

  /// Connects and finishes the WebSocket handshake.
  static RawPeer upgraded(std::uint16_t port, int receive_buffer_bytes = 0) {
    RawPeer peer{port, receive_buffer_bytes};
    peer.send(upgrade_request);
    EXPECT_EQ(peer.read_http().substr(0, 12), "HTTP/1.1 101");
    return peer;
  }

  /// Does a client's part of the TLS handshake: what is sent and read from here on is encrypted.
  bool secure(tls::Context& context, const tls::Ticket& ticket = {}) {
    tls_ = tls::Connection::connect(context, "127.0.0.1", ticket);
    Buffer hello;
    Buffer plain(tls::record_bytes_max);
    (void)tls_.take({}, plain, hello);
    if (!send_bytes(hello)) return false;
    while (tls_state_ == tls::State::handshaking && receive()) {
    }
    return tls_state_ == tls::State::open;
  }
  [[nodiscard]] tls::Connection& tls() { return tls_; }

  bool send(std::span<const std::byte> bytes) {
    if (!tls_) return send_bytes(bytes);
    Buffer cipher;
    return tls_.put(bytes, cipher) && send_bytes(cipher);
  }
  /// Past TLS, where there is one.
  bool send_bytes(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool send(std::string_view text) { return send(std::as_bytes(std::span{text})); }

  /// One HTTP answer, body included; empty where the connection ended or nothing came.
  std::string read_http() {
    std::string text = text_of(unread_);
    std::size_t end = 0;
    while ((end = text.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return {};
      text = text_of(unread_);
    }
    std::size_t size = end + 4;
    if (const auto at = text.find("Content-Length: "); at < end) {
      size += static_cast<std::size_t>(std::atoi(text.c_str() + at + 16));
    }
    while (unread_.size() < size) {
      if (!receive()) return {};
    }
    text = text_of(std::span{unread_}.first(size));
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(size));
    return text;
  }

  struct Event {
    protocol::FrameEvent::Kind kind = protocol::FrameEvent::Kind::need_more;
    std::uint16_t close_code = 0;
    std::string payload;
  };

  /// The next WebSocket event; need_more where the stream ended or nothing came in time.
  Event read_event() {
    for (;;) {
      std::span<std::byte> input{unread_};
      const protocol::FrameEvent event = decoder_.next(input);
      Event seen{event.kind, event.close_code, text_of(event.payload)};
      unread_.erase(unread_.begin(), unread_.end() - static_cast<std::ptrdiff_t>(input.size()));
      if (seen.kind != protocol::FrameEvent::Kind::need_more || !receive()) return seen;
    }
  }

  /// The payload of the next message; anything else fails the test.
  std::string read_message() {
    const Event event = read_event();
    EXPECT_EQ(event.kind, protocol::FrameEvent::Kind::message);
    return event.payload;
  }

  /// Skips messages up to the close frame; its code, or 0 where none came.
  std::uint16_t read_close() {
    for (;;) {
      const Event event = read_event();
      if (event.kind == protocol::FrameEvent::Kind::close) return event.close_code;
      if (event.kind == protocol::FrameEvent::Kind::need_more ||
          event.kind == protocol::FrameEvent::Kind::error) {
        return 0;
      }
    }
  }

  /// Whether the stream ends here, by FIN and with nothing before it.
  bool reads_end() {
    std::byte byte{};
    return unread_.empty() && ::recv(fd_, &byte, 1, 0) == 0;
  }
  /// Whether the connection was reset. Skips what is readable before it.
  bool reads_reset() {
    std::byte bytes[4096];
    ssize_t got = 0;
    while ((got = ::recv(fd_, bytes, sizeof bytes, 0)) > 0) {
    }
    return got < 0 && errno == ECONNRESET;
  }

  void shut_sending() const { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }

 private:
  bool receive() {
    std::byte bytes[65536];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    if (tls_) return receive_cipher(std::span{bytes}.first(static_cast<std::size_t>(got)));
    unread_.insert(unread_.end(), bytes, bytes + got);
    return true;
  }

  bool receive_cipher(std::span<const std::byte> cipher) {
    Buffer plain(cipher.size() + tls::record_bytes_max);
    Buffer out;
    const tls::Connection::Taken taken = tls_.take(cipher, plain, out);
    tls_state_ = taken.state;
    unread_.insert(unread_.end(), plain.begin(),
                   plain.begin() + static_cast<std::ptrdiff_t>(taken.plain_bytes));
    return send_bytes(out) && taken.state != tls::State::failed &&
           (taken.state != tls::State::ended || taken.plain_bytes > 0);
  }

  int fd_ = -1;
  tls::Connection tls_;
  tls::State tls_state_ = tls::State::handshaking;
  Buffer unread_;
  protocol::FrameDecoder decoder_{protocol::Side::client, 16 * 1024 * 1024};
};

}  // namespace clamor::gateway
