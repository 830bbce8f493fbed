#pragma once

#include "server/base/id.hpp"
#include "server/base/queue_design.hpp"
#include "server/core/limits.hpp"
#include "server/store/commit.hpp"
#include "server/store/rows.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace clamor::store {

/// Records that copying queue rows are made of, each held once however many queues name it.
class HeldRecords {
 public:
  struct Place {
    const Commit* commit = nullptr;
    std::size_t index = 0;
  };
  /// @pre per channel, ids come in order.
  void add(const std::shared_ptr<const Commit>& commit);
  [[nodiscard]] std::optional<Place> find(ChannelId channel, MessageId id) const;
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Held {
    MessageId id;
    std::size_t commit = 0;
    std::size_t index = 0;
  };
  std::vector<std::shared_ptr<const Commit>> commits_;
  std::unordered_map<ChannelId, std::vector<Held>> by_channel_;
  std::size_t bytes_ = 0;
};

/// Up to which id of a channel nobody needs a queue's entries any more.
using HeldIn = std::function<MessageId(ChannelId)>;

/// Entries of one user's queues since the last flush.
struct BufferedRuns {
  /// 24 bytes, where a QueueRun and a flag would take 32.
  struct Run {
    ChannelId channel;
    MessageId first;
    std::uint32_t count = 0;
    bool per_member = false;
    [[nodiscard]] QueueRun run() const { return {channel, first, count}; }
    [[nodiscard]] MessageId last() const { return first + (count - 1); }
  };
  static_assert(sizeof(Run) == core::queue_run_memory_bytes);
  UserId user;
  QueueSequence end;      ///< Place of the user queue's last entry; there may be none left here.
  std::vector<Run> runs;  ///< Within a channel in id order; what is held is left out.
  // The buffer's own.
  bool listed = false;   ///< Among the users with entries.
  bool has_row = false;  ///< The key of a row of the user's own queue is counted.

  [[nodiscard]] std::uint64_t entries() const;
};

/// Queue entries that are applied and not yet in RocksDB: a write buffer that knows what it holds.
///
/// An entry that continues its channel's latest run costs no memory, so a flush writes a row a user
/// and not one a user and commit. Under `copy` only the very last run is continued: rows are cut by
/// size, and a place in the queue must keep its meaning. Not thread-safe.
class QueueBuffer {
 public:
  explicit QueueBuffer(QueuePayload payload) : payload_{payload} {}
  QueueBuffer(QueueBuffer&&) = default;
  QueueBuffer& operator=(QueueBuffer&&) = default;

  /// Whether the end of the user's queue is known; if not, set it before the first add().
  [[nodiscard]] bool knows(UserId user) const { return users_.contains(user); }
  void set_end(UserId user, QueueSequence end);
  /// Appends entries. Returns by how much the rows of the next flush grow. O(1) for a user of few
  /// active channels. @pre knows(user), and under copy hold() has their records.
  std::size_t add(UserId user, const QueueRun& run, bool per_member);
  /// Drops entries that nobody needs any more. Returns by how much the rows of the next flush
  /// shrink. What stays keeps its order; in the user's own queue it may move to a later place.
  /// O(the user's runs).
  std::size_t trim(UserId user, const HeldIn& least);
  /// Users that had entries since the last flush.
  [[nodiscard]] std::vector<UserId> users() const;
  /// Keeps a commit's records for the entries that name them. @pre payload is copy
  void hold(const std::shared_ptr<const Commit>& commit) { records_.add(commit); }

  /// The user's entries, or nullptr where nothing is known of the user. Valid until the next call.
  [[nodiscard]] const BufferedRuns* find(UserId user) const;
  [[nodiscard]] const HeldRecords& records() const { return records_; }
  /// Memory that the entries take, or the rows that they become, whichever is more.
  [[nodiscard]] std::size_t bytes() const;
  /// All that were added since the last flush.
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

  /// What a flush is about to write; scans still look at it.
  struct Frozen {
    std::vector<BufferedRuns> users;  ///< By user.
    HeldRecords records;
    [[nodiscard]] const BufferedRuns* find(UserId user) const;
  };
  /// Moves all entries out; the ends of queues stay known.
  [[nodiscard]] Frozen freeze();

 private:
  /// What a run of references, or the copies of a run, take in rows, keys of user queues apart.
  [[nodiscard]] std::size_t row_bytes_of(const BufferedRuns::Run& run) const;

  QueuePayload payload_;
  std::unordered_map<UserId, BufferedRuns> users_;
  std::vector<BufferedRuns*> dirty_;  ///< Those that got runs. Elements of users_ do not move.
  HeldRecords records_;
  std::size_t run_count_ = 0;
  std::size_t row_bytes_ = 0;
  std::uint64_t entries_ = 0;
};

/// Calls write(key, value) for the rows that the user's entries become.
void for_each_row(const BufferedRuns& user, const HeldRecords& records, QueuePayload payload,
                  const std::function<void(std::string_view key, std::string_view value)>& write);

}  // namespace clamor::store
