#include "server/gateway/tls_sessions.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <utility>

namespace clamor::gateway {
namespace {

/// Encrypted at once, and what may wait for a full socket beside the session's own buffer.
constexpr std::size_t burst_bytes = std::size_t{64} * 1024;

}  // namespace

void TlsSessions::open(std::uint32_t slot, tls::Connection connection) {
  if (slot >= slots_.size()) slots_.resize(slot + std::size_t{1});
  slots_[slot].connection = std::move(connection);
}

void TlsSessions::close(std::uint32_t slot) {
  if (slot < slots_.size()) slots_[slot] = {};
}

ssize_t TlsSessions::receive(std::uint32_t slot, int socket, std::span<std::byte> plain) {
  const ssize_t got =
      ::recv(socket, endpoint_->cipher.data(), endpoint_->cipher.size(), MSG_DONTWAIT);
  if (got <= 0) return got;
  Slot& own = slots_[slot];
  const std::span<const std::byte> cipher{endpoint_->cipher.data(), static_cast<std::size_t>(got)};
  out_.clear();
  const tls::Connection::Taken taken = own.connection.take(cipher, plain, out_);
  if (!out_.empty() && write_out(own, socket) != 0 && errno != EAGAIN) return -1;
  if (taken.state == tls::State::failed) {
    errno = EPROTO;
    return -1;
  }
  if (taken.plain_bytes > 0) return static_cast<ssize_t>(taken.plain_bytes);
  if (taken.state == tls::State::ended) return 0;
  errno = EAGAIN;
  return -1;
}

ssize_t TlsSessions::send(std::uint32_t slot, int socket, std::span<const std::byte> plain) {
  Slot& own = slots_[slot];
  if (push(slot, socket) != 0) return -1;
  const auto burst = plain.first(std::min(plain.size(), burst_bytes));
  out_.clear();
  if (!own.connection.put(burst, out_)) {
    errno = EPROTO;
    return -1;
  }
  if (write_out(own, socket) != 0 && errno != EAGAIN) return -1;
  return static_cast<ssize_t>(burst.size());
}

int TlsSessions::push(std::uint32_t slot, int socket) {
  Slot& own = slots_[slot];
  if (own.unsent.empty()) return 0;
  out_ = std::exchange(own.unsent, {});
  return write_out(own, socket);
}

int TlsSessions::write_out(Slot& slot, int socket) {
  ssize_t sent = slot.unsent.empty() ? -1 : 0;
  while (sent < 0) {
    sent = ::send(socket, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno == EAGAIN) break;
    if (errno != EINTR) return -1;
  }
  const auto done = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  if (done == out_.size()) return 0;
  slot.unsent.insert(slot.unsent.end(), out_.begin() + static_cast<std::ptrdiff_t>(done),
                     out_.end());
  errno = EAGAIN;
  return -1;
}

void TlsSessions::end(std::uint32_t slot, int socket) {
  out_.clear();
  slots_[slot].connection.end(out_);
  (void)write_out(slots_[slot], socket);
}

}  // namespace clamor::gateway
