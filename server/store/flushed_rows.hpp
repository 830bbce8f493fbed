#pragma once

#include "server/base/id.hpp"
#include "server/store/queue_buffer.hpp"
#include "server/store/rows.hpp"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace clamor::store {

/// What the queue rows on disk wait for: per user and channel the highest id that a row names. A
/// user's rows go together, once all of it is held; a member's queue goes by itself. Knows nothing
/// of users without rows, so that it stays small where queues are trimmed. Not thread-safe.
class FlushedRows {
 public:
  /// Rows that may be deleted: of the user's own queue up to a place, or of a member's queue.
  struct Doomed {
    UserId user;
    ChannelId channel;         ///< {0}: the user's own queue.
    QueueSequence last_place;  ///< user queue
    MessageId last_id;         ///< member's queue
    bool one_row = false;      ///< There is no other than the one of that place or id.
  };

  /// Adds the rows that the user's entries become: `one_row` a queue, or maybe several.
  void add(const BufferedRuns& user, bool one_row);
  /// Adds a row that was there before a restart.
  void add_user_row(UserId user, QueueSequence last, std::span<const QueueRun> runs);
  void add_member_row(UserId user, const QueueRun& run);

  /// Place of the last entry of the user's own queue, of what is still here; 0: none.
  [[nodiscard]] QueueSequence end(UserId user) const;
  /// Entries in rows of which something is not held yet. O(the user's channels).
  [[nodiscard]] std::uint64_t entries(UserId user) const;
  /// Dooms what is held; `least(channel)` says up to which id. O(the user's channels).
  void trim(UserId user, const HeldIn& least);

  [[nodiscard]] std::vector<Doomed> take_doomed();

 private:
  struct Part {
    ChannelId channel;
    bool per_member = false;
    MessageId last;
    std::uint64_t entries = 0;
    bool one_row = false;  ///< per_member
  };
  struct User {
    QueueSequence end;  ///< 0: no row of its own queue.
    bool one_row = false;
    std::vector<Part> parts;
  };
  static void add(User& user, const QueueRun& run, bool per_member, bool one_row);

  std::unordered_map<UserId, User> users_;
  std::vector<Doomed> doomed_;
};

}  // namespace clamor::store
