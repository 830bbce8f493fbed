#pragma once

#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::scenario {

using namespace std::chrono_literals;

/// Most users, clients or channels a plan may have: indices have 32 bits, and some room is left.
inline constexpr std::uint32_t population_max = 2'000'000'000;
/// Longest planned message body; the server's frame limit lies above it.
inline constexpr std::uint32_t message_bytes_max = 32 * 1024;

/// Most users whose presence a session asks for: as many as a server takes.
inline constexpr std::uint32_t presence_subscribe_max = 256;

/// A planned absence pattern of a share of the users.
struct Away {
  enum class Kind : std::uint8_t { once, repeating };
  Kind kind = Kind::once;
  double share = 0;     ///< Of all users, in [0, 1]; shares of one scenario sum to at most 1.
  Duration duration{};  ///< `once:` or `for:`.
  Duration within{};    ///< once: leaves at a drawn time in [0, within).
  Duration every{};     ///< repeating: period; the phase is drawn. > duration.
};

struct Population {
  std::uint32_t users = 100;
  std::map<std::uint32_t, double> devices{{1, 1.0}};  ///< Devices a user -> share; sums to 1.
  std::uint32_t contacts = 0;                         ///< Direct channels a user.
  std::map<std::string, double> transports{{"websocket", 1.0}};
  std::vector<Away> away;
  std::uint32_t presence_subscribe = 0;  ///< Direct partners whose presence each session asks for.
  Duration typing{};  ///< So long before a text its sender's typing notice comes; 0: none does.
};

/// A class of groups of one size. `direct` is the reserved name of the contacts' class.
struct GroupClass {
  std::string name;
  std::uint32_t count = 1;
  std::uint32_t members = 2;
  double online = 1.0;  ///< Share of the members that ever connect before the roll call.
};

struct Deployment {
  std::uint32_t cores = 1;
  std::uint32_t clients_per_server = 20000;
  std::uint32_t memory_mib = 192;  ///< Of one server's store.
};

/// How a server's store divides its memory: a third is block cache, the rest write buffers.
struct StoreMemory {
  std::uint64_t block_cache_bytes = 0;
  std::uint64_t write_buffer_bytes = 0;  ///< Of one column family, of which there are four.
};
[[nodiscard]] constexpr StoreMemory store_memory(const Deployment& deployment) {
  const std::uint64_t memory = std::uint64_t{deployment.memory_mib} << 20U;
  return {.block_cache_bytes = memory / 3, .write_buffer_bytes = (memory - memory / 3) / 4};
}

enum class Durability : std::uint8_t { fsync, os };
enum class Arrivals : std::uint8_t { poisson, even };

struct MessageBytes {
  enum class Kind : std::uint8_t { constant, lognormal };
  Kind kind = Kind::constant;
  std::uint32_t constant = 100;
  double median = 0;  ///< lognormal
  double p99 = 0;     ///< lognormal
};

/// What a send is; all but the first are about an earlier message.
enum class SendKind : std::uint8_t { message, reply, reaction, edit, deletion };
inline constexpr std::array<std::string_view, 5> send_kind_names{"message", "reply", "reaction",
                                                                 "edit", "deletion"};

/// Whether somebody writes a text for it.
[[nodiscard]] constexpr bool is_typed(SendKind kind) {
  return kind == SendKind::message || kind == SendKind::reply || kind == SendKind::edit;
}

/// One workload, named as in k6.
struct Workload {
  enum class Executor : std::uint8_t { constant_arrival_rate, trace };
  std::string name;
  Executor executor = Executor::constant_arrival_rate;
  double rate = 0;  ///< Messages per time_unit.
  Duration time_unit = 1s;
  Duration start_time{};
  Duration duration{};
  Arrivals arrivals = Arrivals::poisson;
  std::map<std::string, double> mix;  ///< Group class or "direct" -> share; sums to 1.
  MessageBytes message_bytes;
  /// Shares of the sends, by SendKind; sum to 1. Messages that are no replies are at least half:
  /// each of the others is about one of its own.
  std::array<double, send_kind_names.size()> kinds{1};
  Duration kinds_after = 3s;  ///< How long after its message a send that is about it comes.
  double mentions = 0;        ///< Share of messages, replies too, that mention another member.
  std::string trace_file;     ///< trace: path of the events file, as resolved by the reader.
  double speed = 1;           ///< trace: how many times faster than the events file's times.
  std::uint32_t copies = 1;   ///< trace: channels made of it.
};

struct Heartbeat {
  Duration interval = 5s;
  Duration offline_after = 30s;
  Duration offline_delay = 5s;  ///< Before anybody is told: who is back by then was not away.
};

struct Reconnect {
  Duration base = 500ms;
  Duration cap = 5s;
  bool full_jitter = true;
};

struct Fault {
  enum class Kind : std::uint8_t {
    disconnect,  ///< Clients lose their connections.
    kill         ///< Servers end as by kill -9, and are started again.
  };
  enum class Mode : std::uint8_t { reset, close };
  Kind kind = Kind::disconnect;
  Mode mode = Mode::reset;  ///< disconnect only.
  Duration at{};
  double share = 0;           ///< Of the clients, or of the servers: then of at least one.
  Duration restart_after{};  ///< kill only: from the kill to the start.
};


/// One expression of k6's threshold syntax on one metric, e.g. p(99)<250.
struct Threshold {
  enum class Aggregate : std::uint8_t { count, rate, avg, min, med, max, percentile };
  enum class Comparison : std::uint8_t { lt, le, gt, ge, eq, ne };
  std::string metric;                       ///< delivery_latency, lost, ...
  std::map<std::string, std::string> tags;  ///< Sub-metric filter {tag:value}.
  Aggregate aggregate = Aggregate::percentile;
  double percentile = 99;  ///< percentile only.
  Comparison comparison = Comparison::lt;
  double bound = 0;  ///< Milliseconds for latencies.
  std::string text;  ///< As written.
};

/// One event of a replayed trace; user indices are dense from 0, time starts at 0 and is the
/// replay's own (already divided by the speed). A join while connected is a disconnect and a
/// connect at the same time.
struct TraceEvent {
  enum class Kind : std::uint8_t { send, connect, disconnect };
  Duration at{};
  std::uint32_t user = 0;
  Kind kind = Kind::send;
  std::uint32_t bytes = 0;              ///< send
  std::vector<std::uint32_t> mentions;  ///< send: users
};

/// A scenario with every default filled in; frozen once checked. One with a trace has exactly one
/// workload and one group class: `members` are the trace's users, `count` its copies, and
/// population.users = members * count.
struct Scenario {
  std::string name;
  std::string description;
  std::uint64_t seed = 1;
  Population population;
  std::vector<GroupClass> groups;
  Deployment deployment;
  std::vector<DesignSpec> designs{{QueueDesign::per_user}, {QueueDesign::per_group}};
  Durability durability = Durability::os;
  AckAfter ack_after = AckAfter::log;
  QueuePayload payload = QueuePayload::reference;
  std::vector<Workload> workloads;
  /// Accepted before the measured window, shared out as the workloads' own; 0 with a trace.
  std::uint64_t prefill_messages = 0;
  Heartbeat heartbeat;
  Reconnect reconnect;
  std::vector<Fault> faults;
  double simulate_scale = 1;
  std::vector<Threshold> thresholds;
  std::vector<TraceEvent> trace;               ///< Of the trace workload, ascending in time.
  std::vector<std::uint32_t> trace_connected;  ///< Users connected when the trace begins.
};

/// Whether a workload sends anything but messages about nothing.
[[nodiscard]] bool sends_about(const Scenario& scenario);

/// A scale that makes more users, clients or channels than population_max; what() is for the user.
class ScaleError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Whether the scenario replays a trace.
[[nodiscard]] bool is_trace(const Scenario& scenario);
/// Whether a fault of the scenario ends servers.
[[nodiscard]] bool kills_servers(const Scenario& scenario);

/// The scenario at `scale` times the population: users, the number of groups, rates and the
/// pre-fill grow; group sizes and what one client does stay. Counts round to the nearest, at least
/// 1, and there are always enough users for the largest group. A trace scales by copies.
/// @throws ScaleError beyond population_max, or where a workload makes no message any more.
/// @pre scale > 0.
[[nodiscard]] Scenario scaled(const Scenario& scenario, double scale);

/// How many messages a workload of arrivals makes in its first `elapsed`: a whole number, not
/// bounded by the range of integers. It is a function of the rate alone, under any `arrivals`.
[[nodiscard]] double planned_sends(const Workload& workload, Duration elapsed);

/// When the last workload ends.
[[nodiscard]] Duration measured_duration(const Scenario& scenario);

}  // namespace clamor::scenario
