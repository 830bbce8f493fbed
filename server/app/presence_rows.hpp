#pragma once

#include "server/app/node_context.hpp"
#include "server/app/users.hpp"
#include "server/bus/messages.hpp"
#include "server/core/deadline_wheel.hpp"
#include "server/core/presence.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace clamor::server {

/// The owner's half of presence: rows of those of its users whom some gateway watches, and of
/// nobody else. They belong to the term of this start; nodes announce anew who is there and whom
/// they watch. One timer for all rows, and none while there is nothing to look at. One I/O thread.
class PresenceRows {
 public:
  /// @pre all outlive it.
  PresenceRows(boost::asio::io_context& io, NodeContext& node, const Users& users);

  void watch(NodeId from, std::span<const UserId> watched);
  void unwatch(NodeId from, std::span<const UserId> unwatched);

  // --- what nodes announce; `users` knows of it already
  /// A session of the user began.
  void came(UserId user);
  /// One ended that was heard so long ago.
  void left(UserId user, Duration silent_for);
  /// A node cannot be reached: neither its sessions nor, for as long, what they watch.
  void on_node_down(NodeId node);

  /// Looks at nothing any more.
  void stop();

  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  /// Users whose absence is to be looked at again. O(rows).
  [[nodiscard]] std::size_t looks() const;

 private:
  struct Row {
    core::PresenceRow presence;
    std::uint64_t watchers = 0;  ///< Bit i: the directory's i-th node.
  };
  [[nodiscard]] core::PresencePolicy policy() const;
  [[nodiscard]] std::uint64_t bit_of(NodeId node) const;
  void take(UserId user, Row& row, core::PresenceNews news);
  [[nodiscard]] bus::PresenceChanged::State state_of(UserId user,
                                                     const core::PresenceRow& row) const;
  void plan(UserId user, Row& row);
  void forget_watcher(UserId user, Row& row, std::uint64_t bit);
  void send_told();
  void arm();
  void look();

  NodeContext& node_;
  const Users& users_;
  const Instant term_began_;
  std::unordered_map<UserId, Row> rows_;
  core::DeadlineWheel<UserId> wheel_{core::presence_step};
  std::vector<std::vector<bus::PresenceChanged::State>> told_;  ///< By the directory's order.
  boost::asio::steady_timer timer_;
  Instant armed_for_ = Instant::max();
  bool stopped_ = false;
};

}  // namespace clamor::server
