#pragma once

#include "loadgen/net/descriptor.hpp"
#include "loadgen/net/target.hpp"
#include "server/base/time.hpp"
#include "server/protocol/codec.hpp"
#include "server/protocol/message.hpp"
#include "server/protocol/websocket_frame.hpp"
#include "server/tls/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace clamor::loadgen {

/// What happens on connections. Calls come from Connections::poll; they may open, send, close and
/// reset, the calling slot included.
class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  virtual void on_open(std::uint32_t slot) = 0;  ///< The WebSocket handshake is done.
  /// Refused, reset or badly answered before that; `why` is for people.
  virtual void on_failed(std::uint32_t slot, const std::string& why) = 0;
  /// One message; `payload` is valid during the call.
  virtual void on_message(std::uint32_t slot, std::span<const std::byte> payload) = 0;
  /// The server ended it: its close code and reason, or 0 where the stream just ended.
  virtual void on_closed(std::uint32_t slot, std::uint16_t close_code,
                         const std::string& reason) = 0;
};

/// The WebSocket connections of one worker: one per slot at most, on one thread and one epoll.
///
/// About 100 bytes a slot besides the kernel's, and what OpenSSL keeps where it has TLS: no
/// coroutine, no timer, no buffer while idle. Reads
/// go to one shared buffer; what is sent is gathered per connection and leaves with flush(), so a
/// turn costs one write per connection, however many messages.
class Connections {
 public:
  /// @param source_group  spreads loopback source addresses: workers with different ones never
  ///        compete for ports.
  Connections(std::vector<Target> targets, std::uint32_t slots, std::uint32_t source_group,
              ConnectionEvents& events);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// Starts to connect a free slot to one of the targets; on_open or on_failed follows.
  void open(std::uint32_t slot, std::uint16_t target = 0);
  /// Most that one connection queues for a server that does not read.
  static constexpr std::size_t queued_bytes_max = std::size_t{1} << 20U;

  /// Queues one binary message, masked. @pre the slot is open. Beyond queued_bytes_max the message
  /// and what waits are dropped, and the next dispatch tells on_closed with code 0.
  void send(std::uint32_t slot, protocol::Bytes payload);
  /// Frees the slot at once. A close frame follows what is queued, and the socket lingers in the
  /// background until the server has closed too, or for two seconds.
  void close(std::uint32_t slot);
  /// Frees the slot at once with a TCP reset (SO_LINGER 0); what is queued is dropped.
  void reset(std::uint32_t slot);
  [[nodiscard]] bool is_open(std::uint32_t slot) const;
  /// What waits for the socket to take it.
  [[nodiscard]] std::size_t queued_bytes(std::uint32_t slot) const {
    return links_[slot].queued_bytes();
  }

  /// Calls `ready` from poll whenever `fd` is readable.
  void watch(int fd, std::function<void()> ready);
  /// Waits until something happens, at most `longest`; returns with the events taken but not yet
  /// handled, so that the caller can look at the clock first. Then call dispatch().
  void wait(Duration longest);
  void dispatch();
  /// Writes everything queued.
  void flush();

  struct Counters {
    std::uint64_t messages_in = 0;
    std::uint64_t messages_out = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t handshakes_failed = 0;
    std::uint64_t tls_full = 0;         ///< TLS handshakes done,
    std::uint64_t tls_resumed = 0;      ///< and those by a ticket.
    std::uint64_t protocol_errors = 0;  ///< Frames of the server that RFC 6455 forbids.
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] std::uint32_t opening() const { return opening_; }  ///< Handshakes in flight.
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  enum class State : std::uint8_t { free, connecting, securing, handshaking, open };
  /// TLS on a link to a target that has it.
  struct Secure {
    tls::Connection connection;
    tls::Ticket ticket;             ///< Of the connection before: spares a full handshake.
    std::vector<std::byte> cipher;  ///< Encrypted, not taken by the socket yet.
  };
  struct Link {
    Descriptor socket;
    std::uint32_t generation = 0;
    State state = State::free;
    bool dirty = false;
    std::uint16_t target = 0;
    bool stuck = false;  ///< Its queue ran over: the stream has a hole, nothing more is written.
    protocol::FrameDecoder decoder{protocol::Side::client, 0};
    std::vector<std::byte> out;
    std::unique_ptr<Secure> secure;  ///< Made when it first connects to such a target.
    [[nodiscard]] std::size_t queued_bytes() const {
      return out.size() + (secure == nullptr ? 0 : secure->cipher.size());
    }
  };
  struct Failure {
    std::uint32_t slot;
    std::uint32_t generation;
    std::string why;
  };

  void on_ready(std::uint32_t slot, std::uint32_t epoll_events);
  void finish_connect(std::uint32_t slot);
  void read(std::uint32_t slot);
  /// Empties a buffer and gives its memory back, which `= {}` would keep.
  static void drop(std::vector<std::byte>& buffer) { buffer = std::vector<std::byte>{}; }
  void begin_handshake(std::uint32_t slot);
  void begin_tls(std::uint32_t slot);
  bool take_cipher(std::uint32_t slot, std::span<std::byte>& input);
  bool take_handshake(std::uint32_t slot, std::span<std::byte>& input);
  void take_frames(std::uint32_t slot, std::span<std::byte> input);
  void append_frame(Link& link, protocol::Opcode opcode, protocol::Bytes payload);
  void give_up_stuck(std::uint32_t slot);
  void mark_dirty(std::uint32_t slot);
  bool write_out(Link& link);
  void fail(std::uint32_t slot, std::string why);
  void ended(std::uint32_t slot, std::uint16_t close_code, const std::string& reason = {});
  Descriptor take_socket(std::uint32_t slot);
  void linger(Descriptor socket);
  void drain_lingering(int fd);
  void sweep_lingering();

  const std::vector<Target> targets_;
  std::vector<std::string> requests_;  ///< Handshakes, by target.
  std::uint32_t source_group_;
  ConnectionEvents& events_;
  Descriptor epoll_;
  std::vector<Link> links_;
  std::vector<std::uint32_t> dirty_;
  std::vector<Failure> failures_;  ///< Found within a call; told by the next dispatch.
  std::unordered_map<std::uint32_t, std::string> half_handshakes_;
  std::unordered_map<int, Instant> lingering_;  ///< Deadline by descriptor.
  Instant next_sweep_;
  std::unordered_map<int, std::function<void()>> watched_;
  std::vector<std::byte> read_buffer_;
  std::vector<std::byte> cipher_buffer_;  ///< Where a target has TLS.
  std::vector<std::byte> ready_;          ///< epoll_event array, as raw memory of the last wait.
  int ready_count_ = 0;
  std::uint32_t opening_ = 0;
  std::uint64_t mask_counter_ = 0;
  Counters counters_;
};

}  // namespace clamor::loadgen
