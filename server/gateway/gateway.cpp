#include "server/gateway/gateway.hpp"

#include "server/gateway/http_front.hpp"
#include "server/gateway/sessions.hpp"
#include "server/gateway/tls_endpoint.hpp"
#include "server/host/clock.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <utility>

namespace clamor::gateway {
namespace {

using boost::system::error_code;

/// How often sweeps run: once a second, or finer where a bound is shorter.
Duration sweep_interval(const GatewaySettings& settings) {
  const Duration least = std::min({settings.handshake_timeout, settings.offline_after,
                                   settings.close_grace, settings.session_limits.buffer_age});
  return std::clamp<Duration>(least / 4, std::chrono::milliseconds{10}, std::chrono::seconds{1});
}

/// While stopping the gateway looks this often whether every peer has closed.
constexpr std::chrono::milliseconds stop_poll{5};

}  // namespace

class Gateway::Impl final : public HttpFrontOwner {
 public:
  Impl(boost::asio::io_context& io, const GatewaySettings& settings, Handler& handler)
      : settings_{settings},
        handler_{handler},
        tls_{settings.tls ? std::make_shared<TlsEndpoint>(*settings.tls) : nullptr},
        sessions_{io, settings_, handler, operations_, counters_, tls_},
        front_{io, settings_, *this, counters_, tls_},
        port_{front_.port()},
        timer_{io} {
    tick();
  }

  bool has_room(std::size_t upgrading) const override {
    return sessions_.held_count() + upgrading < settings_.sessions_max;
  }
  void open(Socket socket, tls::Connection connection, std::span<std::byte> early) override {
    sessions_.open(std::move(socket), std::move(connection), early);
  }
  HttpAnswer get(std::string_view target) override { return handler_.on_http_get(target); }
  bool takes_session() override {
    sessions_.begin_turn();  // So that the answer is as of now, also where there is no session.
    return handler_.takes_session();
  }
  void count_event() override { sessions_.count_event(); }

  void stop(protocol::CloseCode code, Duration grace, std::string_view reason) {
    if (stopping_) return;
    stopping_ = true;
    reset_at_ = monotonic_now() + grace;
    front_.stop();
    sessions_.close_all(code, reason);
    tick();
  }

  [[nodiscard]] GatewayQueues queues() {
    GatewayQueues queues;
    sessions_.add_to(queues);
    front_.add_to(queues);
    return queues;
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  Sessions& sessions() { return sessions_; }
  Operations& operations() { return operations_; }
  const GatewayCounters& counters() const { return counters_; }

 private:
  /// Arms the one timer; a pending wait is cancelled by that.
  void tick() {
    timer_.expires_after(stopping_ ? Duration{stop_poll} : sweep_interval(settings_));
    timer_.async_wait([this](const error_code& ec) {
      if (!ec) on_tick();
    });
  }

  void on_tick() {
    const Instant now = monotonic_now();
    front_.sweep(now);
    sessions_.sweep(now);
    if (stopping_ && now >= reset_at_) sessions_.reset_all();
    if (stopping_ && sessions_.held_count() == 0) {
      sessions_.stop_polling();
      return;  // no timer, no wait: io runs out of work
    }
    tick();
  }

  const GatewaySettings settings_;
  Handler& handler_;
  Operations operations_;
  GatewayCounters counters_;
  std::shared_ptr<TlsEndpoint> tls_;  ///< Nothing where connections are plain.
  Sessions sessions_;
  HttpFront front_;
  std::uint16_t port_;
  boost::asio::steady_timer timer_;
  bool stopping_ = false;
  Instant reset_at_;
};

Gateway::Gateway(boost::asio::io_context& io, const GatewaySettings& settings, Handler& handler)
    : impl_{std::make_unique<Impl>(io, settings, handler)} {}
Gateway::~Gateway() = default;

std::uint16_t Gateway::port() const { return impl_->port(); }
bool Gateway::send(SessionId session, const SharedFrame& frame) {
  return impl_->sessions().send(session, frame);
}
bool Gateway::has_room(SessionId session) { return impl_->sessions().has_room(session); }
void Gateway::close(SessionId session, protocol::CloseCode code, std::string_view reason) {
  impl_->sessions().close(session, code, reason);
}
void Gateway::idle() { impl_->sessions().idle(); }
void Gateway::begin_turn() { impl_->sessions().begin_turn(); }
void Gateway::stop(protocol::CloseCode code, Duration grace, std::string_view reason) {
  impl_->stop(code, grace, reason);
}
std::size_t Gateway::sessions() const { return impl_->sessions().open_count(); }
Operations& Gateway::operations() { return impl_->operations(); }
const GatewayCounters& Gateway::counters() const { return impl_->counters(); }
GatewayQueues Gateway::queues() const { return impl_->queues(); }

}  // namespace clamor::gateway
