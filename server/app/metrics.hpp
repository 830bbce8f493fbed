#pragma once

#include "server/base/operations.hpp"
#include "server/bus/bus.hpp"
#include "server/core/admission.hpp"
#include "server/gateway/counters.hpp"
#include "server/gateway/gateway.hpp"
#include "server/protocol/message.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace clamor::server {

/// What went wrong or was refused, counted by kind. Plain counters of the I/O thread.
struct Incidents {
  static constexpr std::size_t refusal_codes = 27;  ///< RefusalCode values are below it.
  static constexpr std::size_t decode_errors = 7;   ///< protocol::DecodeError values are below it.
  std::array<std::uint64_t, refusal_codes> refused{};
  std::array<std::uint64_t, decode_errors> malformed{};
  std::uint64_t token_logins = 0;    ///< Accepted, by login token.
  std::uint64_t resumed_logins = 0;  ///< Accepted, by resume token.
  std::uint64_t passwords_right = 0;
  std::uint64_t passwords_wrong = 0;  ///< Or of nobody.
  std::uint64_t accounts_set = 0;     ///< Or removed.
  std::uint64_t superseded = 0;
  std::uint64_t catch_up_overflows = 0;  ///< Rounds added since too much came in meanwhile.
  std::uint64_t fell_behind = 0;         ///< Live sessions that went back to catching up.
  std::uint64_t catch_up_failures = 0;   ///< The store could not be read.
  std::uint64_t append_failures = 0;
  std::uint64_t queue_write_failures = 0;
  std::uint64_t rebuilds = 0;
  std::uint64_t fan_out_redone_records = 0;  ///< Journal rows, at the start and by rebuilds.
  std::uint64_t repairs = 0;                 ///< Gaps of live fan-out that were read from a log.
  std::uint64_t devices_expired = 0;         ///< Silent for too long: queues do not wait for them.
  std::uint64_t queues_expired = 0;          ///< Dropped: longer than their bound.
  /// Records that devices lack and can have no more, as catch-ups said.
  std::uint64_t expired_deliveries = 0;
  std::uint64_t log_records_trimmed = 0;  ///< Records that retention let go.
  std::uint64_t log_trims = 0;            ///< Checkpoints of channels written for it.
  std::uint64_t log_trim_failures = 0;    ///< They are tried again.
  std::uint64_t pages = 0;
  std::uint64_t typing_dropped = 0;        ///< Notices too soon after another of the session.
  std::uint64_t presence_put_off = 0;      ///< Notices that a session could not take when due.
  std::uint64_t presence_not_watched = 0;  ///< Subscriptions: too many watch the user already.
  std::uint64_t reads_dropped = 0;  ///< Beyond the rate of requests, or what nodes keep up with.
};

/// Everything that /metrics shows, at one instant.
struct NodeMetrics {
  Operations operations;
  Incidents incidents;
  gateway::GatewayCounters gateway;
  std::string design;
  std::string durability;
  std::uint64_t connections = 0;  ///< Sockets past the handshake.
  std::uint64_t sessions = 0;     ///< Logged in.
  std::uint64_t channels = 0;
  std::uint64_t commits_pending = 0;
  std::uint64_t commit_queue_bytes = 0;
  std::uint64_t fan_out_lag_records = 0;
  std::uint64_t fan_out_lag_entries = 0;   ///< Planned in memory; a run of ids is one.
  std::uint64_t queue_writer_backlog = 0;  ///< Commits whose queue entries are not applied.
  std::uint64_t pages_due = 0;
  std::uint64_t passwords_waiting = 0;      ///< To be hashed.
  double password_seconds = 0;              ///< CPU time of hashing.
  std::uint64_t bus_messages_sent = 0;      ///< To other nodes.
  std::uint64_t bus_messages_received = 0;  ///< From them.
  std::uint64_t presence_rows = 0;          ///< Of users who are watched, or were a while ago.
  std::uint64_t presence_looks = 0;         ///< Absences that are to be looked at again.
  std::uint64_t presence_due = 0;  ///< Sessions that are still to be told, and what they ask for.
  std::uint64_t nodes_up = 0;      ///< Of the deployment, itself among them.
  std::uint64_t block_cache_bytes = 0;
  std::uint64_t write_buffers_bytes = 0;  ///< Of all column families.
  bool store_failed = false;
  gateway::GatewayQueues queues;
  std::uint64_t logins_waiting = 0;      ///< Sessions that no login was accepted of yet.
  std::uint64_t catch_up_held = 0;       ///< Frames that wait for the end of catch-ups,
  std::uint64_t catch_up_held_most = 0;  ///< and of the one with most.
  std::uint64_t acks_held = 0;           ///< Wait for records of their channels.
  std::uint64_t acks_due = 0;            ///< Wait for queue entries (`ack_after: fanout`).
  std::uint64_t send_buckets = 0;        ///< Users who may not send as often as they like,
  std::uint64_t request_buckets = 0;     ///< or ask.
  std::uint64_t bus_inbox_messages = 0;  ///< Of other nodes of this process, not taken yet.
  bus::Backlog bus_backlog;
  core::QueueAge age;  ///< As the last turn began.
  core::AdmissionState admission;
  bool store_writes_stopped = false;
};

/// The metrics in Prometheus' text format, with the process's CPU time and memory.
[[nodiscard]] std::string render_metrics(const NodeMetrics& metrics);

/// CPU time and resident memory of this process.
struct ProcessUsage {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t written_bytes = 0;  ///< Caused to be written to devices; 0 where not told.
};
[[nodiscard]] ProcessUsage process_usage();

}  // namespace clamor::server
