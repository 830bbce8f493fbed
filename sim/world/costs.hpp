#pragma once

#include "scenarios/model/scenario.hpp"
#include "sim/engine/turn.hpp"

#include <array>
#include <string>
#include <string_view>

namespace clamor::sim {

/// Coefficients of the cost model (sim/MODEL.md), all in nanoseconds or
/// bytes as their names say. The defaults are none: they come from a calibration file.
struct Costs {
  // A core's turn.
  double wake_ns = 0;           ///< c_wake: going to sleep and being woken, where a core idles.
  double turn_ns = 0;           ///< c_turn: poll and bookkeeping of one turn.
  double frame_in_ns = 0;       ///< c_in: read, unframe, decode, decide on one frame.
  double frame_in_byte_ns = 0;  ///< b: each payload byte of it.
  double post_ns = 0;           ///< c_post: one hand-off between threads or nodes.
  double flush_ns = 0;          ///< c_flush: one write to one session's socket.
  double message_ns = 0;        ///< c_msg: one message in a flush.
  double byte_out_ns = 0;       ///< c_byte: one byte in a flush.
  // Logging in and catching up, on top of the frames.
  double accept_ns = 0;           ///< TCP accept and WebSocket upgrade.
  double login_ns = 0;            ///< Token, session and interest tables, once a login.
  double head_comparison_ns = 0;  ///< One position against one head.
  double scan_ns = 0;             ///< Seek of one scan.
  double scan_record_ns = 0;      ///< One row that a scan yields.
  double log_seek_ns = 0;         ///< Seek of a run of records that queue entries name.
  // Committer: S(b) = c_sync + c_rec b + c_byte bytes.
  double commit_batch_ns = 0;   ///< Durability os: once a batch.
  double commit_fsync_ns = 0;   ///< Durability fsync: added once a batch.
  double commit_record_ns = 0;  ///< c_rec
  double commit_byte_ns = 0;    ///< c_byte
  // Queue writer.
  double queue_batch_ns = 0;
  double queue_entry_ns = 0;  ///< One sync-queue entry, in memory.
  double queue_run_ns = 0;    ///< A run that one begins: its row at the flush, compaction included.
  double queue_byte_ns = 0;   ///< One byte of records that rows carry, where entries are copies.
  // What is written and held.
  double log_record_bytes = 0;   ///< Log and journal rows of a record, its body apart.
  double queue_run_bytes = 0;    ///< Row of an entry that begins a run: the first since a flush.
  double device_log_factor = 0;  ///< Device bytes a log byte: write-ahead log, compaction.
  double device_queue_factor = 0;
  double process_bytes = 0;  ///< Resident memory of an idle server.
  double session_bytes = 0;  ///< Resident memory a session.
  // Path between client and server, and between two nodes.
  double client_delay_ns = 0;
  double node_delay_ns = 0;
};

struct CostCoefficient {
  std::string_view name;
  double Costs::*member;
};

/// Every coefficient under the name it has in calibration.yaml.
inline constexpr std::array cost_coefficients{
    CostCoefficient{"wake_ns", &Costs::wake_ns},
    CostCoefficient{"turn_ns", &Costs::turn_ns},
    CostCoefficient{"frame_in_ns", &Costs::frame_in_ns},
    CostCoefficient{"frame_in_byte_ns", &Costs::frame_in_byte_ns},
    CostCoefficient{"post_ns", &Costs::post_ns},
    CostCoefficient{"flush_ns", &Costs::flush_ns},
    CostCoefficient{"message_ns", &Costs::message_ns},
    CostCoefficient{"byte_out_ns", &Costs::byte_out_ns},
    CostCoefficient{"accept_ns", &Costs::accept_ns},
    CostCoefficient{"login_ns", &Costs::login_ns},
    CostCoefficient{"head_comparison_ns", &Costs::head_comparison_ns},
    CostCoefficient{"scan_ns", &Costs::scan_ns},
    CostCoefficient{"scan_record_ns", &Costs::scan_record_ns},
    CostCoefficient{"log_seek_ns", &Costs::log_seek_ns},
    CostCoefficient{"commit_batch_ns", &Costs::commit_batch_ns},
    CostCoefficient{"commit_fsync_ns", &Costs::commit_fsync_ns},
    CostCoefficient{"commit_record_ns", &Costs::commit_record_ns},
    CostCoefficient{"commit_byte_ns", &Costs::commit_byte_ns},
    CostCoefficient{"queue_batch_ns", &Costs::queue_batch_ns},
    CostCoefficient{"queue_entry_ns", &Costs::queue_entry_ns},
    CostCoefficient{"queue_run_ns", &Costs::queue_run_ns},
    CostCoefficient{"queue_byte_ns", &Costs::queue_byte_ns},
    CostCoefficient{"log_record_bytes", &Costs::log_record_bytes},
    CostCoefficient{"queue_run_bytes", &Costs::queue_run_bytes},
    CostCoefficient{"device_log_factor", &Costs::device_log_factor},
    CostCoefficient{"device_queue_factor", &Costs::device_queue_factor},
    CostCoefficient{"process_bytes", &Costs::process_bytes},
    CostCoefficient{"session_bytes", &Costs::session_bytes},
    CostCoefficient{"client_delay_ns", &Costs::client_delay_ns},
    CostCoefficient{"node_delay_ns", &Costs::node_delay_ns},
};
static_assert(sizeof(Costs) == cost_coefficients.size() * sizeof(double),
              "a coefficient is missing from cost_coefficients");

/// The costs with where they come from; `clamor calibrate` measures them.
struct Calibration {
  std::string machine;            ///< CPU model and cores.
  std::string date;               ///< Of the measurement, UTC.
  std::string path = "loopback";  ///< loopback | nic: what a send pays for.
  std::string source;             ///< What measured them.
  Costs costs;
  /// Relative residual of each coefficient's fit, in the order of cost_coefficients; negative: it
  /// was not fitted.
  std::array<double, cost_coefficients.size()> residuals{};
};

/// What a committer's batch costs: S = c_sync + c_rec records + c_byte bytes.
struct CommitCosts {
  std::int64_t batch_ps = 0;
  std::int64_t record_ps = 0;
  std::int64_t byte_ps = 0;
};
/// What a queue writer's batch costs: c_batch + c_entry entries + c_run begun runs + c_byte bytes
/// of copies.
struct QueueCosts {
  std::int64_t batch_ps = 0;
  std::int64_t entry_ps = 0;
  std::int64_t run_ps = 0;
  std::int64_t byte_ps = 0;
};

/// The turn's and batches' costs in the integer picoseconds of the stations.
[[nodiscard]] TurnCosts turn_costs(const Costs& costs);
[[nodiscard]] CommitCosts commit_costs(const Costs& costs, scenario::Durability durability);
[[nodiscard]] QueueCosts queue_costs(const Costs& costs);
/// Rounds nanoseconds to picoseconds.
[[nodiscard]] std::int64_t ps_from_ns(double ns);

}  // namespace clamor::sim
