#pragma once

#include "server/gateway/socket.hpp"
#include "server/gateway/tls_endpoint.hpp"
#include "server/tls/connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace clamor::gateway {

/// What Beast reads and writes while a connection is still HTTP: the socket itself, or TLS on it. A
/// plain one adds nothing to the socket's own operations.
class HttpStream {
 public:
  using executor_type = Executor;

  explicit HttpStream(Socket& socket) : socket_{socket} {}
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  /// Puts TLS on the socket; step() must then be called until the handshake is done.
  void secure(const std::shared_ptr<TlsEndpoint>& endpoint) {
    endpoint_ = endpoint;
    tls_ = tls::Connection::accept(endpoint->context);
  }
  /// Goes back to the bare socket: the peer speaks no TLS.
  void unsecure() { tls_ = {}; }
  [[nodiscard]] tls::Connection& connection() { return tls_; }
  [[nodiscard]] tls::Connection release() { return std::move(tls_); }
  /// Whether the TLS handshake is done, our part of it written.
  [[nodiscard]] bool open() const { return open_ && unsent_.empty(); }
  [[nodiscard]] bool has_unsent() const { return !unsent_.empty(); }
  /// Tells the peer that nothing follows, if the socket takes it at once.
  void end();
  /// What Beast calls where it gives a connection up.
  friend void beast_close_socket(HttpStream& stream) {
    error_code ignored;
    stream.socket_.close(ignored);
  }
  [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
  [[nodiscard]] Socket& socket() { return socket_; }

  /// Reads what is there. would_block: nothing; eof: the peer's end; bad_message: TLS has failed.
  boost::system::error_code step();
  /// Writes what TLS has to say. would_block: the socket is full.
  boost::system::error_code push();
  /// Plaintext that was read and not asked for yet.
  [[nodiscard]] std::span<std::byte> unread() { return plain_; }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
        Reading<Buffers>{*this, buffers}, token, socket_);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
        Writing<Buffers>{*this, buffers}, token, socket_);
  }

 private:
  using error_code = boost::system::error_code;

  template <class Buffers>
  struct Reading {
    HttpStream& stream;
    Buffers buffers;
    bool began = false;

    template <class Self>
    void operator()(Self& self, error_code ec = {}, std::size_t bytes = 0) {
      if (!stream.tls_) return plain(self, ec, bytes);
      if (!std::exchange(began, true)) {  // never from inside the call that starts it
        if (!stream.plain_.empty())
          return boost::asio::post(stream.get_executor(), std::move(self));
        return stream.socket_.async_wait(Socket::wait_read, std::move(self));
      }
      if (!ec && stream.plain_.empty()) ec = stream.step();
      if (!stream.plain_.empty()) return self.complete({}, stream.take(buffers));
      if (ec == boost::asio::error::would_block) {
        return stream.socket_.async_wait(Socket::wait_read, std::move(self));
      }
      self.complete(ec, 0);
    }
    template <class Self>
    void plain(Self& self, error_code ec, std::size_t bytes) {
      if (std::exchange(began, true)) return self.complete(ec, bytes);
      stream.socket_.async_read_some(buffers, std::move(self));
    }
  };

  template <class Buffers>
  struct Writing {
    HttpStream& stream;
    Buffers buffers;
    bool began = false;
    std::size_t written = 0;

    template <class Self>
    void operator()(Self& self, error_code ec = {}, std::size_t bytes = 0) {
      if (!stream.tls_) return plain(self, ec, bytes);
      if (!std::exchange(began, true)) {
        if (!stream.encrypt(buffers, written)) ec = boost::asio::error::connection_aborted;
        if (!ec) return stream.socket_.async_wait(Socket::wait_write, std::move(self));
        return boost::asio::post(stream.get_executor(), std::move(self));
      }
      if (!ec) ec = stream.push();
      if (ec == boost::asio::error::would_block) {
        return stream.socket_.async_wait(Socket::wait_write, std::move(self));
      }
      self.complete(ec, ec ? 0 : written);
    }
    template <class Self>
    void plain(Self& self, error_code ec, std::size_t bytes) {
      if (std::exchange(began, true)) return self.complete(ec, bytes);
      stream.socket_.async_write_some(buffers, std::move(self));
    }
  };

  /// Copies unread plaintext.
  template <class Buffers>
  std::size_t take(const Buffers& buffers) {
    const std::size_t bytes = boost::asio::buffer_copy(buffers, boost::asio::buffer(plain_));
    plain_.erase(plain_.begin(), plain_.begin() + static_cast<std::ptrdiff_t>(bytes));
    return bytes;
  }
  /// Encrypts at most one record of them.
  template <class Buffers>
  bool encrypt(const Buffers& buffers, std::size_t& bytes) {
    const auto record = std::span{endpoint_->plain}.first(tls::record_bytes_max);
    bytes = boost::asio::buffer_copy(boost::asio::buffer(record.data(), record.size()), buffers);
    return tls_.put(record.first(bytes), unsent_);
  }

  Socket& socket_;
  std::shared_ptr<TlsEndpoint> endpoint_;
  tls::Connection tls_;
  bool open_ = false;
  std::vector<std::byte> plain_;
  std::vector<std::byte> unsent_;
};

}  // namespace clamor::gateway
