#pragma once

#include "server/base/hash.hpp"
#include "server/base/id.hpp"
#include "server/core/limits.hpp"
#include "server/core/unread.hpp"

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace clamor::server {

/// How far users have read channels, and which messages mention them: one mark a (channel, user)
/// who sent, joined late or said so, one list where there are mentions. Durable ones only; a fold
/// of log and read cursors. One I/O thread.
class ReadMarks {
 public:
  /// Where everybody begins: the record that created the channel.
  static constexpr core::CountedId at_creation{MessageId{1}, 1};

  /// Moves a mark forward; false where the user has read further already. O(1).
  bool advance(std::uint32_t channel, UserId user, const core::CountedId& to) {
    return core::advance(marks_.try_emplace({channel, user}, at_creation).first->second, to);
  }
  /// O(1).
  [[nodiscard]] core::CountedId of(std::uint32_t channel, UserId user) const {
    const auto found = marks_.find({channel, user});
    return found == marks_.end() ? at_creation : found->second;
  }

  /// A message mentions a member, or protocol::everyone: one list for all. @pre ids ascend. O(1):
  /// of each list the latest core::mentions_counted_max are kept.
  void mention(std::uint32_t channel, UserId user, MessageId id);
  /// The message was deleted: it mentions nobody any more.
  void forget_mention(std::uint32_t channel, UserId user, MessageId id);
  /// Messages of (read, head] that mention the user, mentions_counted_max at most. @pre the user
  /// has read up to `read` or less.
  [[nodiscard]] std::uint32_t mentions(std::uint32_t channel, UserId user, MessageId read,
                                       MessageId head) const;

 private:
  struct Key {
    std::uint32_t channel = 0;
    UserId user;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      return combine64(key.user.value, key.channel);
    }
  };
  using Ids = std::vector<MessageId>;

  std::unordered_map<Key, core::CountedId, Hash> marks_;
  std::unordered_map<Key, Ids, Hash> mentions_;
};

}  // namespace clamor::server
