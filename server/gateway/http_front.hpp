#pragma once

#include "server/base/time.hpp"
#include "server/core/token_bucket.hpp"
#include "server/gateway/counters.hpp"
#include "server/gateway/gateway.hpp"
#include "server/gateway/socket.hpp"
#include "server/gateway/tls_endpoint.hpp"
#include "server/tls/connection.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace clamor::gateway {

/// What HttpFront hands on.
class HttpFrontOwner {
 public:
  virtual ~HttpFrontOwner() = default;
  /// Whether one more session fits beside `upgrading` ones that are about to open.
  [[nodiscard]] virtual bool has_room(std::size_t upgrading) const = 0;
  /// Whether another session may open now.
  [[nodiscard]] virtual bool takes_session() = 0;
  /// A connection has sent something.
  virtual void count_event() = 0;
  /// A handshake is done; `early` is what the peer sent behind it, valid during the call. The TLS
  /// connection is empty on a plain socket.
  virtual void open(Socket socket, tls::Connection connection, std::span<std::byte> early) = 0;
  [[nodiscard]] virtual HttpAnswer get(std::string_view target) = 0;
};

/// Accepts connections, does the TLS handshake where there is one, answers plain HTTP, and does the
/// WebSocket handshake: all of Beast is in its one .cpp. A connection is a coroutine here, and
/// leaves it as a bare socket. Connections count against the sessions' limit, so that idle ones
/// cannot use up the descriptors.
class HttpFront {
 public:
  /// Binds and listens. Throws boost::system::system_error where the address cannot be had.
  HttpFront(boost::asio::io_context& io, const GatewaySettings& settings, HttpFrontOwner& owner,
            GatewayCounters& counters, std::shared_ptr<TlsEndpoint> tls);
  ~HttpFront();
  HttpFront(const HttpFront&) = delete;
  HttpFront& operator=(const HttpFront&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  /// Cuts off the connections that did not complete a request in time; called every now and then.
  void sweep(Instant now);
  void add_to(GatewayQueues& queues);
  /// Stops accepting and ends every connection that is still HTTP.
  void stop();

 private:
  class Serving;
  struct Connection;

  boost::asio::io_context& io_;
  const GatewaySettings& settings_;
  HttpFrontOwner& owner_;
  GatewayCounters& counters_;
  const std::shared_ptr<TlsEndpoint> tls_;  ///< Nothing where connections are plain.
  boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor> acceptor_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>, Executor>
      accept_pause_;
  struct Connections;
  std::unique_ptr<Connections> connections_;
  std::size_t upgrading_ = 0;
  std::size_t securing_ = 0;  ///< TLS handshakes under way.
  /// Connections that are still HTTP; shared with them, for they may outlive this.
  std::shared_ptr<std::size_t> open_ = std::make_shared<std::size_t>(0);
  core::TokenBuckets connection_buckets_;  ///< By source address.
  bool stopped_ = false;
};

}  // namespace clamor::gateway
