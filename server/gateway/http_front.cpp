#include "server/gateway/http_front.hpp"

#include "server/gateway/tls_stream.hpp"
#include "server/host/clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <chrono>
#include <exception>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace clamor::gateway {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;
template <class T>
using Awaitable = asio::awaitable<T, Executor>;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable_t<Executor>{});

constexpr std::size_t request_bytes_max = std::size_t{16} * 1024;
constexpr std::uint32_t header_bytes_max = 8 * 1024;
constexpr std::chrono::milliseconds accept_pause{100};

Response make_response(http::status status, std::string body, bool keep_alive, unsigned version) {
  Response response{status, version};
  response.set(http::field::server, "clamor");
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.keep_alive(keep_alive);
  response.body() = std::move(body);
  response.prepare_payload();
  return response;
}

Response refusal(http::status status, std::string_view why, unsigned version = 11) {
  return make_response(status, std::string{why} + "\n", false, version);
}

/// Whether `ec` says that the peer sent something, and that it was no acceptable request.
bool is_bad_request(const error_code& ec) {
  static const auto& http_errors = make_error_code(http::error::end_of_stream).category();
  return ec.category() == http_errors && ec != http::error::end_of_stream;
}

/// A header of a handshake that stands more than once and may not (RFC 6455 11.3; RFC 7230 5.4).
/// Beast would take the first.
std::optional<std::string> repeated_header(const Request& request) {
  for (const http::field field :
       {http::field::host, http::field::sec_websocket_key, http::field::sec_websocket_version}) {
    if (request.count(field) > 1) return std::string{http::to_string(field)};
  }
  return std::nullopt;
}

void rethrow(const std::exception_ptr& failure) {
  if (failure) std::rethrow_exception(failure);  // out of memory; nothing else throws here
}

}  // namespace

/// A connection that is still HTTP; lives in its coroutine.
struct HttpFront::Connection
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  Connection(Socket accepted, std::shared_ptr<std::size_t> counter)
      : socket{std::move(accepted)}, open{std::move(counter)} {
    ++*open;
  }
  ~Connection() { --*open; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Socket socket;
  HttpStream stream{socket};
  std::shared_ptr<std::size_t> open;
  Instant deadline;
  bool timed_out = false;
};

/// Ordered by deadline: every request gets the same time, and begins at the end of the list.
struct HttpFront::Connections
    : boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>> {};

/// The coroutines of a front. Named functions with plain parameters; none captures anything.
class HttpFront::Serving {
 public:
  static Awaitable<void> accept(HttpFront& front) {
    while (front.acceptor_.is_open()) {
      if (front.securing_ >= tls_handshakes_max) {
        front.accept_pause_.expires_at(std::chrono::steady_clock::time_point::max());
        co_await front.accept_pause_.async_wait(as_result);  // until a handshake has ended
        continue;
      }
      auto [ec, socket] = co_await front.acceptor_.async_accept(as_result);
      if (front.stopped_) co_return;
      if (!ec) {
        ++front.counters_.connections;
        if (!has_room(front)) {
          ++front.counters_.connections_max_refused;
          turn_away(front, socket, "503 Service Unavailable", 1, "too many connections\n");
          continue;
        }
        if (const Duration wait = over_rate(front, socket); wait > Duration{}) {
          ++front.counters_.connection_rate_refused;
          turn_away(front, socket, "429 Too Many Requests",
                    std::chrono::ceil<std::chrono::seconds>(wait).count(),
                    "too many connections of this address\n");
          continue;
        }
        asio::co_spawn(front.io_.get_executor(), serve(front, std::move(socket)), rethrow);
      } else if (ec != asio::error::connection_aborted) {
        // Out of descriptors or memory: the waiting connection would be reported again at once.
        ++front.counters_.accept_failures;
        front.accept_pause_.expires_after(accept_pause);
        co_await front.accept_pause_.async_wait(as_result);
      }
    }
  }

  static Awaitable<void> serve(HttpFront& front, Socket accepted) {
    Connection connection{std::move(accepted), front.open_};
    beast::flat_buffer buffer{request_bytes_max};
    bool answered = false;
    if (front.tls_ != nullptr && !co_await secure(front, connection)) co_return;
    for (bool keep_alive = true; keep_alive && !front.stopped_; answered = true) {
      set_deadline(front, connection);
      http::request_parser<http::empty_body> parser;
      parser.header_limit(header_bytes_max);
      const auto [ec, bytes] =
          co_await http::async_read(connection.stream, buffer, parser, as_result);
      if (front.stopped_) co_return;
      front.owner_.count_event();
      if (ec) {
        const bool idle = answered && buffer.size() == 0;  // kept alive without a next request
        if ((connection.timed_out && !idle) || is_bad_request(ec)) {
          co_await refuse_unreadable(front, connection, ec);
        }
        co_return;
      }
      const Request request = parser.release();
      if (websocket::is_upgrade(request)) {
        co_await upgrade(front, connection, request, buffer);
        co_return;
      }
      Response response = answer(front, request);
      keep_alive = response.keep_alive();
      const auto [write_ec, written] =
          co_await http::async_write(connection.stream, response, as_result);
      if (write_ec) co_return;
    }
    co_await linger(front, connection);
  }

 private:
  static bool has_room(const HttpFront& front) {
    return *front.open_ < connections_beside_sessions ||
           front.owner_.has_room(*front.open_ - connections_beside_sessions);
  }

  /// How long until the connection's source may connect again; 0: it may.
  static Duration over_rate(HttpFront& front, const Socket& socket) {
    error_code ec;
    const auto peer = socket.remote_endpoint(ec);
    if (ec) return {};  // It has gone already.
    return front.connection_buckets_.take(source_of(peer.address()), monotonic_now());
  }

  /// Who an address stands for: of IPv6 one has a network of 64 bits at least.
  static std::uint64_t source_of(const asio::ip::address& address) {
    if (address.is_v4()) return address.to_v4().to_uint();
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_uint();
    std::uint64_t network = 0;
    for (std::size_t i = 0; i < 8; ++i) network = network << 8U | v6.to_bytes()[i];
    return network;
  }

  /// Answers without a look at the request, as far as that takes no time and no descriptor.
  static void turn_away(HttpFront& front, Socket& socket, std::string_view status,
                        std::int64_t retry_after, std::string_view why) {
    if (front.tls_ != nullptr) return;  // who expects TLS would not understand it
    const std::string answer = fmt::format(
        "HTTP/1.1 {}\r\nServer: clamor\r\nRetry-After: {}\r\nConnection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{}",
        status, retry_after, why.size(), why);
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(answer), ignored);
    socket.shutdown(Socket::shutdown_send, ignored);
  }

  /// Gives the connection handshake_timeout for what it does next.
  static void set_deadline(HttpFront& front, Connection& connection) {
    connection.unlink();
    connection.timed_out = false;
    connection.deadline = monotonic_now() + front.settings_.handshake_timeout;
    front.connections_->push_back(connection);
  }

  /// Does the TLS handshake within the time that the first request has; whether it worked.
  static Awaitable<bool> secure(HttpFront& front, Connection& connection) {
    set_deadline(front, connection);
    connection.stream.secure(front.tls_);
    ++front.securing_;
    error_code ec = asio::error::would_block;
    while (ec == asio::error::would_block && !connection.stream.open()) {
      const auto wait = connection.stream.has_unsent() ? Socket::wait_write : Socket::wait_read;
      const auto [waited] = co_await connection.socket.async_wait(wait, as_result);
      if (front.stopped_) co_return false;
      ec = waited;
      if (!ec)
        ec = wait == Socket::wait_write ? connection.stream.push() : connection.stream.step();
      if (!ec) ec = asio::error::would_block;
    }
    --front.securing_;
    front.accept_pause_.cancel();
    if (connection.stream.open()) {
      ++(connection.stream.connection().resumed() ? front.counters_.tls_handshakes_resumed
                                                  : front.counters_.tls_handshakes_full);
      co_return true;
    }
    if (connection.timed_out) ++front.counters_.handshake_timeouts;
    if (ec != boost::system::errc::bad_message) co_return false;
    const auto failure = connection.stream.connection().failure();
    ++front.counters_.tls_failures[static_cast<std::size_t>(failure)];
    if (failure == tls::Failure::plain_http) {
      Response response =
          refusal(http::status::bad_request, "this port speaks TLS: use wss:// or https://");
      connection.stream.unsecure();
      co_await refuse(front, connection, response);
    }
    co_return false;
  }

  static Response answer(HttpFront& front, const Request& request) {
    if (request.method() != http::verb::get) {
      ++front.counters_.http_refused;
      Response response =
          refusal(http::status::method_not_allowed, "only GET is answered here", request.version());
      response.set(http::field::allow, "GET");
      return response;
    }
    if (request.target() == websocket_path) {
      ++front.counters_.http_refused;
      Response response =
          refusal(http::status::upgrade_required,
                  "this is a WebSocket endpoint: send an upgrade request", request.version());
      response.set(http::field::upgrade, "websocket");
      return response;
    }
    ++front.counters_.http_answers;
    HttpAnswer answer = front.owner_.get({request.target().data(), request.target().size()});
    Response response =
        make_response(http::int_to_status(static_cast<unsigned>(answer.status)),
                      std::move(answer.body), request.keep_alive(), request.version());
    response.set(http::field::content_type, answer.content_type);
    return response;
  }

  static Awaitable<void> refuse_unreadable(HttpFront& front, Connection& connection,
                                           error_code ec) {
    Response response;
    if (connection.timed_out) {
      response = refusal(http::status::request_timeout, "no complete request in time");
      ++front.counters_.handshake_timeouts;
      set_deadline(front, connection);  // the answer gets one of its own
    } else if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
      ++front.counters_.http_refused;
      response = refusal(http::status::request_header_fields_too_large,
                         "the request header is over 8 KiB");
    } else {
      ++front.counters_.http_refused;
      response = refusal(http::status::bad_request, "not an HTTP request: " + ec.message());
    }
    co_await refuse(front, connection, response);
  }

  static Awaitable<void> refuse(HttpFront& front, Connection& connection, Response& response) {
    const auto [ec, written] = co_await http::async_write(connection.stream, response, as_result);
    if (!ec) co_await linger(front, connection);
  }

  /// Shuts our half and reads until the peer has shut its own: closing over unread input would
  /// reset the connection and destroy the answer. Bounded by a deadline of its own.
  static Awaitable<void> linger(HttpFront& front, Connection& connection) {
    set_deadline(front, connection);
    error_code ec;
    connection.stream.end();
    connection.socket.shutdown(Socket::shutdown_send, ec);
    std::array<std::byte, 1024> ignored_input;
    while (!ec && !connection.timed_out && !front.stopped_) {
      const auto [read_ec, bytes] =
          co_await connection.socket.async_read_some(asio::buffer(ignored_input), as_result);
      ec = read_ec;
    }
  }

  static Awaitable<void> upgrade(HttpFront& front, Connection& connection, const Request& request,
                                 beast::flat_buffer& buffer) {
    if (request.target() != websocket_path) {
      ++front.counters_.http_refused;
      Response response = refusal(http::status::not_found, "the WebSocket endpoint is /ws");
      co_await refuse(front, connection, response);
      co_return;
    }
    if (const auto twice = repeated_header(request)) {
      ++front.counters_.http_refused;
      Response response = refusal(http::status::bad_request, "more than one " + *twice);
      co_await refuse(front, connection, response);
      co_return;
    }
    const bool has_room = front.owner_.has_room(front.upgrading_);
    if (!has_room || !front.owner_.takes_session()) {
      ++(has_room ? front.counters_.sessions_not_taken : front.counters_.sessions_max_refused);
      Response response =
          refusal(http::status::service_unavailable,
                  has_room ? "no session is taken just now" : "no room for one more session");
      response.set(http::field::retry_after, "1");
      co_await refuse(front, connection, response);
      co_return;
    }
    ++front.upgrading_;
    websocket::stream<HttpStream&, false> stream{connection.stream};
    const auto [ec] = co_await stream.async_accept(request, as_result);
    --front.upgrading_;
    if (front.stopped_) co_return;
    if (ec) {  // Beast has answered what it refused
      ++front.counters_.http_refused;
      co_await linger(front, connection);
      co_return;
    }
    connection.unlink();
    const auto* const read = static_cast<const std::byte*>(buffer.data().data());
    std::vector<std::byte> early{read, read + buffer.size()};
    const std::span<std::byte> unread = connection.stream.unread();
    early.insert(early.end(), unread.begin(), unread.end());
    front.owner_.open(std::move(connection.socket), connection.stream.release(), early);
  }
};

HttpFront::HttpFront(asio::io_context& io, const GatewaySettings& settings, HttpFrontOwner& owner,
                     GatewayCounters& counters, std::shared_ptr<TlsEndpoint> tls)
    : io_{io},
      settings_{settings},
      owner_{owner},
      counters_{counters},
      tls_{std::move(tls)},
      acceptor_{io.get_executor()},
      accept_pause_{io.get_executor()},
      connections_{std::make_unique<Connections>()},
      connection_buckets_{settings.connection_rate, settings.rate_seed} {
  const asio::ip::tcp::endpoint endpoint{asio::ip::make_address(settings.address), settings.port};
  acceptor_.open(endpoint.protocol());
  acceptor_.set_option(asio::socket_base::reuse_address{true});
  acceptor_.bind(endpoint);
  acceptor_.listen();  // the system's longest backlog: a reconnect storm waits there
  asio::co_spawn(io.get_executor(), Serving::accept(*this), rethrow);
}

HttpFront::~HttpFront() = default;

std::uint16_t HttpFront::port() const { return acceptor_.local_endpoint().port(); }

void HttpFront::sweep(Instant now) {
  while (!connections_->empty() && connections_->front().deadline <= now) {
    Connection& connection = connections_->front();
    // Stays in the list: should what it waits for be done this very moment, it is cut off next
    // time.
    connections_->pop_front();
    connection.deadline = now + settings_.handshake_timeout;
    connections_->push_back(connection);
    connection.timed_out = true;
    error_code ignored;
    connection.socket.cancel(ignored);
  }
}

void HttpFront::add_to(GatewayQueues& queues) {
  queues.handshakes = *open_;
  queues.tls_handshakes = securing_;
  queues.connection_buckets = connection_buckets_.in_use(monotonic_now());
  tcp_info info{};
  socklen_t size = sizeof info;
  // Of a socket that listens: the connections that wait to be accepted.
  if (::getsockopt(acceptor_.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
    queues.accept = info.tcpi_unacked;
  }
}

void HttpFront::stop() {
  if (stopped_) return;
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_pause_.cancel();
  for (Connection& connection : *connections_) connection.socket.close(ignored);
}

}  // namespace clamor::gateway
