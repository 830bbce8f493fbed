#include "server/gateway/tls_sessions.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <utility>

namespace clamor::gateway {

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

ssize_t TlsSessions::send(std::uint32_t slot, int socket, std::span<const iovec> vectors) {
  Slot& own = slots_[slot];
  if (push(slot, socket) != 0) return -1;
  std::size_t bytes = 0;
  for (const iovec& part : vectors) {
    const std::size_t taken = std::min(part.iov_len, endpoint_->plain.size() - bytes);
    std::memcpy(endpoint_->plain.data() + bytes, part.iov_base, taken);
    bytes += taken;
    if (bytes == endpoint_->plain.size()) break;
  }
  out_.clear();
  if (!own.connection.put(std::span{endpoint_->plain}.first(bytes), out_)) {
    errno = EPROTO;
    return -1;
  }
  if (write_out(own, socket) != 0 && errno != EAGAIN) return -1;
  return static_cast<ssize_t>(bytes);
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
