#pragma once

#include "server/app/settings.hpp"
#include "server/base/id.hpp"
#include "server/directory/deployment_file.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace clamor::server {

/// Of a node's I/O thread, as the system shows it.
[[nodiscard]] std::string thread_name(NodeId node);

/// The nodes of a deployment that this process hosts: a store, an I/O thread and a gateway port
/// each; links to those that other processes host. All calls from one thread, none of theirs.
class Deployment {
 public:
  /// Opens everything and serves. Throws scenario::ConfigError where an address or a data directory
  /// cannot be had.
  explicit Deployment(const Settings& settings);
  /// Breaks every connection that is left, writes and flushes the queues, closes the stores.
  ~Deployment();
  Deployment(const Deployment&) = delete;
  Deployment& operator=(const Deployment&) = delete;

  /// Of the gateways, in the nodes' order.
  [[nodiscard]] std::vector<std::uint16_t> ports() const;
  /// Closes sessions slice by slice over the settings' period (Node::release_sessions), refuses
  /// requests, answers those that its nodes have accepted, closes the last slice; returns once all
  /// is done. One on its way to a node of another process may end without an answer: its
  /// client sends it again.
  /// @pre no node is dropped
  void stop();

  /// Ends one node as a kill would, while the others run on: its connections break, requests on
  /// their way are lost, and so is what its queues have not flushed. @pre it runs
  void drop(NodeId node);
  /// Opens a dropped node again, on its port and under a new term. Throws as the constructor does;
  /// the node is still dropped then.
  void start(NodeId node);

 private:
  class Running;
  struct Hosted {
    directory::Lease lease;            ///< Of its latest start.
    std::unique_ptr<Running> running;  ///< Nothing while it is dropped.
  };
  void open(NodeId node, const Address& listen);
  void begin(NodeId id, Running& node) const;
  void write_leases() const;
  void drain();
  void close_gateways();

  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::map<NodeId, Hosted> nodes_;
};

}  // namespace clamor::server
