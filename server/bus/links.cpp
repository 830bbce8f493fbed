#include "server/bus/links.hpp"

#include "server/bus/codec.hpp"
#include "server/bus/handshake.hpp"
#include "server/bus/outgoing.hpp"
#include "server/protocol/byte_order.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <optional>
#include <span>
#include <sys/socket.h>
#include <utility>

namespace clamor::bus {

using boost::asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t length_bytes = sizeof(std::uint32_t);
constexpr std::size_t read_bytes = std::size_t{64} << 10U;
/// Connections that have not shaken hands.
constexpr std::size_t strangers_max = 64;
constexpr int dead_after_s = 10;

/// A host that is gone without a word is noticed by the kernel; a process that is gone says so.
void prepare(tcp::socket& socket) {
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay{true}, ignored);
  socket.set_option(tcp::socket::keep_alive{true}, ignored);
  const int fd = socket.native_handle();
  const auto set = [fd](int option, int value) {
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
  };
  set(TCP_KEEPIDLE, dead_after_s / 2);
  set(TCP_KEEPINTVL, 1);
  set(TCP_KEEPCNT, dead_after_s / 2);
  set(TCP_USER_TIMEOUT, dead_after_s * 1000);
}

}  // namespace

/// Handlers hold it, and do nothing once it is closed.
class Links::Impl : public std::enable_shared_from_this<Links::Impl> {
 public:
  Impl(boost::asio::io_context& io, NodeId self, Term term, LinkSettings&& settings,
       Receiver& receiver)
      : io_{io},
        self_{self},
        term_{term},
        settings_{std::move(settings)},
        log_{settings_.log, self},
        receiver_{receiver},
        acceptor_{io},
        accept_timer_{io} {
    for (const Remote& remote : settings_.remotes) {
      peers_.push_back(std::make_unique<Peer>(
          remote.node, tcp::endpoint{boost::asio::ip::make_address(remote.address), remote.port},
          io));
    }
  }

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void open();
  void close();
  [[nodiscard]] bool leads_to(NodeId node) const { return find(node) != nullptr; }
  [[nodiscard]] bool is_up(NodeId node) const;
  bool send(NodeId to, const Message& message);
  std::uint64_t flush();
  [[nodiscard]] std::uint64_t waiting_bytes() const;

 private:
  struct Peer;
  /// One TCP connection, shared with its pending operations.
  struct Connection {
    Connection(boost::asio::io_context& io, Handshake::Role role, const Hello& own,
               const token::Key& key)
        : socket{io}, timeout{io}, handshake{std::in_place, role, own, key} {}

    tcp::socket socket;
    boost::asio::steady_timer timeout;   ///< Of the handshake.
    std::optional<Handshake> handshake;  ///< Until it is done.
    Peer* peer = nullptr;                ///< Known from the beginning where it was dialled.
    bool open = true;
    std::vector<std::byte> input;
    std::size_t input_size = 0;     ///< Bytes of `input` that were received.
    std::vector<std::byte> parcel;  ///< Of this turn, behind room for its length.
    Outgoing output;
    bool awaits_room = false;
  };
  using Shared = std::shared_ptr<Connection>;
  struct Peer {
    Peer(NodeId id, tcp::endpoint at, boost::asio::io_context& io)
        : node{id}, endpoint{std::move(at)}, redial{io} {}

    NodeId node;
    tcp::endpoint endpoint;
    boost::asio::steady_timer redial;
    Shared dialled;    ///< On its way to shaking hands.
    Shared link;       ///< Has shaken hands; the receiver was told that the node is up.
    std::string said;  ///< Its last fault, until it is up.
  };

  [[nodiscard]] Peer* find(NodeId node) const;
  [[nodiscard]] bool dials(const Peer& peer) const { return self_ > peer.node; }
  /// A handler that does nothing once the links are closed.
  template <class Handler>
  auto guarded(Handler handler);

  void dial(Peer& peer);
  void redial(Peer& peer);
  void accept();
  void expect_handshake(const Shared& connection);
  void begin(const Shared& connection);
  void await_input(const Shared& connection);
  void on_readable(const Shared& connection);
  void greet(const Shared& connection);
  void take_parcels(const Shared& connection);
  void bring_up(Peer& peer, const Shared& connection);
  void write(const Shared& connection);
  /// Closes a connection. The receiver is told in a call of its own: this one may be its caller.
  void fail(const Shared& connection, const std::string& why);
  void tell_down(Peer& peer);

  boost::asio::io_context& io_;
  const NodeId self_;
  const Term term_;
  const LinkSettings settings_;
  log::Log log_;
  Receiver& receiver_;
  tcp::acceptor acceptor_;
  boost::asio::steady_timer accept_timer_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<Shared> strangers_;  ///< Accepted, and not shaken hands with.
  std::string said_of_strangers_;
  bool closed_ = false;
};

template <class Handler>
auto Links::Impl::guarded(Handler handler) {
  return [self = shared_from_this(), handler = std::move(handler)](const error_code& ec) {
    if (!self->closed_) handler(ec);
  };
}

Links::Impl::Peer* Links::Impl::find(NodeId node) const {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const auto& peer) { return peer->node == node; });
  return found == peers_.end() ? nullptr : found->get();
}

bool Links::Impl::is_up(NodeId node) const {
  const Peer* const peer = find(node);
  return peer != nullptr && peer->link != nullptr && peer->link->open;
}

// --- connections come and go ---------------------------------------------------------------------

void Links::Impl::open() {
  acceptor_ = tcp::acceptor{
      io_, tcp::endpoint{boost::asio::ip::make_address(settings_.address), settings_.port}};
  accept();
  for (const auto& peer : peers_) {
    if (dials(*peer)) dial(*peer);
  }
}

void Links::Impl::close() {
  if (std::exchange(closed_, true)) return;
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  const auto end = [&ignored](const Shared& connection) {
    connection->open = false;
    connection->timeout.cancel();
    connection->socket.close(ignored);
  };
  for (const auto& peer : peers_) {
    peer->redial.cancel();
    if (peer->dialled != nullptr) end(peer->dialled);
    if (peer->link != nullptr) end(peer->link);
  }
  for (const Shared& stranger : strangers_) end(stranger);
  strangers_.clear();
}

void Links::Impl::dial(Peer& peer) {
  const Hello own{.from = self_, .to = peer.node, .term = term_, .identity = settings_.identity};
  const auto connection =
      std::make_shared<Connection>(io_, Handshake::Role::dials, own, settings_.key);
  connection->peer = &peer;
  peer.dialled = connection;
  expect_handshake(connection);
  connection->socket.async_connect(peer.endpoint, guarded([=, this](const error_code& ec) {
                                     if (!connection->open) return;
                                     if (ec) return fail(connection, ec.message());
                                     begin(connection);
                                   }));
}

void Links::Impl::redial(Peer& peer) {
  peer.redial.expires_after(settings_.redial_after);
  peer.redial.async_wait(guarded([this, &peer](const error_code& ec) {
    if (!ec) dial(peer);
  }));
}

void Links::Impl::accept() {
  const Hello own{.from = self_, .to = {}, .term = term_, .identity = settings_.identity};
  const auto connection =
      std::make_shared<Connection>(io_, Handshake::Role::answers, own, settings_.key);
  acceptor_.async_accept(connection->socket, guarded([=, this](const error_code& ec) {
                           if (!ec) {
                             // Who says nothing makes room for those who come after him.
                             if (strangers_.size() == strangers_max) {
                               const Shared oldest = strangers_.front();
                               fail(oldest, "it says nothing, and others wait");
                             }
                             strangers_.push_back(connection);
                             expect_handshake(connection);
                             begin(connection);
                             return accept();
                           }
                           // Out of descriptors, most likely; those who dial come again.
                           accept_timer_.expires_after(settings_.redial_after);
                           accept_timer_.async_wait(guarded([this](const error_code& stopped) {
                             if (!stopped) accept();
                           }));
                         }));
}

/// From here on it has so long to come about and to shake hands.
void Links::Impl::expect_handshake(const Shared& connection) {
  connection->timeout.expires_after(settings_.handshake_timeout);
  connection->timeout.async_wait(guarded([=, this](const error_code& ec) {
    if (!ec && connection->open && connection->handshake) fail(connection, "it does not answer");
  }));
}

void Links::Impl::begin(const Shared& connection) {
  prepare(connection->socket);
  auto hello = connection->handshake->output();
  connection->output.append(hello);
  write(connection);
  await_input(connection);
}

void Links::Impl::bring_up(Peer& peer, const Shared& connection) {
  std::erase(strangers_, connection);
  peer.dialled.reset();
  const Term term = connection->handshake->peer().term;
  connection->handshake.reset();
  connection->timeout.cancel();
  connection->peer = &peer;
  if (peer.link != nullptr) {  // It came back before we noticed that it was gone.
    fail(peer.link, "it has come back");
    tell_down(peer);
    if (closed_) return;
  }
  peer.redial.cancel();
  peer.link = connection;
  peer.said.clear();
  log_.info("node up", {{"peer", peer.node.value}, {"term", term.value}});
  receiver_.on_node_up(peer.node, term);
}

void Links::Impl::fail(const Shared& connection, const std::string& why) {
  if (!std::exchange(connection->open, false)) return;
  connection->timeout.cancel();
  error_code ignored;
  const auto from = connection->socket.remote_endpoint(ignored);
  connection->socket.close(ignored);
  std::erase(strangers_, connection);
  Peer* const peer = connection->peer;
  if (peer == nullptr) {
    if (std::exchange(said_of_strangers_, why) == why) return;
    return log_.warning("link refused", {{"from", from.address().to_string()}, {"error", why}});
  }
  if (std::exchange(peer->said, why) != why) {
    log_.warning("node down", {{"peer", peer->node.value},
                               {"address", peer->endpoint.address().to_string()},
                               {"port", std::uint64_t{peer->endpoint.port()}},
                               {"error", why}});
  }
  if (peer->dialled == connection) {
    peer->dialled.reset();
    return redial(*peer);
  }
  boost::asio::post(io_, [self = shared_from_this(), peer, connection] {
    if (!self->closed_ && peer->link == connection) self->tell_down(*peer);
  });
}

void Links::Impl::tell_down(Peer& peer) {
  peer.link.reset();
  receiver_.on_node_down(peer.node);
  if (dials(peer)) redial(peer);
}

// --- input ---------------------------------------------------------------------------------------

void Links::Impl::await_input(const Shared& connection) {
  connection->socket.async_wait(tcp::socket::wait_read, guarded([=, this](const error_code& ec) {
                                  if (!connection->open) return;
                                  if (ec) return fail(connection, ec.message());
                                  on_readable(connection);
                                  if (connection->open) await_input(connection);
                                }));
}

/// One read an event is the fair share among a node's sockets.
void Links::Impl::on_readable(const Shared& connection) {
  std::vector<std::byte>& input = connection->input;
  std::size_t& size = connection->input_size;
  if (input.size() < size + read_bytes) input.resize(size + read_bytes);
  error_code ec;
  const std::size_t got = connection->socket.read_some(
      boost::asio::buffer(input.data() + size, input.size() - size), ec);
  if (ec == boost::asio::error::would_block || ec == boost::asio::error::interrupted) return;
  if (ec == boost::asio::error::eof) return fail(connection, "it has closed the connection");
  if (ec) return fail(connection, ec.message());
  size += got;
  if (connection->handshake) greet(connection);
  if (connection->open && !connection->handshake) take_parcels(connection);
}

void Links::Impl::greet(const Shared& connection) {
  std::span<const std::byte> rest{connection->input.data(), connection->input_size};
  const Handshake::State state = connection->handshake->take(rest);
  auto said = connection->handshake->output();
  connection->output.append(said);
  write(connection);
  if (!connection->open) return;
  std::copy(rest.begin(), rest.end(), connection->input.begin());
  connection->input_size = rest.size();
  if (state == Handshake::State::failed) return fail(connection, connection->handshake->fault());
  if (state == Handshake::State::open) return;
  Peer* const peer = find(connection->handshake->peer().from);
  if (peer == nullptr || dials(*peer) != (connection->peer != nullptr)) {
    return fail(connection,
                fmt::format("node {} is not one that dials this node; expected the same list of "
                            "`nodes`, and no node in two processes",
                            connection->handshake->peer().from.value));
  }
  bring_up(*peer, connection);
}

void Links::Impl::take_parcels(const Shared& connection) {
  std::span<const std::byte> rest{connection->input.data(), connection->input_size};
  while (connection->open && rest.size() >= length_bytes) {
    const auto length = protocol::load_little<std::uint32_t>(rest.data());
    if (length > settings_.buffer_bytes_max) {
      return fail(connection, fmt::format("it announces a parcel of {} bytes; expected at most {}",
                                          length, settings_.buffer_bytes_max));
    }
    if (rest.size() - length_bytes < length) break;
    auto messages = decode(rest.subspan(length_bytes, length), settings_.partitions);
    if (!messages) {
      return fail(connection, fmt::format("it sent a malformed parcel ({})",
                                          protocol::name_of(messages.error())));
    }
    rest = rest.subspan(length_bytes + length);
    receiver_.receive_all(connection->peer->node, std::move(*messages));
  }
  if (rest.size() == connection->input_size) return;
  std::copy(rest.begin(), rest.end(), connection->input.begin());
  connection->input_size = rest.size();
  if (rest.empty()) release(connection->input);
}

// --- output --------------------------------------------------------------------------------------

bool Links::Impl::send(NodeId to, const Message& message) {
  if (!is_up(to)) return false;
  const Shared& connection = find(to)->link;
  std::vector<std::byte>& parcel = connection->parcel;
  if (parcel.empty()) parcel.resize(length_bytes);
  encode(message, parcel);
  const std::size_t waiting = parcel.size() + connection->output.waiting().size();
  if (waiting <= settings_.buffer_bytes_max) return true;
  fail(connection, fmt::format("{} bytes wait for it, more than the bound of {}", waiting,
                               settings_.buffer_bytes_max));
  return false;
}

std::uint64_t Links::Impl::flush() {
  std::uint64_t parcels = 0;
  for (const auto& peer : peers_) {
    if (peer->link == nullptr || !peer->link->open || peer->link->parcel.empty()) continue;
    ++parcels;
    const Shared connection = peer->link;
    std::vector<std::byte>& parcel = connection->parcel;
    protocol::store_little(parcel.data(), static_cast<std::uint32_t>(parcel.size() - length_bytes));
    connection->output.append(parcel);
    write(connection);
  }
  return parcels;
}

std::uint64_t Links::Impl::waiting_bytes() const {
  std::uint64_t most = 0;
  for (const auto& peer : peers_) {
    if (peer->link == nullptr) continue;
    most = std::max<std::uint64_t>(most, peer->link->output.waiting().size());
  }
  return most;
}

void Links::Impl::write(const Shared& connection) {
  if (connection->awaits_room) return;
  Outgoing& output = connection->output;
  while (!output.waiting().empty()) {
    error_code ec;
    const auto waiting = output.waiting();
    output.pop(
        connection->socket.write_some(boost::asio::buffer(waiting.data(), waiting.size()), ec));
    if (ec == boost::asio::error::interrupted) continue;
    if (ec == boost::asio::error::would_block) {
      connection->awaits_room = true;
      return connection->socket.async_wait(tcp::socket::wait_write,
                                           guarded([=, this](const error_code& stopped) {
                                             connection->awaits_room = false;
                                             if (!stopped && connection->open) write(connection);
                                           }));
    }
    if (ec) return fail(connection, ec.message());
  }
}

// --- the class -----------------------------------------------------------------------------------

Links::Links(boost::asio::io_context& io, NodeId self, Term term, LinkSettings settings,
             Receiver& receiver)
    : impl_{std::make_shared<Impl>(io, self, term, std::move(settings), receiver)} {}

Links::~Links() { close(); }

std::uint16_t Links::port() const { return impl_->port(); }
void Links::open() { impl_->open(); }
void Links::close() { impl_->close(); }
bool Links::leads_to(NodeId node) const { return impl_->leads_to(node); }
bool Links::is_up(NodeId node) const { return impl_->is_up(node); }
bool Links::send(NodeId to, const Message& message) { return impl_->send(to, message); }
std::uint64_t Links::flush() { return impl_->flush(); }
std::uint64_t Links::waiting_bytes() const { return impl_->waiting_bytes(); }

}  // namespace clamor::bus
