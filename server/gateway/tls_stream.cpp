#include "server/gateway/tls_stream.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace clamor::gateway {

using boost::system::error_code;

error_code HttpStream::step() {
  const ssize_t got = ::recv(socket_.native_handle(), endpoint_->cipher.data(),
                             endpoint_->cipher.size(), MSG_DONTWAIT);
  if (got == 0) return boost::asio::error::eof;
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return boost::asio::error::would_block;
    return {errno, boost::system::system_category()};
  }
  const std::span<const std::byte> cipher{endpoint_->cipher.data(), static_cast<std::size_t>(got)};
  const tls::Connection::Taken taken = tls_.take(cipher, endpoint_->plain, unsent_);
  plain_.insert(plain_.end(), endpoint_->plain.begin(),
                endpoint_->plain.begin() + static_cast<std::ptrdiff_t>(taken.plain_bytes));
  const error_code ec = push();
  if (ec && ec != boost::asio::error::would_block) return ec;
  open_ = taken.state == tls::State::open || taken.state == tls::State::ended;
  switch (taken.state) {
    case tls::State::handshaking:
      return boost::asio::error::would_block;
    case tls::State::open:
      if (!plain_.empty()) return {};
      return boost::asio::error::would_block;
    case tls::State::ended:
      return boost::asio::error::eof;
    case tls::State::failed:
      break;
  }
  return make_error_code(boost::system::errc::bad_message);
}

void HttpStream::end() {
  if (!open_ || !tls_) return;
  tls_.end(unsent_);
  (void)push();
}

error_code HttpStream::push() {
  if (unsent_.empty()) return {};
  const ssize_t sent =
      ::send(socket_.native_handle(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno == EAGAIN || errno == EINTR) return boost::asio::error::would_block;
    return {errno, boost::system::system_category()};
  }
  unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
  if (!unsent_.empty()) return boost::asio::error::would_block;
  unsent_ = {};
  return {};
}

}  // namespace clamor::gateway
