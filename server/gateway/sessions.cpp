#include "server/gateway/sessions.hpp"

#include "server/base/assert.hpp"
#include "server/core/limits.hpp"
#include "server/core/silence.hpp"
#include "server/host/clock.hpp"
#include "server/protocol/close.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace clamor::gateway {
namespace {

constexpr std::size_t read_buffer_bytes = std::size_t{64} * 1024;
constexpr std::size_t joined_bytes = std::size_t{64} * 1024;

/// A turn that got as many events as are asked for at a time goes on, since more have probably
/// arrived, up to a bound that keeps the first of them from waiting too long.
constexpr std::uint32_t full_round_events = Poller::batch;
constexpr std::uint32_t turn_events_max = 4096;

}  // namespace

Sessions::Sessions(boost::asio::io_context& io, const GatewaySettings& settings, Handler& handler,
                   Operations& operations, GatewayCounters& counters,
                   std::shared_ptr<TlsEndpoint> tls)
    : io_{io},
      settings_{settings},
      handler_{handler},
      operations_{operations},
      counters_{counters},
      poller_{io, *this},
      read_buffer_(read_buffer_bytes),
      joined_(joined_bytes) {
  if (tls != nullptr) tls_.emplace(std::move(tls));
}

Sessions::~Sessions() {
  for (const Session& session : slots_) {
    if (session.state != State::free) ::close(session.socket);
  }
}

// --- the table -----------------------------------------------------------------------------------

Sessions::Session* Sessions::find(SessionId id) {
  if (id.slot >= slots_.size()) return nullptr;
  Session& session = slots_[id.slot];
  return session.generation == id.generation && session.state != State::free ? &session : nullptr;
}

SessionId Sessions::id_of(std::uint32_t slot) const { return {slot, slots_[slot].generation}; }

std::uint32_t Sessions::take_slot(int socket) {
  const auto message_bytes_max = static_cast<std::uint32_t>(settings_.message_bytes_max);
  protocol::FrameDecoder decoder{protocol::Side::server, message_bytes_max};
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
    last_seen_.push_back(Instant::max());
    free_slots_.reserve(slots_.size());  // so that destroy() allocates nothing
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot].socket = socket;
  slots_[slot].decoder = std::move(decoder);
  slots_[slot].state = State::open;
  ++open_count_;
  return slot;
}

void Sessions::add_to(GatewayQueues& queues) const {
  queues.sockets = held_count();
  queues.late_pongs = late_pongs_.size();
  for (const Session& session : slots_) {
    queues.partial += session.decoder.holds_partial() ? 1 : 0;
    queues.output_bytes += session.buffer.queued_bytes;
    queues.output_bytes_most =
        std::max<std::uint64_t>(queues.output_bytes_most, session.buffer.queued_bytes);
  }
}

void Sessions::open(Socket socket, tls::Connection connection, std::span<std::byte> early) {
  begin_turn();
  ++round_events_;
  boost::system::error_code ignored;  // a socket that was reset meanwhile shows it when it is read
  socket.set_option(boost::asio::ip::tcp::no_delay{true}, ignored);
  const std::uint32_t slot = take_slot(socket.release(ignored));
  if (tls_) tls_->open(slot, std::move(connection));
  last_seen_[slot] = now_;
  ++counters_.sessions_opened;
  handler_.on_open(id_of(slot), now_);
  if (!early.empty()) take_input(slot, early);
  if (!poller_.add(slots_[slot].socket, id_of(slot))) lost(slot);
}

void Sessions::close(SessionId id, protocol::CloseCode code, std::string_view reason) {
  Session* const session = find(id);
  if (session == nullptr || session->state != State::open) return;
  close_with(id.slot, EndReason::closed_by_us, code, reason);
}

void Sessions::close_all(protocol::CloseCode code, std::string_view reason) {
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].state != State::open) continue;
    close_with(slot, EndReason::closed_by_us, code, reason);
  }
}

void Sessions::reset_all() {
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].state == State::open) end(slot, EndReason::closed_by_us);
    if (slots_[slot].state != State::free) reset(slot);
  }
}

void Sessions::sweep(Instant now) {
  now_ = now;
  silent_.clear();
  core::sweep_silent(last_seen_, now, settings_.offline_after, silent_);
  for (const std::uint32_t slot : silent_) {
    close_with(slot, EndReason::silent, protocol::CloseCode::silent, "no frame for too long");
  }
  sweep_full(now);
  while (!lingering_.empty() && lingering_.front().deadline <= now) {
    const SessionId id = lingering_.front().id;
    lingering_.pop_front();
    if (find(id) == nullptr) continue;
    ++counters_.close_timeouts;
    reset(id.slot);
  }
}

/// Closes sessions that are behind and read nothing. Those whose sockets have room are let go.
void Sessions::sweep_full(Instant now) {
  std::erase_if(watched_, [&](SessionId id) {
    Session* const session = find(id);
    if (session == nullptr) return true;
    session->watched = session->state == State::open && session->waits_write;
    if (!session->watched) return true;
    if (!core::overdue(session->buffer, now, settings_.session_limits)) return false;
    // The device catches up when it returns: what it has not read yet need not be kept for it.
    session->watched = false;
    session->buffer.queued_bytes =
        static_cast<std::uint32_t>(queues_.drop_unwritten(session->queue));
    close_with(id.slot, EndReason::slow_consumer, protocol::CloseCode::slow_consumer,
               protocol::close_reason(core::retry_when_too_slow, "reads nothing"));
    return true;
  });
}

// --- the turn ------------------------------------------------------------------------------------

void Sessions::begin_turn() {
  if (turn_open_) return;
  turn_open_ = true;
  turn_began_ = monotonic_now();
  now_ = turn_began_;
  turn_events_ = 0;
  if (std::exchange(slept_, false)) {
    unread_since_ = now_;
    pass_events_ = 0;
  }
  handler_.on_turn_begin({now_, now_ - unread_since_, last_turn_});
  begin_round(now_);
}

void Sessions::idle() {
  slept_ = true;
  last_turn_ = {};
  other_events_ = 0;
}

/// After a round. One that was not full has read all that was there when it began. Full ones leave
/// something, but epoll names the sockets in the order in which they became readable: after as many
/// events as there are sockets all that was there when the first of them began is read.
void Sessions::note_read() {
  const std::size_t events = round_events_ + std::exchange(other_events_, 0);
  pass_events_ += events;
  const bool all = events < full_round_events;
  if (!all && pass_events_ < held_count() + connections_beside_sessions) return;
  unread_since_ = all ? round_began_ : pass_began_;
  pass_events_ = 0;
}

/// The end is posted behind the events of the current poll: it runs once all of them were handled.
void Sessions::begin_round(Instant now) {
  round_began_ = now;
  if (pass_events_ == 0) pass_began_ = now;
  round_events_ = 0;
  boost::asio::post(io_, [this] { end_turn(); });
}

void Sessions::end_turn() {
  note_read();
  turn_events_ += round_events_;
  if (round_events_ >= full_round_events && turn_events_ < turn_events_max) {
    begin_round(monotonic_now());
    return;
  }
  now_ = monotonic_now();
  deliver_drained();
  deliver_ends();
  do {
    handler_.on_turn_end(now_);
    // Ends that this caused may have given the handler something to finish.
  } while (deliver_ends());

  const Instant began = turn_began_;
  turn_open_ = false;  // what the flush finds out (a reset peer) opens the next turn
  for (const std::uint32_t slot : dirty_) {
    if (slots_[slot].dirty) flush(slot);
  }
  dirty_.clear();
  last_turn_ = monotonic_now() - began;
  ++operations_.turns;
  operations_.turn_ns += static_cast<std::uint64_t>(to_ns(last_turn_));
}

void Sessions::deliver_drained() {
  for (std::size_t i = 0; i < drained_.size(); ++i) {
    const SessionId id = drained_[i];
    const Session* const session = find(id);
    if (session == nullptr || session->state != State::open) continue;
    if (auto pong = late_pongs_.extract(id.slot)) (void)send(id, std::move(pong.mapped()));  // fits
    handler_.on_drained(id, now_);
  }
  drained_.clear();
}

/// Tells the handler of every end so far; whether there was any.
bool Sessions::deliver_ends() {
  const bool any = !ended_.empty();
  for (std::size_t i = 0; i < ended_.size(); ++i) {  // on_end may end further sessions
    const Ended ended = ended_[i];
    handler_.on_end(ended.id, ended.reason, now_);
    Session& session = slots_[ended.id.slot];
    session.end_delivered = true;
    if (session.state == State::free) recycle(ended.id.slot);
  }
  ended_.clear();
  return any;
}

// --- ends ----------------------------------------------------------------------------------------

void Sessions::end(std::uint32_t slot, EndReason reason) {
  Session& session = slots_[slot];
  CLAMOR_ASSERT(session.state == State::open);
  begin_turn();
  session.state = State::closing;
  last_seen_[slot] = Instant::max();
  --open_count_;
  ++counters_.sessions_ended[static_cast<std::size_t>(reason)];
  ended_.push_back({id_of(slot), reason});
  lingering_.push_back({now_ + settings_.close_grace, id_of(slot)});
}

void Sessions::close_with(std::uint32_t slot, EndReason reason, protocol::CloseCode code,
                          std::string_view text) {
  end(slot, reason);
  enqueue_control(slot, protocol::Opcode::close, protocol::close_payload(code, text));
}

/// The connection broke: there is nobody to send to.
void Sessions::lost(std::uint32_t slot) {
  if (slots_[slot].state == State::open) end(slot, EndReason::peer_reset);
  destroy(slot);
}

/// Ends the connection by RST, so that the kernel keeps no unsent bytes for a peer that is gone.
void Sessions::reset(std::uint32_t slot) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(slots_[slot].socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  destroy(slot);
}

void Sessions::destroy(std::uint32_t slot) {
  Session& session = slots_[slot];
  CLAMOR_ASSERT(session.state == State::closing || session.state == State::draining);
  if (tls_) tls_->close(slot);
  ::close(std::exchange(session.socket, -1));  // which ends the watch, too
  session.decoder = {protocol::Side::server, 0};
  queues_.clear(session.queue);
  late_pongs_.erase(slot);
  session.buffer = {};
  session.state = State::free;
  session.dirty = session.waits_write = session.watched = session.input_ended = false;
  if (session.end_delivered) recycle(slot);
}

/// Gives the slot to the next session, now that both the socket and the handler are done with it.
void Sessions::recycle(std::uint32_t slot) {
  CLAMOR_ASSERT(slots_[slot].state == State::free && slots_[slot].end_delivered);
  slots_[slot].end_delivered = false;
  ++slots_[slot].generation;
  free_slots_.push_back(slot);
}

}  // namespace clamor::gateway
