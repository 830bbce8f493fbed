#pragma once

#include "server/base/operations.hpp"
#include "server/core/session_buffer.hpp"
#include "server/gateway/counters.hpp"
#include "server/gateway/frame_queues.hpp"
#include "server/gateway/gateway.hpp"
#include "server/gateway/poller.hpp"
#include "server/gateway/socket.hpp"
#include "server/gateway/tls_sessions.hpp"
#include "server/protocol/websocket_frame.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <sys/types.h>
#include <sys/uio.h>
#include <unordered_map>
#include <vector>

namespace clamor::gateway {

/// The sessions of one gateway and its turns: reads into one buffer, own framing, one flush per
/// dirty session and turn. See Gateway for the contract and the thread.
///
/// A session's life: open -> closing (over for the handler; what is queued, a close frame last,
/// still goes out) -> draining (our half is shut; input is discarded until the peer ends its half,
/// since closing earlier would reset the connection and destroy the close frame) -> free.
class Sessions final : private PollerOwner {
 public:
  Sessions(boost::asio::io_context& io, const GatewaySettings& settings, Handler& handler,
           Operations& operations, GatewayCounters& counters, std::shared_ptr<TlsEndpoint> tls);
  ~Sessions() override;
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  /// Takes over a socket whose handshake is done, with its TLS where it has one; `early` is what
  /// came behind the request.
  void open(Socket socket, tls::Connection connection, std::span<std::byte> early);
  bool send(SessionId id, const SharedFrame& frame);
  bool has_room(SessionId id);
  void close(SessionId id, protocol::CloseCode code, std::string_view reason);
  void begin_turn();
  /// The thread goes to sleep.
  void idle();
  /// Counts an event of the sockets that is no session's.
  void count_event() { ++other_events_; }

  /// Closes the sessions that were silent or read nothing, and resets those that did not finish a
  /// close. Called about once a second; O(sessions) over one array.
  void sweep(Instant now);
  void close_all(protocol::CloseCode code, std::string_view reason);
  /// Resets every connection at once.
  void reset_all();
  /// Lets io run out of work. @pre no socket is held, and none will be
  void stop_polling() { poller_.stop(); }

  void add_to(GatewayQueues& queues) const;
  /// Sessions the handler knows as open.
  [[nodiscard]] std::size_t open_count() const { return open_count_; }
  /// Sockets, those still closing included.
  [[nodiscard]] std::size_t held_count() const { return slots_.size() - free_slots_.size(); }

 private:
  enum class State : std::uint8_t { free, open, closing, draining };

  /// A cache line: a session's share of a burst touches little else.
  struct alignas(64) Session {
    int socket = -1;
    std::uint32_t generation = 1;  ///< Counts the slot's sessions; 0 names none.
    core::SessionBuffer buffer{};
    FrameQueues::Queue queue{};
    State state = State::free;
    bool dirty = false;          ///< In dirty_.
    bool waits_write = false;    ///< The socket is full; it is watched for room.
    bool watched = false;        ///< In watched_.
    bool input_ended = false;    ///< The peer ended its half.
    bool end_delivered = false;  ///< on_end was called.
    protocol::FrameDecoder decoder{protocol::Side::server, 0};
  };
  static_assert(sizeof(Session) == 64);

  struct Ended {
    SessionId id;
    EndReason reason = EndReason::peer_closed;
  };

  struct Lingering {
    Instant deadline;
    SessionId id;
  };

  [[nodiscard]] Session* find(SessionId id);
  [[nodiscard]] SessionId id_of(std::uint32_t slot) const;
  std::uint32_t take_slot(int socket);

  // A turn.
  void begin_round(Instant now);
  void end_turn();
  void note_read();
  void deliver_drained();
  bool deliver_ends();

  // Input.
  void on_ready(SessionId id, bool readable, bool writable) override;
  void watch(std::uint32_t slot);
  void on_readable(std::uint32_t slot);
  [[nodiscard]] ssize_t receive(std::uint32_t slot);
  void take_input(std::uint32_t slot, std::span<std::byte> input);
  void answer_close(std::uint32_t slot, std::uint16_t code);

  // Output.
  void answer_ping(SessionId id, protocol::Bytes payload);
  void enqueue_control(std::uint32_t slot, protocol::Opcode opcode, protocol::Bytes payload);
  void mark_dirty(std::uint32_t slot);
  void flush(std::uint32_t slot);
  [[nodiscard]] ssize_t transmit(std::uint32_t slot, std::span<const std::byte> bytes);
  void wait_writable(std::uint32_t slot);
  void sweep_full(Instant now);
  void finish_output(std::uint32_t slot);

  // Ends.
  void end(std::uint32_t slot, EndReason reason);
  void close_with(std::uint32_t slot, EndReason reason, protocol::CloseCode code,
                  std::string_view text);
  void lost(std::uint32_t slot);
  void reset(std::uint32_t slot);
  void destroy(std::uint32_t slot);
  void recycle(std::uint32_t slot);

  boost::asio::io_context& io_;
  const GatewaySettings& settings_;
  Handler& handler_;
  Operations& operations_;
  GatewayCounters& counters_;
  std::optional<TlsSessions> tls_;  ///< Nothing where connections are plain.

  Poller poller_;
  std::vector<Session> slots_;      ///< Never shrinks.
  std::vector<Instant> last_seen_;  ///< By slot; Instant::max() where silence does not matter.
  std::vector<std::uint32_t> free_slots_;
  std::size_t open_count_ = 0;
  FrameQueues queues_;

  std::vector<std::uint32_t> dirty_;  ///< Slots with queued frames, in order of first dirtying.
  std::vector<Ended> ended_;          ///< Ends that the handler is still to hear of.
  std::vector<SessionId> drained_;    ///< Were behind and are empty; the handler is to hear of it.
  std::vector<SessionId> watched_;    ///< Whose sockets were full since the last sweep.
  /// The latest ping of a session that is behind, by slot: answered once there is room.
  std::unordered_map<std::uint32_t, SharedFrame> late_pongs_;
  std::deque<Lingering> lingering_;    ///< Closing sessions, earliest deadline first.
  std::vector<std::uint32_t> silent_;  ///< Scratch of sweep().

  bool turn_open_ = false;
  Instant turn_began_;
  Instant now_;  ///< Of the event being handled.
  std::uint32_t round_events_ = 0;
  std::uint32_t turn_events_ = 0;

  // How long input has waited.
  Instant unread_since_;  ///< What had arrived before is read.
  Instant round_began_;
  Instant pass_began_;
  std::size_t pass_events_ = 0;   ///< Since then.
  std::size_t other_events_ = 0;  ///< Of the round, that are no session's.
  Duration last_turn_{};
  bool slept_ = true;

  std::vector<std::byte> read_buffer_;
  std::vector<std::byte> joined_;  ///< Small frames of one session, to be sent in one piece.
};

}  // namespace clamor::gateway
