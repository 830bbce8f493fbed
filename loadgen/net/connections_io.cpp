#include "loadgen/net/connections.hpp"
#include "loadgen/net/handshake.hpp"
#include "server/base/assert.hpp"
#include "server/base/hash.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <system_error>
#include <utility>

// Reading and writing on open connections; opening, closing and the loop are in connections.cpp.
namespace clamor::loadgen {

void Connections::read(std::uint32_t slot) {
  const std::uint32_t generation = links_[slot].generation;
  for (;;) {
    const bool secure = targets_[links_[slot].target].trust != nullptr;
    std::vector<std::byte>& buffer = secure ? cipher_buffer_ : read_buffer_;
    const ssize_t got = ::recv(links_[slot].socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      if (links_[slot].state == State::open) return ended(slot, 0);
      return fail(slot, got == 0 ? "the server closed the connection during the handshake"
                                 : "handshake: " + std::system_category().message(errno));
    }
    counters_.bytes_in += static_cast<std::uint64_t>(got);
    std::span<std::byte> input{buffer.data(), static_cast<std::size_t>(got)};
    if (secure && !take_cipher(slot, input)) {
      if (links_[slot].generation != generation) return;
      continue;
    }
    if (links_[slot].state == State::handshaking) {
      if (!take_handshake(slot, input)) {
        if (links_[slot].generation != generation) return;
        continue;
      }
    }
    take_frames(slot, input);
    if (links_[slot].generation != generation) return;
    // Edge-triggered: a short read of a stream means that the next byte brings a new event.
    if (static_cast<std::size_t>(got) < buffer.size()) return;
  }
}

// --- TLS -----------------------------------------------------------------------------------------

void Connections::begin_tls(std::uint32_t slot) {
  Link& link = links_[slot];
  const Target& target = targets_[link.target];
  link.state = State::securing;
  if (link.secure == nullptr) link.secure = std::make_unique<Secure>();
  link.secure->connection =
      tls::Connection::connect(*target.trust, target.host, link.secure->ticket);
  (void)link.secure->connection.take({}, read_buffer_, link.secure->cipher);
  if (!write_out(link)) fail(slot, "TLS: " + std::system_category().message(errno));
}

/// Decrypts `input`; whether there is something to look at in it.
bool Connections::take_cipher(std::uint32_t slot, std::span<std::byte>& input) {
  Secure& secure = *links_[slot].secure;
  const tls::Connection::Taken taken = secure.connection.take(input, read_buffer_, secure.cipher);
  if (!secure.cipher.empty()) (void)write_out(links_[slot]);
  if (taken.state == tls::State::failed) {
    if (links_[slot].state == State::open) {
      ended(slot, 0);
    } else {
      fail(slot, "TLS: " + secure.connection.failure_text());
    }
    return false;
  }
  if (links_[slot].state == State::securing && taken.state == tls::State::open) {
    ++(secure.connection.resumed() ? counters_.tls_resumed : counters_.tls_full);
    begin_handshake(slot);
  }
  input = std::span{read_buffer_}.first(taken.plain_bytes);
  return !input.empty();
}

/// Whether the handshake is complete; `input` is then what follows it.
bool Connections::take_handshake(std::uint32_t slot, std::span<std::byte>& input) {
  const std::string_view fresh{reinterpret_cast<const char*>(input.data()), input.size()};
  const auto half = half_handshakes_.find(slot);
  const std::size_t before = half == half_handshakes_.end() ? 0 : half->second.size();
  HandshakeResult result;
  if (before == 0) {
    result = check_handshake(fresh);
  } else {
    half->second += fresh;
    result = check_handshake(half->second);
  }
  switch (result.state) {
    case HandshakeState::need_more:
      if (before == 0) half_handshakes_[slot] = fresh;
      return false;
    case HandshakeState::refused:
      fail(slot, "handshake: " + result.error);
      return false;
    case HandshakeState::accepted:
      break;
  }
  half_handshakes_.erase(slot);
  input = input.subspan(result.used - before);
  links_[slot].state = State::open;
  --opening_;
  events_.on_open(slot);
  return links_[slot].state == State::open;
}

void Connections::take_frames(std::uint32_t slot, std::span<std::byte> input) {
  const std::uint32_t generation = links_[slot].generation;
  for (;;) {
    const protocol::FrameEvent event = links_[slot].decoder.next(input);
    switch (event.kind) {
      case protocol::FrameEvent::Kind::need_more:
        return;
      case protocol::FrameEvent::Kind::message:
        ++counters_.messages_in;
        events_.on_message(slot, event.payload);
        if (links_[slot].generation != generation) return;
        break;
      case protocol::FrameEvent::Kind::ping:
        append_frame(links_[slot], protocol::Opcode::pong, event.payload);
        mark_dirty(slot);
        break;
      case protocol::FrameEvent::Kind::pong:
        break;
      case protocol::FrameEvent::Kind::close:
        append_frame(links_[slot], protocol::Opcode::close, {});
        (void)write_out(links_[slot]);
        return ended(slot, event.close_code,
                     {reinterpret_cast<const char*>(event.payload.data()), event.payload.size()});
      case protocol::FrameEvent::Kind::error:
        ++counters_.protocol_errors;
        return ended(slot, static_cast<std::uint16_t>(protocol::close_code_of(event.error)));
    }
  }
}

// --- writing -------------------------------------------------------------------------------------

void Connections::send(std::uint32_t slot, protocol::Bytes payload) {
  Link& link = links_[slot];
  CLAMOR_ASSERT(link.state == State::open);
  if (link.stuck) return;
  if (link.queued_bytes() + payload.size() > queued_bytes_max) return give_up_stuck(slot);
  append_frame(link, protocol::Opcode::binary, payload);
  ++counters_.messages_out;
  mark_dirty(slot);
}

/// A hung server must not grow the generator: the client sees a connection that broke.
void Connections::give_up_stuck(std::uint32_t slot) {
  Link& link = links_[slot];
  link.stuck = true;
  drop(link.out);
  failures_.push_back({slot, link.generation, {}});
}

void Connections::append_frame(Link& link, protocol::Opcode opcode, protocol::Bytes payload) {
  if (link.stuck) return;
  const auto mask = static_cast<std::uint32_t>(mix64(++mask_counter_));
  protocol::append_client_frame(opcode, payload, mask, link.out);
}

void Connections::mark_dirty(std::uint32_t slot) {
  if (std::exchange(links_[slot].dirty, true)) return;
  dirty_.push_back(slot);
}

/// Writes what the socket takes; false where the connection is broken.
bool Connections::write_out(Link& link) {
  const bool secure = link.secure != nullptr && link.secure->connection;
  if (secure && !link.out.empty()) {
    if (!link.secure->connection.put(link.out, link.secure->cipher)) return false;
    drop(link.out);
  }
  std::vector<std::byte>& out = secure ? link.secure->cipher : link.out;
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t sent =
        ::send(link.socket.get(), out.data() + done, out.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;  // EPOLLOUT follows
    if (sent < 0) return false;
    done += static_cast<std::size_t>(sent);
  }
  counters_.bytes_out += done;
  if (done == out.size()) {
    drop(out);  // an idle connection keeps no buffer
  } else {
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(done));
  }
  return true;
}

void Connections::flush() {
  for (const std::uint32_t slot : std::exchange(dirty_, {})) {
    Link& link = links_[slot];
    link.dirty = false;
    // Broken ones are left alone: the read side tells why, with the server's close code if any.
    if (link.state != State::free && !write_out(link)) drop(link.out);
  }
}

}  // namespace clamor::loadgen
