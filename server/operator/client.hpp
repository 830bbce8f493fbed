#pragma once

#include "loadgen/net/target.hpp"
#include "server/protocol/websocket_frame.hpp"
#include "server/tls/connection.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace clamor::server {

/// The server could not be asked, or did not answer; what() says where and why.
class ClientError : public std::runtime_error {
  using runtime_error::runtime_error;
};

/// One connection to a server, as any client has it: WebSocket, over TLS where the target says so.
/// Blocks, `patience` in all. Not thread-safe.
class Client {
 public:
  /// Connects; over TLS a ticket spares it most of the handshake. Throws ClientError.
  Client(const loadgen::Target& target, std::chrono::milliseconds patience,
         const tls::Ticket& ticket = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::span<const std::byte> message);
  /// The next message; valid until the next call. Throws ClientError where the server has closed.
  [[nodiscard]] std::span<const std::byte> receive();
  /// For the next connection to the server; empty where it is plain. @pre something was received
  [[nodiscard]] tls::Ticket ticket() const { return tls_ ? tls_.ticket() : tls::Ticket{}; }
  [[nodiscard]] bool resumed() const { return tls_ && tls_.resumed(); }

 private:
  [[noreturn]] void fail(std::string_view why) const;
  void connect();
  void shake_hands(const tls::Ticket& ticket);
  void await(short events) const;
  /// Sends, encrypted where it must be.
  void write(std::span<const std::byte> plain);
  void write_all(std::span<const std::byte> bytes);
  /// Reads until something of what the peer said has come, into `input_`.
  void read();

  const loadgen::Target target_;
  const std::chrono::steady_clock::time_point until_;
  int socket_ = -1;
  tls::Connection tls_;
  std::vector<std::byte> input_;  ///< What was read last,
  std::span<std::byte> unread_;   ///< and what of it was not looked at.
  protocol::FrameDecoder decoder_;
};

}  // namespace clamor::server
