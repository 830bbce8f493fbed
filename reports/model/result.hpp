#pragma once

#include "server/base/histogram.hpp"
#include "server/base/ledger_totals.hpp"
#include "server/base/operations.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace clamor::report {

enum class Engine : std::uint8_t { live, sim };

/// One second of a run, on the time axis of the measured window.
struct SeriesPoint {
  double t_seconds = 0;         ///< End of the interval.
  std::uint64_t connected = 0;  ///< Clients logged in at its end.
  double sent_rate = 0;         ///< Per second over the interval.
  double ack_rate = 0;
  double delivery_rate = 0;
  std::uint64_t delivery_p50_ns = 0;
  std::uint64_t delivery_p99_ns = 0;
  double server_cpu_share = 0;  ///< Of the server's cores, 1 = all busy.
  std::uint64_t server_rss_bytes = 0;
  std::uint64_t fan_out_lag = 0;       ///< Records without all queue entries; worst server.
  std::uint64_t generator_lag_ns = 0;  ///< Worst lateness of the generator's own sends.
  bool marked = false;                 ///< The generator was the limit in this interval.
};

struct ThresholdOutcome {
  std::string metric;           ///< With its tags, as written.
  std::string expression;       ///< p(99)<250
  double observed = 0;          ///< In the expression's unit; NaN when unknown.
  std::string unknown_because;  ///< Why `observed` is NaN; such a threshold has failed.
  bool passed = false;
  bool implicit = false;  ///< lost, duplicated, ... of every run.
};

/// One class of channels, as planned.
struct GroupFacts {
  std::string name;
  std::uint64_t channels = 0;
  std::uint32_t members = 0;  ///< Of one channel.
  double online = 0;          ///< Mean share of the members that are connected.
  double message_share = 0;   ///< Of all planned messages.
};

/// The part of the world that a run speaks about; a verdict holds only there.
struct Region {
  std::vector<GroupFacts> groups;
  double online = 0;             ///< Mean share of the users that are connected.
  double channels_per_user = 0;  ///< Mean.
  double reconnects_per_user_hour = 0;
  double messages_per_user_hour = 0;
};

struct DeploymentFacts {
  std::uint32_t servers = 1;
  std::uint32_t cores_per_server = 1;
  std::uint32_t partitions = 4;
  std::uint64_t users = 0;
  std::uint64_t clients = 0;
  std::uint64_t channels = 0;
};

/// What every design of a comparison had to work with; the rest of it is `durability` and
/// `deployment`. As the server says that it has it; 0: it did not say.
struct Budget {
  std::uint64_t block_cache_bytes = 0;
  std::uint64_t write_buffer_bytes = 0;  ///< Of all column families together.

  bool operator==(const Budget&) const = default;
};

/// What the stores were given before the measured window, the creation of channels apart. It is in
/// none of the run's other counters.
struct Prefill {
  std::uint64_t records = 0;
  std::uint64_t queue_entries = 0;
  std::uint64_t bytes = 0;  ///< Of log and queue rows before compression; live only.

  bool operator==(const Prefill&) const = default;
};

struct ServerFacts {
  double cpu_seconds = 0;  ///< Of all server threads in the measured window.
  std::uint64_t rss_max_bytes = 0;
  std::uint64_t device_write_bytes = 0;
  std::uint64_t fan_out_lag_max = 0;  ///< Of one server, the worst.
};

struct GeneratorFacts {
  std::uint32_t workers = 0;
  std::uint64_t sessions_asked = 0;
  std::uint64_t sessions_opened = 0;
  double cpu_seconds = 0;
  std::uint64_t lag_p99_ns = 0;  ///< Lateness of sends against the plan.
  std::uint64_t turn_p99_ns = 0;
  std::uint64_t presence_notices = 0;  ///< Statuses of users that clients were told.
  std::uint32_t intervals = 0;
  std::uint32_t intervals_marked = 0;
};

struct SimFacts {
  std::uint64_t events = 0;  ///< Pops of the pending set.
  std::uint64_t computed_recipients = 0;
  std::uint64_t computed_heartbeats = 0;
  double simulated_seconds = 0;
  double cpu_seconds = 0;
  std::uint64_t peak_rss_bytes = 0;
  std::string calibration;  ///< Machine and date of the costs.
};

struct Environment {
  std::string clamor_version;
  std::string machine;  ///< CPU model, cores.
  std::string kernel;
  std::string started_utc;  ///< 2026-11-24T04:05:06Z
  std::string placement;    ///< "server on core 0, generator on core 1"
  std::string command;      ///< What was typed, to do it again.
  std::string path = "loopback";
};

/// Everything one run of one design leaves behind; `clamor.result/1` in JSON.
/// Histograms are keyed `metric` or `metric{tag:value,...}` (tags sorted): delivery_latency,
/// ack_latency, catch_up_latency, recovery_latency, delivery_service_time, connect_time,
/// offline_notice_latency; tags `group`, `path`.
/// Unit: nanoseconds.
struct RunResult {
  std::string scenario;
  std::string description;
  Engine engine = Engine::live;
  DesignSpec design;
  std::uint64_t seed = 0;
  double scale = 1;
  std::uint32_t repetition = 1;
  std::uint32_t repetitions = 1;
  std::uint32_t order = 0;  ///< Which run of the comparison it was, from 1; 0: not one of any.
  bool twin = false;        ///< Simulated at the live population, to measure the simulator's error.
  std::string durability;
  std::string ack_after;  ///< "log", "fanout".
  std::string payload;    ///< Of queue entries: "reference", "copy".
  double duration_seconds = 0;
  double wall_seconds = 0;
  bool interrupted = false;
  DeploymentFacts deployment;
  Budget budget;
  Prefill prefill;
  Region region;  ///< region_of(plan), region.hpp.
  Environment environment;
  LedgerTotals ledger;
  bool ledger_complete = false;              ///< The roll call drained; else losses are unknown.
  std::string ledger_unknown_because;        ///< When not complete.
  std::vector<std::string> ledger_findings;  ///< First offenders, one line each.
  Operations operations;                     ///< Of the measured window and the roll call.
  std::map<std::string, Histogram> histograms;
  std::vector<SeriesPoint> series;
  std::vector<std::pair<double, std::string>> marks;  ///< (seconds, what): faults on the axis.
  std::vector<ThresholdOutcome> thresholds;
  ServerFacts server;
  GeneratorFacts generator;       ///< live only
  std::optional<SimFacts> sim;    ///< sim only
  std::uint64_t result_hash = 0;  ///< sim only: of all that no machine or rank may change.
};

/// Neither interrupted nor left by its server or clients.
[[nodiscard]] bool ran_to_its_end(const RunResult& run);

/// Ran to its end, and every send of the plan was made and acknowledged: only then are counters
/// that follow from the plan what it says.
[[nodiscard]] bool ran_whole_plan(const RunResult& run);

using Tags = std::map<std::string, std::string>;

/// Key of a histogram: metric_key("delivery_latency", {{"group","hall"}}) is
/// `delivery_latency{group:hall}`. Values hold no `,` `{` `}`; the scenario's check sees to that.
[[nodiscard]] std::string metric_key(const std::string& metric, const Tags& tags);

/// Splits a key of metric_key into its metric and tags.
[[nodiscard]] std::pair<std::string, Tags> parse_metric_key(const std::string& key);

/// Merges what the run recorded of `metric` where the tags hold `filter`. A producer may record
/// under several sets of tag names (`{group,path}`, `{group}`, none); the smallest set that knows
/// the filter's names is taken, so nothing counts twice. Empty when nothing matches. O(keys).
[[nodiscard]] Histogram select_histogram(const RunResult& run, const std::string& metric,
                                         const Tags& filter = {});

}  // namespace clamor::report
