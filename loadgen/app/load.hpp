#pragma once

#include "reports/model/result.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace clamor::loadgen {

/// Where a live run stands; comes about once a second.
struct LoadProgress {
  /// "starting", "channels", "pre-fill", "connecting", "running", "roll call: ...", "ledger"
  std::string_view stage;
  double elapsed_seconds = 0;   ///< Of the stage.
  double duration_seconds = 0;  ///< Of the stage where it is known, else 0.
  std::uint64_t connected = 0;  ///< Clients online.
  std::uint64_t clients = 0;    ///< That are to connect in this stage.
  std::uint64_t filled = 0;     ///< Messages of the pre-fill accepted, in its stage.
  std::uint64_t to_fill = 0;    ///< Of so many; 0 in other stages.
  double send_rate = 0;         ///< A second, over the last interval.
  double delivery_rate = 0;
  double delivery_p99_ms = 0;
};

/// How much of the stage is done; negative where that is not known.
[[nodiscard]] inline double fraction_of(const LoadProgress& p) {
  if (p.to_fill > 0) return static_cast<double>(p.filled) / static_cast<double>(p.to_fill);
  return p.duration_seconds > 0 ? p.elapsed_seconds / p.duration_seconds : -1;
}

struct LoadOptions {
  scenario::Scenario scenario;        ///< As read: not scaled yet.
  DesignSpec design;                  ///< Of the embedded server; a name only with a target.
  double scale = 1;                   ///< Of the population.
  std::optional<std::uint64_t> seed;  ///< Default: the scenario's.
  std::optional<std::string> target;  ///< ws://host:port,...; else an embedded server is started.
  std::string authority_file;         ///< Signs a wss target's certificate; empty: the system's do.
  bool tls = false;                   ///< Of the embedded server.
  std::string secret;                 ///< Of the target's tokens; the embedded server draws one.
  std::uint32_t workers = 0;          ///< 0: as many as the clients need.
  Duration connect_timeout = std::chrono::seconds{120};   ///< Of the ramp, then the run begins.
  Duration roll_call_timeout = std::chrono::seconds{60};  ///< Of each pass.
  /// Where it is set, the plan goes in steps: it holds wherever what comes next could meet what is
  /// under way (sends, departures, returns, each fault) until clients and servers are at rest, and
  /// skips the times for which nothing is planned. What is counted is then a function of the plan,
  /// however slow the machine; latencies and rates say nothing. LoadError where a step takes
  /// longer.
  std::optional<Duration> step_timeout;
  std::filesystem::path program = "/proc/self/exe";  ///< The clamor that serves and works.
  std::function<void(const LoadProgress&)> progress;
  std::function<bool()> interrupted;  ///< True ends the window early; the roll call still runs.
};

/// A live run that could not be made: the server or a worker did not start or died, the target
/// holds other channels already, ... The message says what to do. Losses are results, not errors.
class LoadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The scenario that such a run runs: scaled, with its seed.
[[nodiscard]] scenario::Scenario scenario_of(const LoadOptions& options);

/// Runs one design live: real connections of worker processes against a real server, the roll call,
/// the ledger; returns what a simulated run returns, thresholds judged. A server that dies or
/// stalls on the way is part of the result (ledger_complete, ledger_unknown_because).
/// Server and workers ask for a higher priority than other processes (granted to root), so that
/// what else runs on the machine is less of the figures. Blocks for about the scenario's duration.
/// Throws LoadError, or scenario::ConfigError where the options do not fit (too many clients for
/// the embedded server, ...).
[[nodiscard]] report::RunResult run_load(const LoadOptions& options);

}  // namespace clamor::loadgen
