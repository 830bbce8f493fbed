#include "server/gateway/sessions.hpp"
#include "server/host/clock.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <utility>

namespace clamor::gateway {

using protocol::FrameEvent;

// --- input ---------------------------------------------------------------------------------------

void Sessions::on_ready(SessionId id, bool readable, bool writable) {
  Session* const session = find(id);
  if (session == nullptr) return;
  if (writable && session->waits_write) {
    begin_turn();
    session->waits_write = false;
    watch(id.slot);
    mark_dirty(id.slot);
  }
  if (readable && !session->input_ended) on_readable(id.slot);
}

/// Has the poller watch for what the session waits for.
void Sessions::watch(std::uint32_t slot) {
  const Session& session = slots_[slot];
  poller_.watch(session.socket, id_of(slot), !session.input_ended, session.waits_write);
}

/// One read an event is the fair share: while more is there, the socket is ready again, behind the
/// others that are.
void Sessions::on_readable(std::uint32_t slot) {
  begin_turn();
  ++round_events_;
  Session& session = slots_[slot];
  const ssize_t got = receive(slot);
  if (got > 0) {
    // What a closing peer still sends is read only so that it can see our close frame.
    if (session.state == State::open) {
      now_ = monotonic_now();
      last_seen_[slot] = now_;
      take_input(slot, std::span{read_buffer_}.first(static_cast<std::size_t>(got)));
    }
  } else if (got == 0) {
    session.input_ended = true;
    if (session.state == State::open) end(slot, EndReason::peer_closed);
    if (session.state == State::draining) {
      destroy(slot);
    } else if (session.waits_write) {
      watch(slot);
    } else {
      mark_dirty(slot);  // what is queued goes out before the socket closes
    }
  } else if (errno != EAGAIN && errno != EINTR) {
    lost(slot);
  }
}

/// As recv: what a session that is over still sends is nobody's, and not decrypted.
ssize_t Sessions::receive(std::uint32_t slot) {
  Session& session = slots_[slot];
  const int socket = session.socket;
  if (tls_ && session.state == State::open) return tls_->receive(slot, socket, read_buffer_);
  return ::recv(socket, read_buffer_.data(), read_buffer_.size(), MSG_DONTWAIT);
}

void Sessions::take_input(std::uint32_t slot, std::span<std::byte> input) {
  Session& session = slots_[slot];
  const SessionId id = id_of(slot);
  // The handler may end the session: then the rest of its input is nobody's.
  while (session.state == State::open) {
    const FrameEvent event = session.decoder.next(input);
    switch (event.kind) {
      case FrameEvent::Kind::need_more:
        return;
      case FrameEvent::Kind::message:
        ++operations_.frames_in;
        operations_.bytes_in += event.payload.size();
        handler_.on_message(id, event.payload, now_);
        break;
      case FrameEvent::Kind::ping:
        ++counters_.pings;
        answer_ping(id, event.payload);
        break;
      case FrameEvent::Kind::pong:
        break;
      case FrameEvent::Kind::close:
        answer_close(slot, event.close_code);
        break;
      case FrameEvent::Kind::error:
        ++counters_.frame_errors[static_cast<std::size_t>(event.error)];
        close_with(slot, EndReason::protocol_error, protocol::close_code_of(event.error),
                   protocol::name_of(event.error));
        break;
    }
  }
}

/// Echoes the peer's code, as RFC 6455 5.5.1 has it; a close without a code is answered by one.
void Sessions::answer_close(std::uint32_t slot, std::uint16_t code) {
  end(slot, EndReason::peer_closed);
  std::vector<std::byte> payload;
  if (code != protocol::no_close_status) {
    payload = protocol::close_payload(static_cast<protocol::CloseCode>(code), {});
  }
  enqueue_control(slot, protocol::Opcode::close, payload);
}

// --- output --------------------------------------------------------------------------------------

bool Sessions::send(SessionId id, const SharedFrame& frame) {
  Session* const session = find(id);
  if (session == nullptr || session->state != State::open) return true;
  begin_turn();
  const core::SendDecision decision =
      core::offer(session->buffer, frame->size(), now_, settings_.session_limits);
  if (decision == core::SendDecision::fall_back) return false;
  queues_.push(session->queue, frame);
  mark_dirty(id.slot);
  return true;
}

bool Sessions::has_room(SessionId id) {
  Session* const session = find(id);
  if (session == nullptr || session->state != State::open) return true;
  begin_turn();
  return core::offer(session->buffer, 0, now_, settings_.session_limits) ==
         core::SendDecision::queue;
}

/// One that is behind is answered its latest ping later, as RFC 6455 5.5.3 allows: it must not make
/// us buffer a pong for each.
void Sessions::answer_ping(SessionId id, protocol::Bytes payload) {
  SharedFrame pong = Frame::make(protocol::Opcode::pong, payload);
  if (!send(id, pong)) late_pongs_[id.slot] = std::move(pong);
}

/// Control frames of a close go past the limits: there is one a session.
void Sessions::enqueue_control(std::uint32_t slot, protocol::Opcode opcode,
                               protocol::Bytes payload) {
  Session& session = slots_[slot];
  SharedFrame frame = Frame::make(opcode, payload);
  session.buffer.queued_bytes += static_cast<std::uint32_t>(frame->size());
  queues_.push(session.queue, std::move(frame));
  mark_dirty(slot);
}

void Sessions::mark_dirty(std::uint32_t slot) {
  Session& session = slots_[slot];
  if (session.dirty || session.waits_write) return;
  session.dirty = true;
  dirty_.push_back(slot);
}

void Sessions::flush(std::uint32_t slot) {
  Session& session = slots_[slot];
  session.dirty = false;
  if (tls_ && tls_->push(slot, session.socket) != 0) {
    return errno == EAGAIN ? wait_writable(slot) : lost(slot);
  }
  while (!session.queue.empty()) {
    const std::span<const std::byte> offered = queues_.next(session.queue, joined_);
    const ssize_t result = transmit(slot, offered);
    ++operations_.flushes;
    if (result < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? wait_writable(slot) : lost(slot);
    }
    const auto written = static_cast<std::size_t>(result);
    operations_.bytes_out += written;
    operations_.frames_out += queues_.pop(session.queue, written);
    if (core::flushed(session.buffer, written, now_) && session.state == State::open) {
      drained_.push_back(id_of(slot));
      begin_turn();
    }
    if (written < offered.size() || (tls_ && tls_->waits(slot))) return wait_writable(slot);
  }
  if (session.state == State::closing) finish_output(slot);
}

/// As send: how many of the bytes were taken.
ssize_t Sessions::transmit(std::uint32_t slot, std::span<const std::byte> bytes) {
  const int socket = slots_[slot].socket;
  if (tls_) return tls_->send(slot, socket, bytes);
  return ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Sessions::wait_writable(std::uint32_t slot) {
  Session& session = slots_[slot];
  session.waits_write = true;
  if (!std::exchange(session.watched, true)) watched_.push_back(id_of(slot));
  watch(slot);
}

/// Everything went out, the close frame last: shuts our half and waits for the peer's.
void Sessions::finish_output(std::uint32_t slot) {
  Session& session = slots_[slot];
  if (session.input_ended) return destroy(slot);
  session.state = State::draining;
  if (tls_) tls_->end(slot, session.socket);
  if (::shutdown(session.socket, SHUT_WR) != 0) lost(slot);
}

}  // namespace clamor::gateway
