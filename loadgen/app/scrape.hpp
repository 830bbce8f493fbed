#pragma once

#include "loadgen/net/target.hpp"
#include "server/base/operations.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clamor::loadgen {

/// What a server's /metrics said at one moment.
struct ServerSample {
  Operations operations;
  std::uint64_t fan_out_lag_records = 0;
  std::uint64_t sessions = 0;
  std::uint64_t connections = 0;  ///< Past the WebSocket handshake, logged in or not.
  /// Commits, queue entries, catch-up pages that a node has yet to see to.
  std::uint64_t pending = 0;
  std::uint64_t bus_messages_sent = 0;      ///< To other nodes ...
  std::uint64_t bus_messages_received = 0;  ///< ... and from them.
  /// Absences that are to be looked at again, and sessions that are still to be told.
  std::uint64_t presence_waits = 0;
  std::uint64_t nodes_up = 0;  ///< That one node reaches; the least, of several.
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t block_cache_bytes = 0;    ///< Budget of one node's store.
  std::uint64_t write_buffers_bytes = 0;  ///< As well.
  std::uint64_t process_id = 0;     ///< Several nodes may be one process; of several, their sum.
  std::uint64_t written_bytes = 0;  ///< To devices, by the processes.
  std::string design;               ///< As /metrics has it: per_user, hybrid(500), ...
  std::string durability;
};

/// Reads Prometheus text; metrics that are not there stay 0. Nothing where it is no clamor server.
[[nodiscard]] std::optional<ServerSample> parse_metrics(std::string_view text);

/// Asks the target for /metrics, once, for at most `longest`.
[[nodiscard]] std::optional<ServerSample> scrape(const Target& target, Duration longest);

/// The same for all targets, summed; a process that hosts several of them counts once. Nothing
/// where one does not answer. At most `longest` for all together.
[[nodiscard]] std::optional<ServerSample> scrape(std::span<const Target> targets, Duration longest);

/// Whether the servers had nothing left to do between two samples of all of them, with so many
/// sessions. One sample does not tell: what a node sends after it was asked, another may have heard
/// before it is. Where all have sent no more by the second than they had received by the first,
/// nothing was under way between them.
[[nodiscard]] bool are_at_rest(const ServerSample& earlier, const ServerSample& later,
                               std::uint64_t sessions);

/// What was counted between two samples.
[[nodiscard]] Operations difference(const Operations& later, const Operations& earlier);

}  // namespace clamor::loadgen
