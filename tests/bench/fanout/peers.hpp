#pragma once

#include "server/protocol/websocket_frame.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace clamor::bench {

using Bytes = std::span<const std::byte>;
using Buffer = std::vector<std::byte>;
using Clock = std::chrono::steady_clock;

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_{fd} {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_{other.fd_} { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// Many WebSocket clients on one thread over bare epoll: one shared read buffer, one write per
/// connection and turn, a partial frame kept only while there is one. Every failure, a closed
/// connection included, is an exception: a benchmark has nothing to save.
class Peers {
 public:
  using OnMessage = std::function<void(std::uint32_t connection, Bytes payload)>;

  explicit Peers(OnMessage on_message);

  /// Opens `count` further connections to the loopback port, one after the other, upgraded.
  void connect(std::uint16_t port, std::uint32_t count);
  /// Closes all connections at once, without a farewell.
  void disconnect();
  /// Queues one message; the turn's end sends it.
  void send(std::uint32_t connection, Bytes payload);
  /// Receives what has arrived, at most `wait`, then sends what was queued.
  void turn(std::chrono::milliseconds wait);
  /// Takes turns until `done`; throws naming `what` if that takes longer than `limit`.
  void turn_until(const std::function<bool()>& done, std::chrono::seconds limit,
                  const std::string& what);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(all_.size()); }

 private:
  struct Connection {
    Descriptor socket;
    protocol::FrameDecoder decoder{protocol::Side::client, 2U << 20U};
    Buffer out;
    bool dirty = false;
    bool waits_for_room = false;
  };
  void receive(std::uint32_t connection);
  void flush(std::uint32_t connection);
  void watch(std::uint32_t connection, bool for_room, bool added);

  OnMessage on_message_;
  Descriptor epoll_;
  std::vector<Connection> all_;
  std::vector<std::uint32_t> dirty_;
  Buffer read_;
  std::uint32_t mask_ = 0x9E3779B9U;
};

/// Throws std::system_error with errno and what was tried.
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace clamor::bench
