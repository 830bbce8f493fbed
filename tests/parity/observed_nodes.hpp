#pragma once

#include "server/app/node.hpp"
#include "server/app/settings.hpp"
#include "server/bus/exchange.hpp"
#include "server/core/placement.hpp"
#include "server/directory/directory.hpp"
#include "server/gateway/gateway.hpp"
#include "server/store/store.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/temporary_directory.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace clamor::parity {

/// The nodes of a deployment in this process. Each has an exchange of its own, where the others are
/// stood in for: what one node says to another passes by here, is counted, and may be spoilt first.
/// (What a node says to itself is a call.)
class ObservedNodes {
 public:
  /// Called with each message between nodes, one call at a time.
  using Spoil = std::function<void(bus::Message& message)>;

  ObservedNodes(const DesignSpec& design, std::uint32_t nodes, Spoil spoil = {})
      : spoil_{std::move(spoil)}, directory_{ids(nodes), core::partition_count(nodes)} {
    std::filesystem::create_directory(data());
    settings_.secret = test::test_secret;
    settings_.design = design;
    settings_.durability = store::Durability::os;
    settings_.nodes = nodes;
    for (const NodeId id : directory_.nodes())
      places_.push_back(std::make_unique<Place>(*this, id));
    for (const auto& place : places_) {
      for (const auto& other : places_) {
        if (place == other) continue;
        place->exchange.connect(other->id, other->store.term(), place->io, other->stand_in);
      }
      place->node.connect();
    }
    for (const auto& place : places_) {
      threads_.emplace_back([running = place.get()] { running->run(); });
    }
  }
  ~ObservedNodes() { stop(); }
  ObservedNodes(const ObservedNodes&) = delete;
  ObservedNodes& operator=(const ObservedNodes&) = delete;

  /// Of the gateways, in the nodes' order.
  [[nodiscard]] std::vector<std::uint16_t> ports() const {
    std::vector<std::uint16_t> ports;
    for (const auto& place : places_) ports.push_back(place->gateway.port());
    return ports;
  }
  [[nodiscard]] std::string data() const { return directory_of_data_ / "data"; }
  // --- what passed. @pre stop().
  /// (message, node with interest) from a channel's node to another.
  [[nodiscard]] std::uint64_t pairs_seen() const { return pairs_seen_; }
  /// (channel, node) whose registration at the channel's node was answered to another.
  [[nodiscard]] std::uint64_t interest_seen() const { return interest_seen_.size(); }

  /// As a server stops: answers what was accepted, closes all sessions, writes and closes the
  /// stores.
  void stop() {
    if (places_.empty()) return;
    std::atomic<std::size_t> draining = places_.size();
    const auto close_gateways = [this] {
      for (const auto& place : places_) {
        boost::asio::post(place->io, [gateway = &place->gateway] {
          gateway->stop(protocol::CloseCode::draining, std::chrono::seconds{2});
        });
      }
    };
    for (const auto& place : places_) {
      boost::asio::post(place->io, [&, node = &place->node] {
        node->drain([&] {
          if (--draining == 0) close_gateways();
        });
      });
    }
    for (std::thread& thread : threads_) thread.join();
    places_.clear();
  }

 private:
  /// Hears in every other node's exchange what is said to a node.
  class StandIn final : public bus::Receiver {
   public:
    StandIn(ObservedNodes& nodes, NodeId node) : nodes_{nodes}, node_{node} {}
    void receive(NodeId, bus::Message) override {}
    void receive_all(NodeId from, std::vector<bus::Message> messages) override {
      nodes_.pass(from, node_, std::move(messages));
    }
    void on_node_up(NodeId, Term) override {}
    void on_node_down(NodeId) override {}

   private:
    ObservedNodes& nodes_;
    NodeId node_;
  };

  struct Place {
    Place(ObservedNodes& nodes, NodeId own)
        : id{own},
          store{{.path = nodes.data() + "/node-" + std::to_string(own.value),
                 .durability = nodes.settings_.durability,
                 .partitions = nodes.directory_.partitions(),
                 .layout = server::layout_of(nodes.settings_.design)}},
          node{io, store, nodes.settings_, own, nodes.directory_, exchange},
          gateway{io, {}, node},
          stand_in{nodes, own} {
      node.attach(gateway);
    }

    /// As a server runs it: the node counts its sleeps.
    void run() {
      while (!io.stopped()) {
        if (io.poll() != 0 || io.stopped()) continue;
        node.count_wake();
        io.run_one();
      }
    }

    NodeId id;
    boost::asio::io_context io{1};
    bus::Exchange exchange;
    store::Store store;
    server::Node node;
    gateway::Gateway gateway;
    StandIn stand_in;
  };

  static std::vector<NodeId> ids(std::uint32_t nodes) {
    std::vector<NodeId> ids;
    for (std::uint32_t node = 0; node < nodes; ++node) ids.push_back({node});
    return ids;
  }

  void pass(NodeId from, NodeId to, std::vector<bus::Message> messages) {
    {
      const std::lock_guard lock{mutex_};
      for (bus::Message& message : messages) {
        if (spoil_) spoil_(message);
        if (const auto* published = std::get_if<bus::Published>(&message)) count(*published);
        if (const auto* registered = std::get_if<bus::Registered>(&message)) {
          for (const bus::ChannelState& state : registered->channels) {
            if (state.registered) interest_seen_.emplace(state.channel, to);
          }
        }
      }
    }
    Place& place = *places_[to.value];
    place.exchange.deliver(from, to, place.store.term(), std::move(messages));
  }
  void count(const bus::Published& published) {
    for (const bus::Published::Entry& entry : published.entries) {
      const core::Record& record = published.commit->batch.record(entry.record);
      if (entry.live && core::is_sent(record.kind)) ++pairs_seen_;
    }
  }

  test::TemporaryDirectory directory_of_data_;
  std::mutex mutex_;
  Spoil spoil_;                                           // guarded by mutex_
  std::uint64_t pairs_seen_ = 0;                          // guarded by mutex_
  std::set<std::pair<ChannelId, NodeId>> interest_seen_;  // guarded by mutex_
  server::Settings settings_;
  const directory::Directory directory_;
  std::vector<std::unique_ptr<Place>> places_;
  std::vector<std::thread> threads_;
};

}  // namespace clamor::parity
