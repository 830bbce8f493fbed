#include "server/app/deployment.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "server/app/node.hpp"
#include "server/base/assert.hpp"
#include "server/bus/exchange.hpp"
#include "server/bus/links.hpp"
#include "server/core/limits.hpp"
#include "server/core/placement.hpp"
#include "server/directory/deployment_file.hpp"
#include "server/directory/directory.hpp"
#include "server/gateway/gateway.hpp"
#include "server/host/cores.hpp"
#include "server/store/store.hpp"
#include "server/tls/context.hpp"
#include "server/token/token.hpp"

#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <pthread.h>
#include <string>
#include <sys/resource.h>
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

/// The one node of a deployment has the data directory for itself; several have a part of it each.
std::string data_of(const Settings& settings, NodeId node) {
  if (settings.nodes == 1) return settings.data;
  return fmt::format("{}/node-{}", settings.data, node.value);
}

/// Unix time less the monotonic clock.
Duration unix_ahead() {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()) -
         std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
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
                             .clock_ahead = unix_ahead(),
                             .queue_entries_max = settings.queue_entries_max});
  } catch (const store::OpenError& error) {
    throw scenario::ConfigError{{error.what()}};
  }
}

/// An equal share of the process's.
std::uint32_t sessions_of_a_node(const Settings& settings) {
  const auto nodes = static_cast<std::uint32_t>(hosted(settings).size());
  if (settings.sessions_max != 0) return settings.sessions_max / nodes;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return core::sessions_of_a_process(limit.rlim_cur, nodes) / nodes;
}

/// Every node of the deployment, and a restarted one, takes the tickets of the others.
std::array<std::byte, tls::ticket_seed_bytes> ticket_seed_of(const std::string& secret) {
  const token::Key key = token::derive_key("tls tickets of " + secret);
  std::array<std::byte, tls::ticket_seed_bytes> seed{};
  static_assert(sizeof key == sizeof seed);
  std::memcpy(seed.data(), key.data(), seed.size());
  return seed;
}

std::unique_ptr<gateway::Gateway> open_gateway(boost::asio::io_context& io,
                                               const Settings& settings, NodeId id,
                                               const Address& listen, Node& node) {
  gateway::GatewaySettings gateway_settings{
      .address = listen.host,
      .port = listen.port,
      .message_bytes_max = settings.message_bytes_max,
      .sessions_max = sessions_of_a_node(settings),
      .offline_after = settings.offline_after,
      .session_limits = {.buffer_bytes = settings.session_buffer_bytes,
                         .buffer_age = settings.session_buffer_age},
      .connection_rate = settings.connection_rate,
      .rate_seed = rate_seed(settings.secret)};
  if (settings.tls) gateway_settings.tls = {*settings.tls, ticket_seed_of(settings.secret)};
  try {
    return std::make_unique<gateway::Gateway>(io, gateway_settings, node);
  } catch (const tls::CertificateError& error) {
    throw scenario::ConfigError{{error.what()}};
  } catch (const boost::system::system_error& error) {
    const std::string named_by = settings.places.empty()
                                     ? "--listen"
                                     : fmt::format("`listen` of node {} in the list", id.value);
    throw scenario::ConfigError{
        {fmt::format("cannot listen on {}: {}; {} names another address of this host, port 0 takes "
                     "any free one",
                     print_address(listen), error.code().message(), named_by)}};
  }
}

/// For links to nodes of other processes, where there are some.
std::optional<bus::LinkSettings> links_of(const Settings& settings, NodeId id) {
  if (settings.places.empty()) return std::nullopt;
  bus::LinkSettings links{
      .address = settings.places[id.value].bus.host,
      .port = settings.places[id.value].bus.port,
      .identity = fmt::format("{} nodes, {}, payload {}", settings.nodes,
                              layout_of(settings.design), name_of(settings.payload)),
      .key = token::derive_key("links of " + settings.secret),
      .partitions = core::partition_count(settings.nodes),
      .log = settings.log};
  const std::vector<NodeId> here = hosted(settings);
  for (const NodeId other : node_ids(settings.nodes)) {
    if (std::find(here.begin(), here.end(), other) != here.end()) continue;
    const Address& bus = settings.places[other.value].bus;
    links.remotes.push_back({other, bus.host, bus.port});
  }
  return links;
}

/// A core of its own for each hosted node; none where threads are free.
std::map<NodeId, int> cores_of_nodes(const Settings& settings) {
  std::map<NodeId, int> cores;
  if (settings.threads == Threads::free) return cores;
  const std::vector<NodeId> nodes = hosted(settings);
  const std::vector<int> usable = host::usable_cores();
  if (usable.size() < nodes.size()) {
    throw scenario::ConfigError{{fmt::format(
        "`threads: pinned` gives every node a core of its own, but this process hosts {} nodes and "
        "may use {} cores; expected fewer nodes, or `threads: free`",
        nodes.size(), usable.size())}};
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) cores[nodes[i]] = usable[i];
  return cores;
}

void connect(Node& node, const Settings& settings, NodeId id) {
  try {
    node.connect();
  } catch (const boost::system::system_error& error) {
    throw scenario::ConfigError{{fmt::format(
        "cannot listen for other nodes on {}: {}; expected an address of this host as "
        "`bus` of node {} in the list of nodes, and no other process on it",
        print_address(settings.places[id.value].bus), error.code().message(), id.value)}};
  }
}

}  // namespace

std::string thread_name(NodeId node) { return fmt::format("node-{}", node.value); }

/// What the nodes share.
struct Deployment::Shared {
  explicit Shared(const Settings& wanted)
      : settings{wanted},
        cores{cores_of_nodes(wanted)},
        directory{node_ids(wanted.nodes), core::partition_count(wanted.nodes)} {}

  const Settings settings;
  const std::map<NodeId, int> cores;  ///< Of nodes whose threads are pinned.
  const directory::Directory directory;
  bus::Exchange exchange;
  std::atomic<std::uint32_t> releasing{0};  ///< Nodes that still have several slices of sessions.
  std::atomic<std::uint32_t> draining{0};   ///< Nodes that still have requests to answer.
};

/// A node with all that it needs.
class Deployment::Running {
 public:
  Running(Shared& shared, NodeId id, const Address& listen)
      : id_{id},
        exchange_{shared.exchange},
        store_{open_store(shared.settings, id)},
        node_{io_,
              *store_,
              shared.settings,
              id,
              shared.directory,
              shared.exchange,
              links_of(shared.settings, id)},
        gateway_{open_gateway(io_, shared.settings, id, listen, node_)} {
    node_.attach(*gateway_);
    connect(node_, shared.settings, id);
  }
  ~Running() { halt(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// On that core, where one is named.
  void begin(std::optional<int> core) {
    thread_ = std::thread{[this, core] {
      if (core) host::pin_to({*core});
      run();
    }};
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

Deployment::Deployment(const Settings& settings) : shared_{std::make_unique<Shared>(settings)} {
  const auto fault = directory::check_deployment(settings.data, settings.nodes);
  if (!fault.empty()) throw scenario::ConfigError{{fault}};
  for (const NodeId id : hosted(settings)) open(id, listen_of(settings, id));
  write_leases();
  for (auto& [id, hosted] : nodes_) begin(id, *hosted.running);
}

Deployment::~Deployment() = default;

void Deployment::open(NodeId id, const Address& listen) {
  Hosted& node = nodes_[id];
  node.running = std::make_unique<Running>(*shared_, id, listen);
  node.lease = {id, node.running->store().term(), listen.host, node.running->gateway().port()};
}

void Deployment::begin(NodeId id, Running& node) const {
  const auto core = shared_->cores.find(id);
  node.begin(core == shared_->cores.end() ? std::nullopt : std::optional{core->second});
}

void Deployment::write_leases() const {
  if (shared_->settings.nodes == 1) return;
  std::vector<directory::Lease> leases;
  for (const auto& [id, hosted] : nodes_) leases.push_back(hosted.lease);
  const auto unwritten = directory::write_deployment(
      shared_->settings.data, shared_->settings.nodes, shared_->directory.partitions(), leases);
  if (!unwritten.empty()) throw scenario::ConfigError{{unwritten}};
}

std::vector<std::uint16_t> Deployment::ports() const {
  std::vector<std::uint16_t> ports;
  for (const auto& [id, hosted] : nodes_) ports.push_back(hosted.lease.port);
  return ports;
}

void Deployment::stop() {
  shared_->releasing = shared_->draining = static_cast<std::uint32_t>(nodes_.size());
  for (const auto& [id, hosted] : nodes_) {
    boost::asio::post(hosted.running->io(), [this, node = &hosted.running->node()] {
      node->release_sessions([this] {
        // Sessions that are left may need every node until then.
        if (--shared_->releasing == 0) drain();
      });
    });
  }
  for (const auto& [id, hosted] : nodes_) hosted.running->wait();
}

void Deployment::drain() {
  for (const auto& [id, hosted] : nodes_) {
    boost::asio::post(hosted.running->io(), [this, node = &hosted.running->node()] {
      node->drain([this] {
        // Other nodes' clients have their answers before any gateway closes.
        if (--shared_->draining == 0) close_gateways();
      });
    });
  }
}

void Deployment::close_gateways() {
  for (const auto& [id, hosted] : nodes_) {
    boost::asio::post(hosted.running->io(), [running = hosted.running.get()] {
      running->node().disconnect();
      running->gateway().stop(protocol::CloseCode::draining, close_grace,
                              running->node().drain_reason());
    });
  }
}

void Deployment::drop(NodeId node) {
  auto& running = nodes_.at(node).running;
  running->halt();
  running->store().abandon();
  running.reset();
}

void Deployment::start(NodeId node) {
  Hosted& hosted = nodes_.at(node);
  open(node, {hosted.lease.address, hosted.lease.port});
  try {
    write_leases();
  } catch (...) {
    hosted.running.reset();  // The others shall not take it for one that serves.
    throw;
  }
  begin(node, *hosted.running);
}

}  // namespace clamor::server
