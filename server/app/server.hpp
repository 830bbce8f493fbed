#pragma once

#include "server/app/settings.hpp"

#include <cstdint>
#include <functional>
#include <span>

namespace clamor::server {

/// Runs a server until SIGTERM or SIGINT: then it takes no further sessions, closes those that
/// there are slice by slice, answers what it accepted, writes and flushes its queues, and returns;
/// a second signal ends the process at once with exit code 105. `ready` is called with the
/// gateways' ports, in the nodes' order, once clients can connect. Throws scenario::ConfigError
/// where the address, the data directory or a limit cannot be had.
void serve(const Settings& settings,
           const std::function<void(std::span<const std::uint16_t> ports)>& ready);

}  // namespace clamor::server
