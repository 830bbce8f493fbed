#pragma once

#include "server/base/time.hpp"
#include "server/core/deadline_wheel.hpp"
#include "server/core/limits.hpp"

#include <algorithm>
#include <cstdint>

/// Who is there. The owner of a user keeps a row while somebody is told about the user: rows are
/// rebuilt from what nodes announce and are not durable. Sessions are the owner's registry; a row
/// holds what was told of them, and when an absence is looked at again.
///
/// Nobody is told "offline" before a second look: neither at the end of a session nor at the start
/// of a term, when the owner does not know yet who is there. "Online" is told at once.
namespace clamor::core {

enum class PresenceStatus : std::uint8_t {
  unknown,  ///< Nobody was told anything yet.
  offline,
  online,
};

struct PresencePolicy {
  /// So long a node that is away may be without its users being declared offline, and so long none
  /// is after term_began. Rows that nobody is told about are kept so long.
  Duration offline_after = std::chrono::seconds{30};
  /// From the end of a user's last session to the second look.
  Duration offline_delay = presence_offline_delay;
  Instant term_began;  ///< Of the owner.
};

/// `heard` of who was never heard.
inline constexpr Instant never_heard = Instant::min();

struct PresenceRow {
  PresenceStatus told = PresenceStatus::unknown;
  Instant heard = never_heard;  ///< The latest heartbeat of any session that ended or began.
  Instant offline_at = Instant::max();  ///< When an absence is told; max(): there is none to tell.
  Instant drop_at = Instant::max();     ///< max(): somebody is told about the user.
  Instant queued_at = Instant::max();   ///< When the row is looked at next, whatever for.
};

/// What watchers are to be told.
enum class PresenceNews : std::uint8_t {
  none,
  first,   ///< The first they hear of the user.
  change,  ///< Another status than they know.
};

/// Begins a row: somebody wants to be told about a user who has a session, or has none.
[[nodiscard]] PresenceRow begin_presence(bool present, Instant now, const PresencePolicy& policy);
/// Nobody is told about the user any more; or somebody is again.
void stop_watching(PresenceRow& row, Instant now, const PresencePolicy& policy);
void watch_again(PresenceRow& row);

/// A session of the user has begun. Told at once, where it is news.
[[nodiscard]] PresenceNews came(PresenceRow& row, Instant now);
/// The user's last session has ended, by its gateway's word, which heard it last at `heard`.
void left(PresenceRow& row, Instant heard, Instant now, const PresencePolicy& policy);
/// The node of the user's last session cannot be reached: the session has been silent from now on.
void lost(PresenceRow& row, Instant now, const PresencePolicy& policy);

struct PresenceLook {
  PresenceNews offline = PresenceNews::none;
  bool drop = false;  ///< The row has served.
};
/// Looks at a row whose time has come. `present`: the user has a session now.
[[nodiscard]] PresenceLook look(PresenceRow& row, bool present, Instant now);

/// Plans the row's next look. One row has few entries on the wheel: one that is later than the
/// row's next look is not added, and one that an earlier look made stale is passed over by
/// is_due().
template <class Key>
void plan_look(PresenceRow& row, Key key, DeadlineWheel<Key>& wheel, Instant now) {
  const Instant at = std::min(row.offline_at, row.drop_at);
  if (at < row.queued_at) row.queued_at = wheel.add(key, at, now);
}
/// Takes up a visit of the wheel; false: it is stale.
[[nodiscard]] inline bool is_due(PresenceRow& row, Instant now) {
  if (row.queued_at > now) return false;
  row.queued_at = Instant::max();
  return true;
}

}  // namespace clamor::core
