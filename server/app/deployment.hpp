#pragma once

#include "server/app/settings.hpp"
#include "server/base/id.hpp"
#include "server/directory/deployment_file.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace clamor::server {

/// Of a node's I/O thread, as the system shows it.
[[nodiscard]] std::string thread_name(NodeId node);

/// The nodes of this process: a store, an I/O thread and a gateway port each. All calls from one
/// thread that is none of theirs.
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
  /// Refuses requests, answers the accepted ones, closes every session; returns once all is done.
  /// @pre no node is dropped
  void stop();

  /// Ends one node as a kill would, while the others run on: its connections break, requests on
  /// their way are lost, and so is what its queues have not flushed. @pre it runs
  void drop(NodeId node);
  /// Opens a dropped node again, on its port and under a new term. Throws as the constructor does.
  void start(NodeId node);

 private:
  class Running;
  void open(NodeId node, std::uint16_t port);
  void write_leases() const;
  void close_gateways();

  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::vector<directory::Lease> leases_;         ///< Of each node's latest start.
  std::vector<std::unique_ptr<Running>> nodes_;  ///< Nothing where one was dropped.
};

}  // namespace clamor::server
