#include "server/app/deployment.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "server/app/node.hpp"
#include "server/bus/exchange.hpp"
#include "server/core/placement.hpp"
#include "server/directory/deployment_file.hpp"
#include "server/directory/directory.hpp"
#include "server/gateway/gateway.hpp"
#include "server/store/store.hpp"

#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <fmt/format.h>
#include <pthread.h>
#include <string>
#include <thread>
#include <utility>

namespace clamor::server {
namespace {

constexpr Duration close_grace = 2s;

std::vector<NodeId> node_ids(std::uint32_t count) {
  std::vector<NodeId> ids;
  for (std::uint32_t i = 0; i < count; ++i) ids.push_back({i});
  return ids;
}

/// One node has the data directory for itself; several have a part of it each.
std::string data_of(const Settings& settings, NodeId node) {
  if (settings.nodes == 1) return settings.data;
  return fmt::format("{}/node-{}", settings.data, node.value);
}

std::unique_ptr<store::Store> open_store(const Settings& settings, NodeId node) {
  try {
    return std::make_unique<store::Store>(
        store::StoreSettings{.path = data_of(settings, node),
                             .durability = settings.durability,
                             .partitions = core::partition_count(settings.nodes),
                             .layout = layout_of(settings.design),
                             .payload = settings.payload,
                             .block_cache_bytes = settings.block_cache_bytes,
                             .write_buffer_bytes = settings.write_buffer_bytes,
                             .device_expires_after = settings.device_expires_after,
                             .queue_entries_max = settings.queue_entries_max});
  } catch (const store::OpenError& error) {
    throw scenario::ConfigError{{error.what()}};
  }
}

std::unique_ptr<gateway::Gateway> open_gateway(boost::asio::io_context& io,
                                               const Settings& settings, std::uint16_t port,
                                               Node& node) {
  const gateway::GatewaySettings gateway_settings{
      .address = settings.address,
      .port = port,
      .message_bytes_max = settings.message_bytes_max,
      .sessions_max = (settings.sessions_max + settings.nodes - 1) / settings.nodes,
      .offline_after = settings.offline_after,
      .session_limits = {.buffer_bytes = settings.session_buffer_bytes,
                         .buffer_age = settings.session_buffer_age}};
  try {
    return std::make_unique<gateway::Gateway>(io, gateway_settings, node);
  } catch (const boost::system::system_error& error) {
    throw scenario::ConfigError{
        {fmt::format("cannot listen on {}:{}: {}; --listen names another address, port 0 takes any "
                     "free one",
                     gateway_settings.address, gateway_settings.port, error.code().message())}};
  }
}

}  // namespace

std::string thread_name(NodeId node) { return fmt::format("node-{}", node.value); }

/// What the nodes share.
struct Deployment::Shared {
  explicit Shared(const Settings& wanted)
      : settings{wanted}, directory{node_ids(wanted.nodes), core::partition_count(wanted.nodes)} {}

  const Settings settings;
  const directory::Directory directory;
  bus::Exchange exchange;
  std::atomic<std::uint32_t> draining{0};  ///< Nodes that still have requests to answer.
};

/// A node with all that it needs.
class Deployment::Running {
 public:
  Running(Shared& shared, NodeId id, std::uint16_t port)
      : id_{id},
        exchange_{shared.exchange},
        store_{open_store(shared.settings, id)},
        node_{io_, *store_, shared.settings, id, shared.directory, shared.exchange},
        gateway_{open_gateway(io_, shared.settings, port, node_)} {
    node_.attach(*gateway_);
    node_.connect();
  }
  ~Running() { halt(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void begin() {
    thread_ = std::thread{[this] { run(); }};
    pthread_setname_np(thread_.native_handle(), thread_name(id_).c_str());
  }
  /// Waits until there is no work left.
  void wait() { thread_.join(); }
  /// Stops between two events, whatever they belong to.
  void halt() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    exchange_.disconnect(id_);
  }

  [[nodiscard]] boost::asio::io_context& io() { return io_; }
  [[nodiscard]] store::Store& store() { return *store_; }
  [[nodiscard]] Node& node() { return node_; }
  [[nodiscard]] gateway::Gateway& gateway() { return *gateway_; }

 private:
  /// Handles events until there is no work left. What io_context::run() does, in a form that shows
  /// the sleeps: a turn after one costs several times what it costs a core that is busy anyway.
  void run() {
    while (!io_.stopped()) {
      if (io_.poll() != 0 || io_.stopped()) continue;
      node_.count_wake();
      io_.run_one();
    }
  }

  const NodeId id_;
  bus::Exchange& exchange_;
  boost::asio::io_context io_{1};
  std::unique_ptr<store::Store> store_;
  Node node_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::thread thread_;
};

Deployment::Deployment(const Settings& settings)
    : shared_{std::make_unique<Shared>(settings)}, leases_(settings.nodes), nodes_(settings.nodes) {
  const auto fault = directory::check_deployment(settings.data, settings.nodes);
  if (!fault.empty()) throw scenario::ConfigError{{fault}};
  for (const NodeId id : shared_->directory.nodes()) {
    // Consecutive ones, or any.
    open(id, settings.port == 0 ? std::uint16_t{0}
                                : static_cast<std::uint16_t>(settings.port + id.value));
  }
  write_leases();
  for (const auto& node : nodes_) node->begin();
}

Deployment::~Deployment() = default;

void Deployment::open(NodeId id, std::uint16_t port) {
  auto& running = nodes_.at(id.value);
  running = std::make_unique<Running>(*shared_, id, port);
  leases_.at(id.value) = {id, running->store().term(), shared_->settings.address,
                          running->gateway().port()};
}

void Deployment::write_leases() const {
  if (nodes_.size() == 1) return;
  const auto unwritten =
      directory::write_deployment(shared_->settings.data, shared_->directory.partitions(), leases_);
  if (!unwritten.empty()) throw scenario::ConfigError{{unwritten}};
}

std::vector<std::uint16_t> Deployment::ports() const {
  std::vector<std::uint16_t> ports;
  for (const directory::Lease& lease : leases_) ports.push_back(lease.port);
  return ports;
}

void Deployment::stop() {
  shared_->draining = static_cast<std::uint32_t>(nodes_.size());
  for (const auto& running : nodes_) {
    boost::asio::post(running->io(), [this, node = &running->node()] {
      node->drain([this] {
        // Other nodes' clients have their answers before any gateway closes.
        if (--shared_->draining == 0) close_gateways();
      });
    });
  }
  for (const auto& running : nodes_) running->wait();
}

void Deployment::close_gateways() {
  for (const auto& running : nodes_) {
    boost::asio::post(running->io(), [gateway = &running->gateway()] {
      gateway->stop(protocol::CloseCode::draining, close_grace);
    });
  }
}

void Deployment::drop(NodeId node) {
  auto& running = nodes_.at(node.value);
  running->halt();
  running->store().abandon();
  running.reset();
}

void Deployment::start(NodeId node) {
  open(node, leases_.at(node.value).port);
  write_leases();
  nodes_.at(node.value)->begin();
}

}  // namespace clamor::server
