#pragma once

#include "server/app/frontend.hpp"
#include "server/app/node_context.hpp"
#include "server/app/owner.hpp"
#include "server/app/settings.hpp"
#include "server/bus/bus.hpp"
#include "server/bus/exchange.hpp"
#include "server/bus/links.hpp"
#include "server/directory/directory.hpp"
#include "server/gateway/gateway.hpp"
#include "server/store/store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::server {

/// One server: the owner of some partitions, the frontend of a gateway, and what lies between them.
/// The two halves know each other by messages only, so that either may have its counterpart on
/// another node. All calls on the thread that runs `io`.
class Node final : public gateway::Handler, private bus::Receiver {
 public:
  /// Folds the store's log and redoes what its queues lack. Throws std::runtime_error where the
  /// store cannot be read. @pre all outlive it.
  Node(boost::asio::io_context& io, store::Store& store, const Settings& settings, NodeId self,
       const directory::Directory& directory, bus::Exchange& exchange,
       std::optional<bus::LinkSettings> links = std::nullopt);

  /// Names the gateway that calls it. @pre before `io` runs; it outlives every call.
  void attach(gateway::Gateway& gateway);
  [[nodiscard]] NodeId self() const { return context_.self; }
  /// Joins the other nodes. Throws boost::system::system_error where it cannot listen for those of
  /// other processes. @pre it has its gateway.
  void connect();
  /// Leaves those of other processes. The last call.
  void disconnect();
  /// Counts that the thread had nothing to do and went to sleep.
  void count_wake() {
    ++context_.operations.wakes;
    gateway_->idle();
  }
  /// Takes no further sessions and closes those that there are slice by slice, over the settings'
  /// period; calls `released` once the last slice, which the gateway is to close, is all that is
  /// left.
  void release_sessions(std::function<void()> released);
  /// Of the close frames of that slice.
  [[nodiscard]] std::string drain_reason() const { return frontend_.drain_reason(); }
  /// Refuses further requests, and calls `drained` once all accepted ones are answered.
  void drain(std::function<void()> drained);

  void on_turn_begin(const gateway::TurnStart& turn) override;
  [[nodiscard]] bool takes_session() override;
  void on_open(gateway::SessionId id, Instant now) override;
  void on_message(gateway::SessionId id, std::span<const std::byte> payload, Instant now) override;
  void on_end(gateway::SessionId id, gateway::EndReason reason, Instant now) override;
  void on_drained(gateway::SessionId id, Instant now) override;
  void on_turn_end(Instant now) override;
  [[nodiscard]] gateway::HttpAnswer on_http_get(std::string_view target) override;

 private:
  void receive(NodeId from, bus::Message message) override;
  void receive_all(NodeId from, std::vector<bus::Message> messages) override;
  void on_node_up(NodeId node, Term term) override;
  void on_node_down(NodeId node) override;
  void release_slice(std::size_t size);
  [[nodiscard]] NodeMetrics metrics() const;
  /// Why clients are better sent elsewhere, in words; empty where they are not.
  [[nodiscard]] std::string lacks() const;

  boost::asio::io_context& io_;
  const Settings settings_;
  bus::Exchange& exchange_;
  const std::unique_ptr<bus::Links> links_;  ///< Null where this process hosts all nodes.
  bus::Endpoint bus_;
  gateway::Gateway* gateway_ = nullptr;
  NodeContext context_;
  Owner owner_;
  Frontend frontend_;
  std::uint64_t bus_messages_received_ = 0;
  boost::asio::steady_timer slice_timer_;
  std::function<void()> released_;
  bool draining_ = false;
};

}  // namespace clamor::server
