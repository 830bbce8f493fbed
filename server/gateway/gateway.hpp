#pragma once

#include "server/base/operations.hpp"
#include "server/base/time.hpp"
#include "server/core/session_buffer.hpp"
#include "server/core/token_bucket.hpp"
#include "server/gateway/counters.hpp"
#include "server/gateway/frame.hpp"
#include "server/protocol/message.hpp"
#include "server/tls/context.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clamor::gateway {

/// Path of the WebSocket endpoint; every other path is plain HTTP.
inline constexpr std::string_view websocket_path = "/ws";

/// Names one session of one gateway; never reused (slot and generation). A slot is given to another
/// session only after on_end of the one before, so that handlers may index arrays by it.
struct SessionId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  auto operator<=>(const SessionId&) const = default;
};

/// Wraps a protocol message as one unmasked binary WebSocket message.
[[nodiscard]] inline SharedFrame make_frame(std::span<const std::byte> payload) {
  return Frame::make(protocol::Opcode::binary, payload);
}

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// What a turn finds as it begins.
struct TurnStart {
  Instant now;
  /// Of the oldest input that is not read yet, as far as polls of the sockets can tell: everything
  /// that had arrived so long ago was read. 0 where the thread had nothing to do and slept.
  Duration input_age{};
  Duration last_turn{};  ///< The length of the turn before; 0 after a sleep.
};

/// What sits on top of the sessions. All calls come on the gateway's I/O thread; `now` is
/// CLOCK_MONOTONIC (clock.hpp). Every call but on_http_get lies inside a turn.
class Handler {
 public:
  virtual ~Handler() = default;
  /// Comes before everything else of a turn. Not the place to send or close.
  virtual void on_turn_begin(const TurnStart&) {}
  /// Whether another session may open; asked once a WebSocket handshake, which is answered 503
  /// where it may not.
  [[nodiscard]] virtual bool takes_session() { return true; }
  virtual void on_open(SessionId session, Instant now) = 0;
  /// One complete WebSocket message. `payload` is valid during the call only.
  virtual void on_message(SessionId session, std::span<const std::byte> payload, Instant now) = 0;
  /// The session is over: nothing is received from it or sent to it any more. Comes once for each
  /// on_open, at the end of a turn and never from inside send() or close(). If it comes after
  /// on_turn_end, on_turn_end is called again.
  virtual void on_end(SessionId session, EndReason reason, Instant now) = 0;
  /// A session that a frame was refused for has written everything that waited: send goes on. Comes
  /// before the turn's on_turn_end; may come where nothing was refused.
  virtual void on_drained(SessionId session, Instant now) = 0;
  /// After a turn's inputs, before its flush: frames sent from here go out with this turn.
  virtual void on_turn_end(Instant now) = 0;
  /// A plain HTTP GET (/metrics, /healthz) on the same port. `target` is path and query.
  [[nodiscard]] virtual HttpAnswer on_http_get(std::string_view target) = 0;
};

/// Connections that may be open beside sessions_max sessions, for handshakes and plain HTTP; beyond
/// that a connection is answered 503 unread.
inline constexpr std::size_t connections_beside_sessions = 256;

/// TLS handshakes under way at once; beyond that further connections wait to be accepted.
inline constexpr std::size_t tls_handshakes_max = 1024;

/// What a gateway needs to speak TLS.
struct GatewayTls {
  tls::CertificateFiles files;
  std::array<std::byte, tls::ticket_seed_bytes> ticket_seed{};
};

struct GatewaySettings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                                  ///< 0: any; see Gateway::port().
  std::size_t message_bytes_max = std::size_t{64} * 1024;  ///< Larger ones close with too_big.
  std::uint32_t sessions_max = 19000;
  Duration handshake_timeout = std::chrono::seconds{10};
  Duration offline_after = std::chrono::seconds{30};  ///< Silence closes with `silent`.
  Duration close_grace = std::chrono::seconds{2};     ///< To finish a close; then it is a reset.
  core::SessionLimits session_limits;
  /// Of one source address (of IPv6: its first 64 bits); beyond it connections are answered 429.
  core::Rate connection_rate;
  std::uint64_t rate_seed = 0;    ///< See core::TokenBuckets.
  std::optional<GatewayTls> tls;  ///< Nothing: connections are plain.
};

/// What waits in a gateway, at one instant.
struct GatewayQueues {
  std::uint64_t accept = 0;             ///< Connections that the system holds, not accepted yet.
  std::uint64_t handshakes = 0;         ///< Connections that are still HTTP.
  std::uint64_t tls_handshakes = 0;     ///< Of these, under way.
  std::uint64_t sockets = 0;            ///< Of sessions, those that are closing included.
  std::uint64_t partial = 0;            ///< Sessions of which part of a frame or message has come.
  std::uint64_t output_bytes = 0;       ///< Wait for the sockets of all sessions,
  std::uint64_t output_bytes_most = 0;  ///< and of the one with most.
  std::uint64_t late_pongs = 0;
  std::uint64_t connection_buckets = 0;  ///< Addresses that may not connect as often as they like.
};

/// The session layer: HTTP and the WebSocket handshake by Beast, then own framing on the bare
/// socket. An idle session is the socket and a few words of state. Everything that arrived is
/// handled in one turn; its frames go out as one send per dirty session.
///
/// One I/O thread: construct, run and destroy on the thread that runs `io`; other threads may
/// only post to `io`. `io` must outlive the gateway and not be run after it.
class Gateway {
 public:
  /// Binds and listens. Throws boost::system::system_error where the address cannot be had, and
  /// tls::CertificateError.
  Gateway(boost::asio::io_context& io, const GatewaySettings& settings, Handler& handler);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  /// Queues a frame for the turn's flush (and opens a turn where there is none); a session that has
  /// ended ignores it. False: its client reads too slowly; the frame is not taken, and no other is
  /// before on_drained. A client that reads nothing at all is closed as slow_consumer. O(1).
  [[nodiscard]] bool send(SessionId session, const SharedFrame& frame);
  /// Whether send() would take a frame. False counts as a refused one: on_drained follows.
  [[nodiscard]] bool has_room(SessionId session);
  /// Sends a close frame after what is queued, then ends the session; on_end follows.
  void close(SessionId session, protocol::CloseCode code, std::string_view reason);
  /// Says that the thread has handled everything and goes to sleep: nothing waits to be read.
  void idle();
  /// Opens a turn from outside a socket event (a commit that completed, a timer): on_turn_end and
  /// the flush follow once the events that are ready now were handled.
  void begin_turn();
  /// Stops accepting, closes every session with `code` and `reason`, flushes for at most `grace`,
  /// then lets io run out of work.
  void stop(protocol::CloseCode code, Duration grace, std::string_view reason = "the server stops");
  [[nodiscard]] std::size_t sessions() const;
  /// Counts turns, frames, bytes, flushes. The handler adds its own.
  [[nodiscard]] Operations& operations();
  /// Counts connections, endings, refusals and malformed input by kind.
  [[nodiscard]] const GatewayCounters& counters() const;
  /// O(sessions).
  [[nodiscard]] GatewayQueues queues() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clamor::gateway
