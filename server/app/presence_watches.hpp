#pragma once

#include "server/app/node_context.hpp"
#include "server/base/id.hpp"
#include "server/bus/messages.hpp"
#include "server/core/presence_outbox.hpp"
#include "server/protocol/message.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace clamor::server {

/// The gateway's half of presence: which sessions are told about which users, what is known of
/// these, and who is still to be told. Holds nothing for a session that did not subscribe. Sessions
/// go by their slots. One I/O thread.
class PresenceWatches {
 public:
  explicit PresenceWatches(NodeContext& node) : node_{node} {}

  /// Nobody ever subscribed, or no more: there is nothing to do for anybody.
  [[nodiscard]] bool empty() const { return subscribers_.empty(); }
  /// So many further users a session may subscribe to.
  [[nodiscard]] std::size_t room(std::uint32_t slot) const;
  /// Adds users to what the session of user `self` is told about, but itself and those it has.
  /// False: they are too many, and none was added. Users whom too many sessions of this gateway
  /// watch are passed over.
  [[nodiscard]] bool subscribe(std::uint32_t slot, UserId self, std::span<const UserId> users);
  /// No users: all.
  void unsubscribe(std::uint32_t slot, std::span<const UserId> users);
  /// The session is over.
  void end(std::uint32_t slot) {
    if (!empty()) unsubscribe(slot, {});
  }

  /// What an owner says.
  void take(const bus::PresenceChanged& changed);
  /// An owner that was away knows of no watcher.
  void watch_again(NodeId owner);

  /// Whether sessions are to be told something that can take it.
  [[nodiscard]] bool is_due() const { return outbox_.is_due(); }
  /// Sessions that are to be told something, and users of whom their owner said nothing yet.
  /// O(users watched).
  [[nodiscard]] std::size_t waits() const;
  /// Calls tell(slot, states) for up to `sessions_max` sessions; false: it could not be told, and
  /// is after resume(). It must not change what is watched.
  template <class Tell>
  void flush(std::size_t sessions_max, const Tell& tell);
  void resume(std::uint32_t slot) {
    if (!empty()) outbox_.resume(slot);
  }

 private:
  using WatchIndex = std::uint32_t;
  struct Watch {
    UserId user;
    Term term;           ///< Of the owner that said the following.
    bool known = false;  ///< It has said something.
    bool online = false;
    bool was_heard = false;
    Instant heard;
    std::vector<std::uint32_t> slots;  ///< Of the sessions that are told. None: the index is free.
  };
  void remove(std::uint32_t slot, WatchIndex index, bus::UnwatchPresence& unwatched);
  template <class Message>
  void send_to_owners(std::span<const UserId> users);
  [[nodiscard]] protocol::PresenceState state_of(const Watch& watch) const;

  NodeContext& node_;
  std::unordered_map<UserId, WatchIndex> index_;
  std::vector<Watch> watches_;
  std::vector<WatchIndex> free_;
  std::unordered_map<std::uint32_t, std::vector<WatchIndex>> subscribers_;  ///< By slot.
  core::PresenceOutbox outbox_;                  ///< Of slots and indices of watches.
  std::vector<protocol::PresenceState> states_;  ///< Scratch of flush().
};

template <class Tell>
void PresenceWatches::flush(std::size_t sessions_max, const Tell& tell) {
  outbox_.flush(sessions_max, [&](std::uint32_t slot, std::span<const WatchIndex> indices) {
    states_.clear();
    for (const WatchIndex index : indices) states_.push_back(state_of(watches_[index]));
    return tell(slot, states_);
  });
}

}  // namespace clamor::server
