#pragma once

#include "reports/app/micro_client.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/base/operations.hpp"
#include "server/base/queue_design.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace clamor::report {

/// What the server counted in one window of a micro-load. Each load has several windows: a fit
/// takes the least disturbed one for what it explains.
struct LoadPoint {
  std::string load;             ///< "fan-out, 50 members, 8 in flight, 64 B"
  Operations counted;           ///< By the server, over the window.
  double io_thread_ns = 0;      ///< CPU of the thread that does the turns.
  double other_threads_ns = 0;  ///< CPU of committer, queue writer and RocksDB.
  std::uint64_t rounds = 0;
  std::uint64_t body_bytes = 0;  ///< Of the messages sent.
  double round_trip_ns = 0;      ///< Of a round, as the client saw it; mean.
};

/// Everything that the fits need, by what it was measured for.
struct Measurements {
  std::vector<LoadPoint> turns;         ///< Echoes, heartbeats, fan-outs, sends: os, per_group.
  std::vector<LoadPoint> logins;        ///< Without anything to catch up.
  std::vector<LoadPoint> commits;       ///< Sends: durability os.
  std::vector<LoadPoint> synced;        ///< Sends: durability fsync.
  std::vector<LoadPoint> queues;        ///< Fan-outs to members that are offline: per_user.
  std::vector<LoadPoint> queue_runs;    ///< Entries that begin runs, flushed: per_user.
  double queue_run_bytes = 0;           ///< Of the row that such an entry becomes.
  std::vector<LoadPoint> queue_copies;  ///< Entries that carry their records, flushed: per_user.
  std::vector<LoadPoint> scans;         ///< Logins that catch up: per_group, then per_user.
  double accept_ns = 0;                 ///< CPU of one accept and upgrade.
  double process_bytes = 0;             ///< Resident, no session.
  double session_bytes = 0;             ///< Resident, each idle session.
  double round_trip_ns = 0;             ///< Of a lone send and its ack: the fastest window's mean.
  double device_queue_factor = 0;       ///< Device bytes a byte of queue rows.
  double device_log_factor = 0;         ///< Device bytes a log byte; 0: not told by the kernel.
};

struct MicroLoadOptions {
  std::filesystem::path program = "/proc/self/exe";
  bool quick = false;  ///< Three windows of 0.1 s a load instead of 16 of 0.15 s.
  std::function<void(const std::string& what, double fraction)> progress;
  std::function<bool()> interrupted;
};

/// Starts servers pinned to the first usable core, loads each from the last one, and returns what
/// they counted. About a minute and a half. Throws MicroLoadError or loadgen::LoadError.
[[nodiscard]] Measurements measure(const MicroLoadOptions& options);

}  // namespace clamor::report
