#pragma once

#include "server/app/metrics.hpp"
#include "server/app/settings.hpp"
#include "server/base/id.hpp"
#include "server/base/operations.hpp"
#include "server/base/time.hpp"
#include "server/bus/bus.hpp"
#include "server/core/admission.hpp"
#include "server/directory/directory.hpp"
#include "server/log/log.hpp"

#include <chrono>
#include <functional>

namespace clamor::server {

/// A client that is refused for a store in rebuild, or a server that stops, comes again after this.
inline constexpr Duration rebuild_retry = std::chrono::seconds{1};
inline constexpr Duration retry_when_draining = std::chrono::seconds{1};

/// What the halves of a node share. One I/O thread.
struct NodeContext {
  NodeId self;
  Term term;  ///< Of this start of the node.
  const Settings& settings;
  const directory::Directory& directory;
  bus::Bus& bus;
  /// Opens a turn from outside a socket event: its end submits commits and flushes frames.
  std::function<void()> begin_turn;

  Operations operations;
  Incidents incidents;
  Instant now;                     ///< Of the turn.
  core::QueueAge age;              ///< As the turn began.
  core::AdmissionState admission;  ///< Decided then.
  log::Log log{log::LogSettings{}};
};

}  // namespace clamor::server
