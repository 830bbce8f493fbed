#include "sim/world/wire_sizes.hpp"
#include "sim/world/world.hpp"

#include <algorithm>
#include <span>

// Who is there: what sessions subscribe to, second looks, and notices.
namespace clamor::sim {

void World::begin_presence() {
  const scenario::Scenario& scenario = plan_.scenario();
  if (scenario.population.presence_subscribe == 0) return;
  presence_ = std::make_unique<WorldPresence>(plan_.users(), topology_.slots(), topology_.nodes());
  presence_->partners_max = scenario.population.presence_subscribe;
  // The servers have been there for long when the window opens.
  presence_->policy = {.offline_after = scenario.heartbeat.offline_after,
                       .offline_delay = scenario.heartbeat.offline_delay,
                       .term_began = Instant{-scenario.heartbeat.offline_after}};
}

/// When the window opens everybody who is told about a user knows how things stand.
void World::settle_presence() {
  if (presence_ == nullptr) return;
  for (std::uint32_t user = 0; user < plan_.users(); ++user) {
    WorldPresence::Row& row = presence_->rows[user];
    if (row.watchers == 0) continue;
    row.kept = true;
    row.presence.told =
        is_present(user) ? core::PresenceStatus::online : core::PresenceStatus::offline;
  }
}

bool World::is_present(std::uint32_t user) const {
  const std::uint32_t first = topology_.slot_of(user);  // Its client of the same number.
  for (std::uint32_t slot = first; slot < first + topology_.devices_at(first); ++slot) {
    if (sessions_[slot].attached != none) return true;
  }
  return false;
}

/// The other members of the channels of two that the user of the slot is in: the first `most`, by
/// channel, each once.
void World::partners_of(std::uint32_t slot, std::size_t most,
                        std::vector<std::uint32_t>& out) const {
  out.clear();
  const std::uint32_t user = topology_.user_of(slot);
  for (const std::uint32_t channel : topology_.channels_of(slot)) {
    if (out.size() == most) return;
    const auto members = topology_.members_of(channel);
    if (members.size() != 2) continue;
    const std::uint32_t first = topology_.user_of(members[0]);
    const std::uint32_t partner = first == user ? topology_.user_of(members[1]) : first;
    if (std::find(out.begin(), out.end(), partner) == out.end()) out.push_back(partner);
  }
}

void World::subscribe_presence(std::uint32_t slot) {
  if (presence_ == nullptr || presence_->subscribed[slot] != 0) return;
  presence_->subscribed[slot] = 1;
  partners_of(slot, presence_->partners_max, presence_->partners);
  const Instant now = instant_from_ns(now_ns_);
  for (const std::uint32_t user : presence_->partners) {
    WorldPresence::Row& row = presence_->rows[user];
    ++row.watchers;
    if (!started_) continue;  // settle_presence() follows.
    if (!row.kept) {
      row.kept = true;
      row.presence = core::begin_presence(is_present(user), now, presence_->policy);
    } else if (row.watchers == 1) {
      core::watch_again(row.presence);
    }
    plan_look(user);
    if (row.presence.told != core::PresenceStatus::unknown) notify(slot, user);
  }
  if (started_) computed_frame(topology_.node_of(slot), wire::subscribe_presence_payload, now_ns_);
}

void World::unsubscribe_presence(std::uint32_t slot) {
  if (presence_ == nullptr || presence_->subscribed[slot] == 0) return;
  presence_->subscribed[slot] = 0;
  presence_->nodes[topology_.node_of(slot)].outbox.remove(slot);
  partners_of(slot, presence_->partners_max, presence_->partners);
  for (const std::uint32_t user : presence_->partners) {
    WorldPresence::Row& row = presence_->rows[user];
    if (--row.watchers != 0) continue;
    core::stop_watching(row.presence, instant_from_ns(now_ns_), presence_->policy);
    plan_look(user);
  }
}

void World::presence_came(std::uint32_t slot) {
  if (presence_ == nullptr) return;
  const std::uint32_t user = topology_.user_of(slot);
  WorldPresence::Row& row = presence_->rows[user];
  if (row.kept) tell_presence(user, core::came(row.presence, instant_from_ns(now_ns_)));
}

void World::presence_left(std::uint32_t slot) {
  unsubscribe_presence(slot);
  if (presence_ == nullptr) return;
  const std::uint32_t user = topology_.user_of(slot);
  WorldPresence::Row& row = presence_->rows[user];
  if (!row.kept || is_present(user)) return;
  const Instant now = instant_from_ns(now_ns_);
  core::left(row.presence, now, now, presence_->policy);
  plan_look(user);
}

/// The owner tells the gateways of those who are told about the user.
void World::tell_presence(std::uint32_t user, core::PresenceNews news) {
  if (news == core::PresenceNews::none || presence_->rows[user].watchers == 0) return;
  if (news == core::PresenceNews::change) ++operations_.presence_changes;
  const std::uint32_t own = topology_.slot_of(user);
  partners_of(own, std::numeric_limits<std::size_t>::max(), presence_->partners);
  for (const std::uint32_t partner : presence_->partners) {
    const std::uint32_t first = topology_.slot_of(partner);
    bool watches = false;
    for (std::uint32_t slot = first; slot < first + topology_.devices_at(first); ++slot) {
      if (presence_->subscribed[slot] == 0) continue;
      if (!watches) {  // So are the partner's other devices.
        partners_of(first, presence_->partners_max, presence_->watching);
        const auto& watching = presence_->watching;
        if (std::find(watching.begin(), watching.end(), user) == watching.end()) break;
        watches = true;
        operations_.bus_frames += topology_.queue_node_of(own) == topology_.node_of(first) ? 0 : 1;
      }
      notify(slot, user);
    }
  }
}

void World::notify(std::uint32_t slot, std::uint32_t user) {
  const std::uint32_t node = topology_.node_of(slot);
  WorldPresence::Node& here = presence_->nodes[node];
  here.outbox.add(slot, user);
  if (here.tell_ns == never) here.tell_ns = now_ns_ + to_ns(core::presence_step);
  schedule_presence(node);
}

void World::plan_look(std::uint32_t user) {
  const std::uint32_t node = topology_.queue_node_of(topology_.slot_of(user));
  core::plan_look(presence_->rows[user].presence, user, presence_->nodes[node].looks,
                  instant_from_ns(now_ns_));
  schedule_presence(node);
}

/// One event a node: for what comes first.
void World::schedule_presence(std::uint32_t node) {
  WorldPresence::Node& here = presence_->nodes[node];
  const auto look = here.looks.next();
  const std::int64_t at_ns = std::max(std::min(here.tell_ns, look ? to_ns(*look) : never), now_ns_);
  if (at_ns >= here.event_ns) return;
  here.event_ns = at_ns;
  push(at_ns, EventKind::presence_step, node);
}

bool World::stale_presence(const Event& event) const {
  const std::uint32_t node = event.id & ((1U << index_bits) - 1);
  return presence_ == nullptr || presence_->nodes[node].event_ns != event.time_ns;
}

/// In a turn of the node: rows whose time has come, and what is due to its sessions.
void World::presence_turn(std::uint32_t node) {
  if (presence_ == nullptr) return;  // The window has ended meanwhile.
  WorldPresence::Node& here = presence_->nodes[node];
  const Instant now = instant_from_ns(now_ns_);
  turn_.posts(1);
  here.looks.advance(now, [&](std::uint32_t user) {
    WorldPresence::Row& row = presence_->rows[user];
    if (!row.kept || !core::is_due(row.presence, now)) return;
    const core::PresenceLook seen = core::look(row.presence, is_present(user), now);
    tell_presence(user, seen.offline);
    if (seen.drop) {
      row.kept = false;
    } else {
      plan_look(user);
    }
  });
  if (here.tell_ns <= now_ns_) {
    here.outbox.flush(core::presence_sessions_per_step,
                      [&](std::uint32_t slot, std::span<const std::uint32_t> users) {
                        tell_session(slot, users);
                        return true;
                      });
    here.tell_ns = here.outbox.is_due() ? now_ns_ + to_ns(core::presence_step) : never;
  }
  schedule_presence(node);
}

void World::tell_session(std::uint32_t slot, std::span<const std::uint32_t> users) {
  const auto count = static_cast<std::uint32_t>(users.size());
  const std::uint32_t dirty = turn_.send(slot, wire::presence(count));
  ++operations_.frames_out;
  operations_.presence_notices += count;
  for (const std::uint32_t user : users) {
    const bool online = presence_->rows[user].presence.told == core::PresenceStatus::online;
    presence_->notices.push_back({dirty, user, online});
  }
}

/// The turn's notices reach the clients: how long it took to tell them of planned absences.
void World::complete_notices() {
  if (presence_ == nullptr || presence_->notices.empty()) return;
  for (const WorldPresence::Notice& notice : presence_->notices) {
    const Turn::Dirty& to = turn_.dirty()[notice.dirty];
    const std::int64_t at_ns = to.completed_ns + client_delay_ns_;
    if (notice.online || at_ns >= sessions_[to.session].cut_ns) continue;
    const std::uint32_t own = topology_.slot_of(notice.user);
    // One that the session found when it came is no news.
    const bool is_news =
        away_[own] != 0 && away_from_ns_[own] > 0 && away_from_ns_[own] > opened_ns_[to.session];
    if (is_news) metrics_.offline_told(at_ns - away_from_ns_[own]);
  }
  presence_->notices.clear();
}

/// In the roll call nobody is told anything.
void World::end_presence() { presence_.reset(); }

}  // namespace clamor::sim
