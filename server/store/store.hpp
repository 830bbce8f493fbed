#pragma once

#include "server/base/id.hpp"
#include "server/base/queue_design.hpp"
#include "server/base/time.hpp"
#include "server/core/device_positions.hpp"
#include "server/core/limits.hpp"
#include "server/store/commit.hpp"
#include "server/store/fan_out.hpp"
#include "server/store/rows.hpp"

#include <boost/system/result.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::store {

/// When an append counts as durable.
enum class Durability : std::uint8_t {
  fsync,  ///< Survives a power cut.
  os,     ///< Survives the end of the process, kill -9 included; not a power cut.
};

/// Each has a write buffer of its own.
inline constexpr std::size_t column_families = 4;

struct StoreSettings {
  std::string path;  ///< Created where it does not exist.
  Durability durability = Durability::fsync;
  std::uint32_t partitions = 4;  ///< Fixed when the directory is created.
  /// How the queues are laid out, in words. Fixed when the directory is created: entries of
  /// another layout would be missing from the scans.
  std::string layout = "per_user";
  QueuePayload payload = QueuePayload::reference;  ///< Fixed like the layout, and a part of it.
  std::size_t block_cache_bytes = std::size_t{64} << 20U;
  std::size_t write_buffer_bytes = std::size_t{32} << 20U;  ///< Per column family.
  /// Queues do not wait for a device that was silent for longer, in whole seconds.
  Duration device_expires_after = core::device_expires_after;
  /// Unix time less the monotonic clock: the log keeps accepted_at as the former, so that the age
  /// of a record outlives a restart of the machine.
  Duration clock_ahead{};
  /// A user's queues that hold more entries are dropped: the log serves the devices.
  std::uint64_t queue_entries_max = core::queue_entries_max;
};

/// What the disk or RocksDB said. Not a bug and not an expected outcome.
struct Failure {
  std::string what;
};
[[noreturn]] void throw_exception_from_error(const Failure& failure,
                                             const boost::source_location& where);
template <class T>
using Result = boost::system::result<T, Failure>;

/// Thrown by Store::Store: the data directory cannot be used, `what()` says why and what to do.
class OpenError : public std::runtime_error {
  using runtime_error::runtime_error;
};

/// A row of a user's queue.
struct UserQueueRow {
  QueueSequence last;          ///< Place of the row's last entry.
  std::vector<QueueRun> runs;  ///< In queue order.
  RecordBatch copies;          ///< The records of the runs, in order; empty under `reference`.
};

/// A row of the queue of one member of one channel.
struct MemberQueueRow {
  QueueRun run;
  RecordBatch copies;  ///< Its records; empty under `reference`.
};

/// What apply() added to the queues.
struct AppliedEntries {
  std::uint64_t entries = 0;  ///< By entry, not by row.
  std::uint64_t bytes = 0;    ///< By how much the rows of the next flush grew.
};

/// One node's durable state in RocksDB: channel logs, partition journals, sync queues, cursors.
///
/// Appends to log and journal are written ahead (one batch: both or neither). Queues are derived
/// from the journal, so they have no write-ahead log. Entries gather in memory, joined per user
/// and channel, until a flush writes them and the cursors as one; after a kill the cursors say from
/// where to redo. Reads see everything that is applied and may come from any thread; append() from
/// one thread at a time; apply(), take(), trim() and flush_queues() from one.
class Store {
 public:
  /// Opens or creates the directory and reads which rows the queues have: O(rows). Throws
  /// OpenError.
  explicit Store(const StoreSettings& settings);
  /// Flushes what is not on disk yet and closes.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] const StoreSettings& settings() const;
  /// Counts the times the directory was opened: the term of this node's partitions.
  [[nodiscard]] Term term() const;

  // --- log and journal
  /// Makes the commits' records durable in one write batch, with all else that they bring; all or
  /// none. Redacted records stay as stubs. Returns the bytes of their rows.
  [[nodiscard]] Result<std::size_t> append(std::span<const std::shared_ptr<const Commit>> commits);
  /// Whether RocksDB holds writes back, until flushes or compactions have caught up. Any thread.
  [[nodiscard]] bool writes_stopped() const;
  /// Times that append() has synced the log to disk so far.
  [[nodiscard]] std::uint64_t syncs() const;
  /// Appends to `out` records of the channel with ids in (after, up_to], ascending; stops once
  /// `out` holds `records_max` records or its content `bytes_max`, but takes at least one.
  /// @pre up_to is a head, never Interval::open.
  [[nodiscard]] Result<void> scan_log(ChannelId channel, MessageId after, MessageId up_to,
                                      std::size_t records_max, std::size_t bytes_max,
                                      RecordBatch& out) const;
  /// Appends to `out` those of the records that exist, in the order of `ids`. One multi-get.
  [[nodiscard]] Result<void> get_log(ChannelId channel, std::span<const MessageId> ids,
                                     RecordBatch& out) const;
  /// Calls `visit` for every record, by (channel, id). For recovery: a fold of the whole log.
  [[nodiscard]] Result<void> visit_log(
      const std::function<void(const core::Record&, std::span<const std::byte>)>& visit) const;
  /// The edits of a message, ascending, at most `max`.
  [[nodiscard]] Result<std::vector<MessageId>> edits_of(ChannelId channel, MessageId target,
                                                        std::size_t max) const;
  /// How the user's password is stored; empty where there is no account.
  [[nodiscard]] Result<std::string> account(UserId user) const;
  /// Calls `visit` for every read cursor that a commit brought, by (channel, user).
  [[nodiscard]] Result<void> visit_read_cursors(
      const std::function<void(const ReadCursor&)>& visit) const;
  /// Calls `visit` for a partition's journal rows above `after`, ascending, at most `rows_max`.
  [[nodiscard]] Result<void> visit_journal(
      PartitionId partition, JournalSequence after, std::size_t rows_max,
      const std::function<void(const JournalRow&)>& visit) const;
  /// The partition's highest sequence, trimmed ones included; 0 where there was none.
  [[nodiscard]] Result<JournalSequence> journal_end(PartitionId partition) const;
  /// Takes the beginnings of logs away, up to each checkpoint's record, and keeps the checkpoints
  /// in their place: all survives a power cut, or nothing has changed. Reads do not see the records
  /// any more; they leave the disk with compactions. From any thread.
  /// @pre no journal names any of the records, and no channel stands twice.
  [[nodiscard]] Result<void> trim_log(std::span<const Checkpoint> checkpoints);
  /// Up to which record the channel's log is gone; 0: it is whole. From any thread.
  [[nodiscard]] MessageId trimmed(ChannelId channel) const;
  /// The channel's checkpoint; nothing where its log is whole.
  [[nodiscard]] Result<std::optional<Checkpoint>> checkpoint(ChannelId channel) const;
  /// Calls `visit` for every checkpoint, by channel.
  [[nodiscard]] Result<void> visit_checkpoints(
      const std::function<void(const Checkpoint&)>& visit) const;
  /// Bytes that the log takes on disk, trimmed records included that are still there.
  [[nodiscard]] std::uint64_t log_disk_bytes() const;
  /// Rewrites the log without what was trimmed. Blocks for as long as it takes, or until
  /// `cancelled` is set: then what is done is done, and it fails.
  [[nodiscard]] Result<void> compact_log(std::atomic<bool>& cancelled);
  /// Deletes journal rows up to and including `place`.
  [[nodiscard]] Result<void> trim_journal(JournalPlace place);

  // --- queues
  /// Adds the fan-outs' entries to the queues and moves the cursors: all or nothing. Scans see the
  /// entries from now on; a kill undoes them and the cursors, back to the last flush.
  [[nodiscard]] Result<AppliedEntries> apply(std::span<const FanOut> fan_outs);
  /// Makes everything applied survive a kill.
  [[nodiscard]] Result<void> flush_queues();
  /// Applied and not flushed: memory that it takes (bytes), and what a kill makes the next start
  /// redo (entries). For the thread of apply().
  struct Unflushed {
    std::size_t bytes = 0;
    std::uint64_t entries = 0;
  };
  [[nodiscard]] Unflushed unflushed() const;
  /// The journal sequence up to which the partition's queue entries are flushed: where redo begins.
  [[nodiscard]] Result<JournalSequence> cursor(PartitionId partition) const;
  /// Calls `visit` for every channel of every user's list, by user and channel.
  [[nodiscard]] Result<void> visit_user_channels(
      const std::function<void(const UserChannel&)>& visit) const;
  /// Takes what devices hold. Entries that all of a user's live devices hold leave memory at once,
  /// and the disk with the next flush; a kill undoes it. Returns by how much the rows of the next
  /// flush shrink.
  std::size_t take(std::span<const core::DeviceReport> reports);
  struct Trimmed {
    std::uint64_t bytes = 0;  ///< As take() returns.
    std::uint64_t devices_expired = 0;
    std::uint64_t queues_expired = 0;  ///< Users whose queues were beyond their bound.
  };
  /// Takes out what a flush need not write, of users who got entries since the last one: what is
  /// held by now, what waits for devices that were silent for too long, queues that are too long.
  Trimmed trim(std::int64_t now_s);
  /// Place of the user's last queue entry, or the one before the first that there will be.
  [[nodiscard]] Result<QueueSequence> user_queue_end(UserId user) const;
  /// Appends rows of the user's queue that hold entries above `after`, at most `rows_max`, and no
  /// more once they carry `bytes_max` of copies.
  [[nodiscard]] Result<void> scan_user_queue(UserId user, QueueSequence after, std::size_t rows_max,
                                             std::size_t bytes_max,
                                             std::vector<UserQueueRow>& out) const;
  /// Appends rows of the member's queue that hold ids above `after`; bounds as above.
  [[nodiscard]] Result<void> scan_member_queue(ChannelId channel, UserId user, MessageId after,
                                               std::size_t rows_max, std::size_t bytes_max,
                                               std::vector<MemberQueueRow>& out) const;

  /// Flushes everything and waits until no compaction is due: what was written has then cost all
  /// that it will. For measurements; blocks for as long as it takes.
  [[nodiscard]] Result<void> settle();
  /// Closes and opens the directory again after a failed write: what the log then holds is the
  /// truth, and queue entries that were not flushed are forgotten. No other call may be under way.
  /// After a failure every call but reopen() fails.
  [[nodiscard]] Result<void> reopen();
  /// Leaves the directory as a kill of the process would: from here on nothing is written, every
  /// call fails, and the destructor flushes nothing. From any thread; calls under way may finish.
  void abandon();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clamor::store
