#include "server/app/presence_rows.hpp"

#include "server/host/clock.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace clamor::server {

using core::PresenceNews;
using core::PresenceStatus;

PresenceRows::PresenceRows(boost::asio::io_context& io, NodeContext& node, const Users& users)
    : node_{node},
      users_{users},
      term_began_{monotonic_now()},
      told_(node.directory.nodes().size()),
      timer_{io} {}

core::PresencePolicy PresenceRows::policy() const {
  return {.offline_after = node_.settings.offline_after,
          .offline_delay = node_.settings.offline_delay,
          .term_began = term_began_};
}

std::uint64_t PresenceRows::bit_of(NodeId node) const {
  const auto nodes = node_.directory.nodes();
  return std::uint64_t{1} << static_cast<unsigned>(std::find(nodes.begin(), nodes.end(), node) -
                                                   nodes.begin());
}

// --- who is told ---------------------------------------------------------------------------------

void PresenceRows::watch(NodeId from, std::span<const UserId> watched) {
  bus::PresenceChanged known{.term = node_.term, .users = {}};
  const std::uint64_t bit = bit_of(from);
  for (const UserId user : watched) {
    const auto [found, is_new] = rows_.try_emplace(user);
    Row& row = found->second;
    if (is_new) {
      row.presence = core::begin_presence(users_.is_online(user), node_.now, policy());
    }
    row.watchers |= bit;
    core::watch_again(row.presence);
    plan(user, row);
    if (row.presence.told != PresenceStatus::unknown) {
      known.users.push_back(state_of(user, row.presence));
    }
  }
  arm();
  if (!known.users.empty()) node_.bus.send(from, std::move(known));
}

void PresenceRows::unwatch(NodeId from, std::span<const UserId> unwatched) {
  const std::uint64_t bit = bit_of(from);
  for (const UserId user : unwatched) {
    const auto found = rows_.find(user);
    if (found != rows_.end()) forget_watcher(user, found->second, bit);
  }
  arm();
}

void PresenceRows::forget_watcher(UserId user, Row& row, std::uint64_t bit) {
  if ((row.watchers & bit) == 0) return;
  row.watchers &= ~bit;
  if (row.watchers != 0) return;
  core::stop_watching(row.presence, node_.now, policy());
  plan(user, row);
}

// --- who is there --------------------------------------------------------------------------------

void PresenceRows::came(UserId user) {
  const auto found = rows_.find(user);
  if (found == rows_.end()) return;
  take(user, found->second, core::came(found->second.presence, node_.now));
  send_told();
}

void PresenceRows::left(UserId user, Duration silent_for) {
  const auto found = rows_.find(user);
  if (found == rows_.end() || users_.is_online(user)) return;
  Row& row = found->second;
  core::left(row.presence, node_.now - silent_for, node_.now, policy());
  plan(user, row);
  arm();
}

void PresenceRows::on_node_down(NodeId node) {
  const std::uint64_t bit = bit_of(node);
  for (auto& [user, row] : rows_) {
    forget_watcher(user, row, bit);
    if (row.presence.told != PresenceStatus::online || users_.is_online(user)) continue;
    core::lost(row.presence, node_.now, policy());
    plan(user, row);
  }
  arm();
}

void PresenceRows::take(UserId user, Row& row, PresenceNews news) {
  if (news == PresenceNews::none || row.watchers == 0) return;
  if (news == PresenceNews::change) ++node_.operations.presence_changes;
  for (std::size_t i = 0; i < told_.size(); ++i) {
    if ((row.watchers >> i & 1U) != 0) told_[i].push_back(state_of(user, row.presence));
  }
}

bus::PresenceChanged::State PresenceRows::state_of(UserId user,
                                                   const core::PresenceRow& row) const {
  const bool was_heard = row.heard != core::never_heard;
  return {.user = user,
          .online = row.told == PresenceStatus::online,
          .was_heard = was_heard,
          .silent_for = was_heard ? node_.now - row.heard : Duration{}};
}

void PresenceRows::send_told() {
  const auto nodes = node_.directory.nodes();
  for (std::size_t i = 0; i < told_.size(); ++i) {
    if (told_[i].empty()) continue;
    node_.bus.send(nodes[i], bus::PresenceChanged{node_.term, std::exchange(told_[i], {})});
  }
}

// --- second looks --------------------------------------------------------------------------------

void PresenceRows::plan(UserId user, Row& row) {
  core::plan_look(row.presence, user, wheel_, node_.now);
}

void PresenceRows::arm() {
  const auto next = wheel_.next();
  if (!next || *next >= armed_for_ || stopped_) return;
  armed_for_ = *next;
  timer_.expires_at(std::chrono::steady_clock::time_point{std::chrono::nanoseconds{to_ns(*next)}});
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;  // A wait that is over is beyond cancel().
    node_.begin_turn();
    look();
  });
}

void PresenceRows::look() {
  armed_for_ = Instant::max();
  wheel_.advance(node_.now, [this](UserId user) {
    const auto found = rows_.find(user);
    if (found == rows_.end()) return;
    Row& row = found->second;
    if (!core::is_due(row.presence, node_.now)) return;
    const core::PresenceLook seen = core::look(row.presence, users_.is_online(user), node_.now);
    take(user, row, seen.offline);
    if (!seen.drop) return plan(user, row);
    rows_.erase(found);
  });
  send_told();
  arm();
}

std::size_t PresenceRows::looks() const {
  return static_cast<std::size_t>(std::count_if(rows_.begin(), rows_.end(), [](const auto& row) {
    return row.second.presence.offline_at != Instant::max();
  }));
}

void PresenceRows::stop() {
  stopped_ = true;
  timer_.cancel();
}

}  // namespace clamor::server
