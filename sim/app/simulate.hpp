#pragma once

#include "reports/model/result.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"
#include "sim/world/costs.hpp"
#include "sim/world/topology.hpp"  // LayOutInterrupted

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace clamor::sim {

/// Where a simulation stands; comes about twice a second of wall time.
struct SimProgress {
  std::string_view stage;  ///< "laying out", "simulating", "roll call"
  double simulated_seconds = 0;
  double duration_seconds = 0;
  std::uint64_t events = 0;
  double events_per_second = 0;  ///< Of wall time, since the last report.
  std::uint64_t connected = 0;   ///< Clients logged in.
  double delivery_p99_ms = 0;    ///< Of the last full simulated second.
  double wall_seconds = 0;
};

struct SimOptions {
  scenario::Scenario scenario;  ///< As read: not scaled yet.
  DesignSpec design;
  std::optional<double> scale;        ///< Default: the scenario's simulate.scale.
  std::optional<std::uint64_t> seed;  ///< Default: the scenario's.
  std::optional<Duration> until;      ///< Ends the measured window early.
  Calibration calibration;
  std::optional<std::uint32_t> trace_user;     ///< Plan index; its timeline goes to `trace`.
  std::optional<std::uint32_t> trace_channel;  ///< Plan index.
  std::function<void(std::string_view line)> trace;
  std::function<void(const SimProgress&)> progress;
  /// True ends the run early, marked as interrupted; while the population is still being laid out,
  /// run_sim throws LayOutInterrupted.
  std::function<bool()> interrupted;
};

/// The scenario that such a simulation runs: scaled, with its seed; simulated as it stands.
[[nodiscard]] scenario::Scenario scenario_of(const SimOptions& options);

/// Simulates one design and returns what a live run returns, thresholds judged. The same options
/// give the same result_hash. Throws std::runtime_error with seed, virtual time and the last
/// events if an invariant (conservation, Little's law) does not hold: a bug, not a result.
/// Throws scenario::ConfigError where the population is more than the simulator or this machine's
/// memory holds.
[[nodiscard]] report::RunResult run_sim(const SimOptions& options);

}  // namespace clamor::sim
