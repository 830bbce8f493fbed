#pragma once

#include "server/protocol/websocket_frame.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
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
  using OnOpen = std::function<void(std::uint32_t connection)>;

  /// With `stamped` the kernel notes when bytes arrive: see arrived_ns().
  explicit Peers(OnMessage on_message, bool stamped = false);

  /// Begins a further connection to the loopback port; `on_open` is called once it is upgraded.
  void begin(std::uint16_t port, OnOpen on_open);
  /// Opens `count` further connections, upgraded.
  void connect(std::uint16_t port, std::uint32_t count);
  /// Closes all connections at once, without a farewell.
  void disconnect();
  /// Queues one message; the turn's end sends it.
  void send(std::uint32_t connection, Bytes payload);
  /// Waits for something to arrive, at most `wait` and not while something is queued; receives it,
  /// then sends what was queued.
  void turn(std::chrono::nanoseconds wait);
  /// Takes turns until `done`; throws naming `what` if that takes longer than `limit`.
  void turn_until(const std::function<bool()>& done, std::chrono::seconds limit,
                  const std::string& what);

  /// When the last bytes of what on_message is being called for reached the connection's socket,
  /// however late they are read: ns of CLOCK_REALTIME. @pre stamped
  [[nodiscard]] std::int64_t arrived_ns() const { return arrived_ns_; }

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(all_.size()); }

 private:
  struct Upgrade {
    OnOpen on_open;
    std::string answer;
  };
  struct Connection {
    Descriptor socket;
    protocol::FrameDecoder decoder{protocol::Side::client, 2U << 20U};
    Buffer out;
    std::unique_ptr<Upgrade> upgrade;  ///< Until it is upgraded.
    bool dirty = false;
    bool waits_for_room = false;
  };
  void receive(std::uint32_t connection);
  std::size_t read_from(const Descriptor& socket);
  void take_upgrade(std::uint32_t connection, std::span<std::byte>& input);
  void flush(std::uint32_t connection);
  void watch(std::uint32_t connection, bool for_room, bool added);

  OnMessage on_message_;
  Descriptor epoll_;
  std::vector<Connection> all_;
  std::vector<std::uint32_t> dirty_;
  Buffer read_;
  bool stamped_;
  std::int64_t arrived_ns_ = 0;
  std::uint32_t mask_ = 0x9E3779B9U;
};

/// Throws std::system_error with errno and what was tried.
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace clamor::bench
