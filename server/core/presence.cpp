#include "server/core/presence.hpp"

namespace clamor::core {
namespace {

/// The earliest moment at which an absence that begins now may be told.
Instant told_from(Instant now, Duration delay, const PresencePolicy& policy) {
  return std::max(now + delay, policy.term_began + policy.offline_after);
}

PresenceNews tell(PresenceRow& row, PresenceStatus status) {
  if (row.told == status) return PresenceNews::none;
  const bool first = row.told == PresenceStatus::unknown;
  row.told = status;
  return first ? PresenceNews::first : PresenceNews::change;
}

}  // namespace

PresenceRow begin_presence(bool present, Instant now, const PresencePolicy& policy) {
  PresenceRow row;
  if (present) {
    row.told = PresenceStatus::online;
    row.heard = now;
  } else {
    row.offline_at = told_from(now, policy.offline_delay, policy);
  }
  return row;
}

void stop_watching(PresenceRow& row, Instant now, const PresencePolicy& policy) {
  row.drop_at = now + policy.offline_after;
}

void watch_again(PresenceRow& row) { row.drop_at = Instant::max(); }

PresenceNews came(PresenceRow& row, Instant now) {
  row.offline_at = Instant::max();
  row.heard = std::max(row.heard, now);
  return tell(row, PresenceStatus::online);
}

void left(PresenceRow& row, Instant heard, Instant now, const PresencePolicy& policy) {
  row.heard = std::max(row.heard, heard);
  if (row.told == PresenceStatus::offline) return;
  row.offline_at = told_from(now, policy.offline_delay, policy);
}

void lost(PresenceRow& row, Instant now, const PresencePolicy& policy) {
  if (row.told == PresenceStatus::offline || row.offline_at != Instant::max()) return;
  row.heard = std::max(row.heard, now);
  row.offline_at = told_from(now, policy.offline_after + policy.offline_delay, policy);
}

PresenceLook look(PresenceRow& row, bool present, Instant now) {
  PresenceLook found;
  if (row.offline_at <= now) {
    row.offline_at = Instant::max();
    if (!present) found.offline = tell(row, PresenceStatus::offline);
  }
  found.drop = row.drop_at <= now;
  return found;
}

}  // namespace clamor::core
