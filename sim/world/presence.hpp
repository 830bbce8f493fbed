#pragma once

#include "server/core/deadline_wheel.hpp"
#include "server/core/limits.hpp"
#include "server/core/presence.hpp"
#include "server/core/presence_outbox.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace clamor::sim {

/// Who is told about whom, in a world whose sessions subscribe: rows by user as their owners keep
/// them, and what each node is to do next. Nothing here is an event or a timer of a client: a node
/// has one event at a time, for looks at rows and for notices alike. About 50 bytes a user.
struct WorldPresence {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  struct Node {
    core::DeadlineWheel<std::uint32_t> looks{core::presence_step};  ///< Of users it owns.
    core::PresenceOutbox outbox;    ///< Of slots that connect to it, and users.
    std::int64_t tell_ns = never;   ///< When the outbox is flushed next.
    std::int64_t event_ns = never;  ///< Of the event that is under way.
  };
  struct Row {
    core::PresenceRow presence;
    std::uint32_t watchers = 0;  ///< Sessions that are told.
    bool kept = false;           ///< The owner has a row.
  };
  /// One status on its way to a client.
  struct Notice {
    std::uint32_t dirty = 0;  ///< Of the turn.
    std::uint32_t user = 0;
    bool online = false;
  };

  WorldPresence(std::size_t users, std::size_t slots, std::size_t node_count)
      : rows(users), subscribed(slots), nodes(node_count) {}

  core::PresencePolicy policy;
  std::uint32_t partners_max = 0;        ///< That a session subscribes to.
  std::vector<Row> rows;                 ///< By user.
  std::vector<std::uint8_t> subscribed;  ///< By slot.
  std::vector<Node> nodes;
  std::vector<Notice> notices;  ///< Of the present turn.
  // Scratch.
  std::vector<std::uint32_t> partners;
  std::vector<std::uint32_t> watching;
};

}  // namespace clamor::sim
