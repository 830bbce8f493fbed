#pragma once

#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"
#include "sim/world/costs.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace clamor::sim {

/// Where a run stands.
struct WorldProgress {
  bool roll_call = false;
  std::int64_t now_ns = 0;
  std::uint64_t events = 0;
  std::uint64_t connected = 0;
  std::uint64_t delivery_p99_ns = 0;  ///< Of the last full second.
};

struct WorldSettings {
  DesignSpec design;
  Costs costs;
  std::optional<Duration> until;               ///< Ends the measured window early.
  std::optional<std::uint32_t> trace_user;     ///< Plan index.
  std::optional<std::uint32_t> trace_channel;  ///< Plan index.
  std::function<void(std::string_view)> trace;
  /// Called every few thousand events; returns false to end the run.
  std::function<bool(const WorldProgress&)> progress;
  /// Asked now and then before the first event; true ends the run.
  std::function<bool()> interrupted;
};

/// A conservation law or Little's law did not hold: a bug in the simulator. what() names seed,
/// virtual time, the law with both sides, and the last events.
class InvariantBroken : public std::logic_error {
  using logic_error::logic_error;
};

}  // namespace clamor::sim
