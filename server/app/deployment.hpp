#pragma once

#include "server/app/settings.hpp"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace clamor::server {

/// The nodes of this process: a store, an I/O thread and a gateway port each.
class Deployment {
 public:
  /// Opens everything. `io` serves the first node, and outlives this. Throws scenario::ConfigError
  /// where an address or a data directory cannot be had.
  Deployment(boost::asio::io_context& io, const Settings& settings);
  /// Writes and flushes the queues, closes the stores.
  ~Deployment();
  Deployment(const Deployment&) = delete;
  Deployment& operator=(const Deployment&) = delete;

  /// Of the gateways, in the nodes' order.
  [[nodiscard]] std::vector<std::uint16_t> ports() const;
  /// Handles events until stop() has done its work; the first node's on the caller's thread.
  void run();
  /// Refuses requests, answers the accepted ones, closes every session. From run()'s thread.
  void stop();

 private:
  class Running;
  void close_gateways();

  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::vector<std::unique_ptr<boost::asio::io_context>> ios_;  ///< All but the first node's.
  std::vector<std::unique_ptr<Running>> nodes_;
};

}  // namespace clamor::server
