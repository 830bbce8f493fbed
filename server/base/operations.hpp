#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace clamor {

/// logical: a function of the plan and the log's order; live and simulated are equal.
/// phase: equal where the plan has quiet points around what the counter depends on.
/// physical: predicted by the cost model, never asserted equal.
enum class CounterClass : std::uint8_t { logical, phase, physical };

/// What a design makes a server do, counted. The same names stand in metrics
/// (`clamor_<name>_total`), results and reports.
struct Operations {
  // logical
  std::uint64_t records = 0;        ///< Records appended to channel logs.
  std::uint64_t queue_entries = 0;  ///< Sync-queue entries, by entry, not by stored row.
  std::uint64_t record_user_partition_pairs = 0;  ///< (record, user partition that holds members).
  std::uint64_t expected_deliveries = 0;  ///< Devices of members at each record, less the sender's.
  std::uint64_t membership_intervals = 0;  ///< Intervals opened by joins.
  // Of the records:
  std::uint64_t edits = 0;      ///< New texts of messages.
  std::uint64_t deletions = 0;  ///< Of messages, whose text leaves the log with them.
  std::uint64_t reactions = 0;  ///< To messages, and those taken back.
  std::uint64_t replies = 0;    ///< Messages about another message.
  std::uint64_t mentions = 0;   ///< (message, user whom it mentions; all members count as one).
  // phase
  std::uint64_t record_node_pairs = 0;    ///< (record, node with interest).
  std::uint64_t live_deliveries = 0;      ///< Records sent to sessions by live fan-out.
  std::uint64_t catch_up_deliveries = 0;  ///< Records sent to sessions in catch-up pages.
  std::uint64_t logins = 0;               ///< Logins accepted.
  std::uint64_t head_comparisons = 0;     ///< Positions compared with heads at logins.
  std::uint64_t queue_scans = 0;          ///< Scans of a user's or member's queue, as planned.
  std::uint64_t log_scans = 0;            ///< Scans of a channel's log, as planned.
  std::uint64_t log_gets = 0;             ///< Records fetched by reference from a queue entry.
  /// (channel, node) registrations: when the first local member of a channel attaches. A node stays
  /// registered while it runs: withdrawal is lazy, so that reconnects need no new registration.
  std::uint64_t interest_updates = 0;
  std::uint64_t presence_changes = 0;  ///< Changes of status told of a user who is watched.
  std::uint64_t presence_notices = 0;  ///< (status of a user, session that was told).
  std::uint64_t mode_records = 0;  ///< Of the records those that are member_mode: adaptive only.
  // physical
  std::uint64_t wakes = 0;  ///< Times an I/O thread had gone to sleep, nothing to do.
  std::uint64_t turns = 0;
  std::uint64_t turn_ns = 0;              ///< Time inside turns.
  std::uint64_t frames_in = 0;            ///< WebSocket messages received.
  std::uint64_t bytes_in = 0;             ///< Their payload bytes.
  std::uint64_t frames_out = 0;           ///< WebSocket messages sent.
  std::uint64_t flushes = 0;              ///< Writes to sockets (writev calls).
  std::uint64_t bytes_out = 0;            ///< Bytes written to sockets.
  std::uint64_t posts = 0;                ///< Hand-offs between threads.
  std::uint64_t write_batches = 0;        ///< Log commits.
  std::uint64_t commit_ns = 0;            ///< Time the committer spends on them, fsync included.
  std::uint64_t syncs = 0;                ///< fsyncs of the log.
  std::uint64_t log_bytes = 0;            ///< Bytes of log and journal rows before compression.
  std::uint64_t queue_batches = 0;        ///< Commits of queue entries.
  std::uint64_t queue_ns = 0;             ///< Time the queue writer spends on them.
  std::uint64_t queue_bytes = 0;          ///< Bytes of queue rows before compression.
  std::uint64_t queue_bytes_trimmed = 0;  ///< Of rows never written: devices held all first.
  std::uint64_t device_acks = 0;          ///< Frames in which devices say what they hold.
  std::uint64_t scan_ns = 0;              ///< Time spent on filling catch-up pages; inside turns.
  std::uint64_t bus_frames = 0;           ///< Messages between nodes.
  std::uint64_t duplicate_sends = 0;      ///< Resends answered with an earlier message_id.
  std::uint64_t tail_hits = 0;            ///< Scans served from the in-memory tail.
  std::uint64_t log_seeks = 0;  ///< Reads of a log for a run of records that entries name.
  /// Of clients, but those that came too soon after another, by the server's clock.
  std::uint64_t typing_notices = 0;
  std::uint64_t typing_deliveries = 0;  ///< Notices sent to sessions.
  // Turned away for load (core/admission.hpp), by class:
  std::uint64_t lossy_shed = 0;        ///< Typing notices and the like that were dropped.
  std::uint64_t logins_refused = 0;    ///< Logins, and handshakes that would have led to one.
  std::uint64_t messages_refused = 0;  ///< Sends and changes of membership.

  void operator+=(const Operations& other);
  bool operator==(const Operations&) const = default;
};

struct OperationCounter {
  std::string_view name;
  CounterClass counter_class;
  std::uint64_t Operations::*member;
};

/// Every counter with its class, in the order of reports. The one list that metrics, results,
/// parity and reports walk.
inline constexpr std::array operation_counters{
    OperationCounter{"records", CounterClass::logical, &Operations::records},
    OperationCounter{"queue_entries", CounterClass::logical, &Operations::queue_entries},
    OperationCounter{"record_user_partition_pairs", CounterClass::logical,
                     &Operations::record_user_partition_pairs},
    OperationCounter{"expected_deliveries", CounterClass::logical,
                     &Operations::expected_deliveries},
    OperationCounter{"membership_intervals", CounterClass::logical,
                     &Operations::membership_intervals},
    OperationCounter{"edits", CounterClass::logical, &Operations::edits},
    OperationCounter{"deletions", CounterClass::logical, &Operations::deletions},
    OperationCounter{"reactions", CounterClass::logical, &Operations::reactions},
    OperationCounter{"replies", CounterClass::logical, &Operations::replies},
    OperationCounter{"mentions", CounterClass::logical, &Operations::mentions},
    OperationCounter{"record_node_pairs", CounterClass::phase, &Operations::record_node_pairs},
    OperationCounter{"live_deliveries", CounterClass::phase, &Operations::live_deliveries},
    OperationCounter{"catch_up_deliveries", CounterClass::phase, &Operations::catch_up_deliveries},
    OperationCounter{"logins", CounterClass::phase, &Operations::logins},
    OperationCounter{"head_comparisons", CounterClass::phase, &Operations::head_comparisons},
    OperationCounter{"queue_scans", CounterClass::phase, &Operations::queue_scans},
    OperationCounter{"log_scans", CounterClass::phase, &Operations::log_scans},
    OperationCounter{"log_gets", CounterClass::phase, &Operations::log_gets},
    OperationCounter{"interest_updates", CounterClass::phase, &Operations::interest_updates},
    OperationCounter{"presence_changes", CounterClass::phase, &Operations::presence_changes},
    OperationCounter{"presence_notices", CounterClass::phase, &Operations::presence_notices},
    OperationCounter{"mode_records", CounterClass::phase, &Operations::mode_records},
    OperationCounter{"wakes", CounterClass::physical, &Operations::wakes},
    OperationCounter{"turns", CounterClass::physical, &Operations::turns},
    OperationCounter{"turn_ns", CounterClass::physical, &Operations::turn_ns},
    OperationCounter{"frames_in", CounterClass::physical, &Operations::frames_in},
    OperationCounter{"bytes_in", CounterClass::physical, &Operations::bytes_in},
    OperationCounter{"frames_out", CounterClass::physical, &Operations::frames_out},
    OperationCounter{"flushes", CounterClass::physical, &Operations::flushes},
    OperationCounter{"bytes_out", CounterClass::physical, &Operations::bytes_out},
    OperationCounter{"posts", CounterClass::physical, &Operations::posts},
    OperationCounter{"write_batches", CounterClass::physical, &Operations::write_batches},
    OperationCounter{"commit_ns", CounterClass::physical, &Operations::commit_ns},
    OperationCounter{"syncs", CounterClass::physical, &Operations::syncs},
    OperationCounter{"log_bytes", CounterClass::physical, &Operations::log_bytes},
    OperationCounter{"queue_batches", CounterClass::physical, &Operations::queue_batches},
    OperationCounter{"queue_ns", CounterClass::physical, &Operations::queue_ns},
    OperationCounter{"queue_bytes", CounterClass::physical, &Operations::queue_bytes},
    OperationCounter{"queue_bytes_trimmed", CounterClass::physical,
                     &Operations::queue_bytes_trimmed},
    OperationCounter{"device_acks", CounterClass::physical, &Operations::device_acks},
    OperationCounter{"scan_ns", CounterClass::physical, &Operations::scan_ns},
    OperationCounter{"bus_frames", CounterClass::physical, &Operations::bus_frames},
    OperationCounter{"duplicate_sends", CounterClass::physical, &Operations::duplicate_sends},
    OperationCounter{"tail_hits", CounterClass::physical, &Operations::tail_hits},
    OperationCounter{"log_seeks", CounterClass::physical, &Operations::log_seeks},
    OperationCounter{"typing_notices", CounterClass::physical, &Operations::typing_notices},
    OperationCounter{"typing_deliveries", CounterClass::physical, &Operations::typing_deliveries},
    OperationCounter{"lossy_shed", CounterClass::physical, &Operations::lossy_shed},
    OperationCounter{"logins_refused", CounterClass::physical, &Operations::logins_refused},
    OperationCounter{"messages_refused", CounterClass::physical, &Operations::messages_refused},
};
static_assert(sizeof(Operations) == operation_counters.size() * sizeof(std::uint64_t),
              "a counter is missing from operation_counters");

inline void Operations::operator+=(const Operations& other) {
  for (const OperationCounter& counter : operation_counters) {
    this->*counter.member += other.*counter.member;
  }
}

[[nodiscard]] constexpr std::string_view name_of(CounterClass c) {
  switch (c) {
    case CounterClass::logical:
      return "logical";
    case CounterClass::phase:
      return "phase";
    case CounterClass::physical:
      return "physical";
  }
  return "?";
}

}  // namespace clamor
