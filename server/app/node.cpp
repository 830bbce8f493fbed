#include "server/app/node.hpp"

#include "server/host/clock.hpp"

#include <string>
#include <utility>
#include <variant>

namespace clamor::server {

Node::Node(boost::asio::io_context& io, store::Store& store, const Settings& settings, NodeId self,
           const directory::Directory& directory, bus::Exchange& exchange,
           std::optional<bus::LinkSettings> links)
    : io_{io},
      settings_{settings},
      exchange_{exchange},
      links_{links ? std::make_unique<bus::Links>(io, self, store.term(), std::move(*links),
                                                  static_cast<bus::Receiver&>(*this))
                   : nullptr},
      bus_{self, *this, exchange, links_.get()},
      context_{.self = self,
               .term = store.term(),
               .settings = settings_,
               .directory = directory,
               .bus = bus_,
               .begin_turn =
                   [this] {
                     gateway_->begin_turn();
                     context_.now = monotonic_now();
                   },
               .log = log::Log{settings_.log, self}},
      owner_{io, store, context_},
      frontend_{io, context_},
      slice_timer_{io} {
  owner_.start();
}

void Node::attach(gateway::Gateway& gateway) {
  gateway_ = &gateway;
  frontend_.attach(gateway);
}

void Node::connect() {
  if (links_ != nullptr) links_->open();
  exchange_.connect(context_.self, context_.term, io_, *this);
}

void Node::disconnect() {
  if (links_ != nullptr) links_->close();
}

void Node::release_sessions(std::function<void()> released) {
  draining_ = true;
  released_ = std::move(released);
  frontend_.refuse_logins();
  release_slice(core::drain_slice(gateway_->sessions(), settings_.drain));
}

/// Closes the slice that was told to leave before, and tells the next one: by then it has the
/// answers to what it had sent.
void Node::release_slice(std::size_t size) {
  context_.begin_turn();
  frontend_.close_leaving();
  if (gateway_->sessions() <= size || frontend_.begin_leaving(size) == 0) {
    return std::exchange(released_, nullptr)();
  }
  slice_timer_.expires_after(core::drain_interval);
  slice_timer_.async_wait([this, size](const boost::system::error_code& error) {
    if (!error) release_slice(size);
  });
}

void Node::drain(std::function<void()> drained) {
  draining_ = true;
  frontend_.drain();
  owner_.drain([this, drained = std::move(drained)] {
    bus_.flush();  // Other nodes' clients have their answers before their gateways close.
    drained();
  });
}

// --- turns ---------------------------------------------------------------------------------------

void Node::on_turn_begin(const gateway::TurnStart& turn) {
  context_.now = turn.now;
  context_.age = {
      .input = turn.input_age, .committer = owner_.commit_age(turn.now), .turn = turn.last_turn};
  core::observe(context_.admission, context_.age, turn.now, settings_.admission);
}

/// A handshake costs more than the login behind it: refused before, if at all.
bool Node::takes_session() {
  if (draining_) return false;
  const bool taken = core::admit(core::MessageClass::login, context_.admission).taken;
  context_.operations.logins_refused += taken ? 0 : 1;
  return taken;
}

void Node::on_open(gateway::SessionId id, Instant now) {
  context_.now = now;
  frontend_.on_open(id);
}

void Node::on_message(gateway::SessionId id, std::span<const std::byte> payload, Instant now) {
  context_.now = now;
  frontend_.on_message(id, payload);
}

void Node::on_end(gateway::SessionId id, gateway::EndReason reason, Instant now) {
  context_.now = now;
  const bool silent = reason == gateway::EndReason::silent;
  frontend_.on_end(id, silent ? settings_.offline_after : Duration{});
}

void Node::on_drained(gateway::SessionId id, Instant now) {
  context_.now = now;
  frontend_.on_drained(id);
}

void Node::on_turn_end(Instant now) {
  context_.now = now;
  frontend_.end_turn();
  owner_.end_turn();
  bus_.flush();
}

// --- messages ------------------------------------------------------------------------------------

void Node::receive_all(NodeId from, std::vector<bus::Message> messages) {
  context_.begin_turn();
  ++context_.operations.posts;
  bus_messages_received_ += messages.size();
  for (bus::Message& message : messages) receive(from, std::move(message));
}

void Node::on_node_up(NodeId node, Term term) {
  context_.begin_turn();
  bus_.set_up(node, term);
  owner_.on_node_up(node);
  frontend_.on_node_up(node, term);
}

void Node::on_node_down(NodeId node) {
  context_.begin_turn();
  bus_.set_down(node);
  owner_.on_node_down(node);
  frontend_.on_node_down(node);
}

void Node::receive(NodeId from, bus::Message message) {
  std::visit(
      [&]<class M>(M& one) {
        if constexpr (requires { owner_.handle(from, std::move(one)); }) {
          owner_.handle(from, std::move(one));
        } else {
          frontend_.handle(from, std::move(one));
        }
      },
      message);
}

// --- HTTP ----------------------------------------------------------------------------------------

gateway::HttpAnswer Node::on_http_get(std::string_view target) {
  if (target == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = render_metrics(metrics())};
  }
  if (target == "/healthz") {
    if (owner_.store_failed()) return {.status = 503, .body = "the log cannot be appended to\n"};
    return {.body = "ok\n"};
  }
  if (target == "/readyz") {
    const std::string missing = lacks();
    if (!missing.empty()) return {.status = 503, .body = missing + "\n"};
    return {.body = "ready\n"};
  }
  return {
      .status = 404,
      .body = "not found; this server answers /metrics, /healthz and /readyz, and WebSocket on " +
              std::string{gateway::websocket_path} + "\n"};
}

std::string Node::lacks() const {
  if (draining_) return "draining";
  if (owner_.store_failed()) return "the log cannot be appended to";
  for (const NodeId node : context_.directory.nodes()) {
    if (node != context_.self && !bus_.is_up(node)) {
      return "node " + std::to_string(node.value) + " cannot be reached";
    }
  }
  if (!owner_.is_complete()) return "other nodes' journals are still being read";
  return {};
}

NodeMetrics Node::metrics() const {
  NodeMetrics metrics{.operations = context_.operations,
                      .incidents = context_.incidents,
                      .gateway = gateway_->counters()};
  metrics.operations += gateway_->operations();
  metrics.operations.bus_frames = bus_.frames();
  metrics.bus_messages_sent = bus_.messages();
  metrics.bus_messages_received = bus_messages_received_;
  metrics.design = layout_of(settings_.design);
  metrics.durability = settings_.durability == store::Durability::fsync ? "fsync" : "os";
  metrics.connections = gateway_->sessions();
  metrics.queues = gateway_->queues();
  metrics.bus_inbox_messages = exchange_.waiting(context_.self);
  metrics.bus_backlog = bus_.backlog();
  metrics.age = context_.age;
  metrics.admission = context_.admission;
  metrics.block_cache_bytes = settings_.block_cache_bytes;
  metrics.write_buffers_bytes = settings_.write_buffer_bytes * store::column_families;
  for (const NodeId node : context_.directory.nodes()) metrics.nodes_up += bus_.is_up(node) ? 1 : 0;
  owner_.add_to(metrics);
  frontend_.add_to(metrics);
  return metrics;
}

}  // namespace clamor::server
