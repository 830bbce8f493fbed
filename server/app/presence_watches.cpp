#include "server/app/presence_watches.hpp"

#include "server/core/limits.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace clamor::server {

std::size_t PresenceWatches::room(std::uint32_t slot) const {
  const auto found = subscribers_.find(slot);
  const std::size_t taken = found == subscribers_.end() ? 0 : found->second.size();
  return core::presence_subscriptions_max - taken;
}

std::size_t PresenceWatches::waits() const {
  std::size_t unknown = 0;
  for (const auto& [user, index] : index_) unknown += watches_[index].known ? 0 : 1;
  return outbox_.due() + unknown;
}

bool PresenceWatches::subscribe(std::uint32_t slot, UserId self, std::span<const UserId> users) {
  std::vector<UserId> added;
  const auto has = [&](UserId user) {
    const auto watch = index_.find(user);
    if (watch == index_.end()) return false;
    const auto& slots = watches_[watch->second].slots;
    return std::find(slots.begin(), slots.end(), slot) != slots.end();
  };
  for (const UserId user : users) {
    if (user == self || user == UserId{}) continue;
    if (!has(user)) added.push_back(user);
  }
  std::sort(added.begin(), added.end());
  added.erase(std::unique(added.begin(), added.end()), added.end());
  if (added.size() > room(slot)) return false;
  std::vector<UserId> watched;  // For the first time.
  for (const UserId user : added) {
    const auto known = index_.find(user);
    if (known != index_.end() &&
        watches_[known->second].slots.size() >= core::presence_watchers_max) {
      ++node_.incidents.presence_not_watched;
      continue;
    }
    WatchIndex index = 0;
    if (known != index_.end()) {
      index = known->second;
    } else {
      if (free_.empty()) {
        free_.push_back(static_cast<WatchIndex>(watches_.size()));
        watches_.emplace_back();
      }
      index = free_.back();
      free_.pop_back();
      watches_[index].user = user;
      index_.emplace(user, index);
      watched.push_back(user);
    }
    watches_[index].slots.push_back(slot);
    subscribers_[slot].push_back(index);
    if (watches_[index].known) outbox_.add(slot, index);
  }
  send_to_owners<bus::WatchPresence>(watched);
  return true;
}

void PresenceWatches::unsubscribe(std::uint32_t slot, std::span<const UserId> users) {
  const auto found = subscribers_.find(slot);
  if (found == subscribers_.end()) return;
  std::vector<WatchIndex>& subscribed = found->second;
  bus::UnwatchPresence unwatched;
  if (users.empty()) {
    outbox_.remove(slot);
    for (const WatchIndex index : subscribed) remove(slot, index, unwatched);
    subscribed.clear();
  }
  for (const UserId user : users) {
    const auto watch = index_.find(user);
    if (watch == index_.end()) continue;
    const WatchIndex index = watch->second;
    if (std::erase(subscribed, index) == 0) continue;
    outbox_.remove(slot, index);
    remove(slot, index, unwatched);
  }
  if (subscribed.empty()) subscribers_.erase(found);
  send_to_owners<bus::UnwatchPresence>(unwatched.users);
}

void PresenceWatches::remove(std::uint32_t slot, WatchIndex index,
                             bus::UnwatchPresence& unwatched) {
  Watch& watch = watches_[index];
  std::erase(watch.slots, slot);
  if (!watch.slots.empty()) return;
  unwatched.users.push_back(watch.user);
  index_.erase(watch.user);
  watch = {};
  free_.push_back(index);
}

template <class Message>
void PresenceWatches::send_to_owners(std::span<const UserId> users) {
  if (users.empty()) return;
  for (const NodeId node : node_.directory.nodes()) {
    Message message;
    for (const UserId user : users) {
      if (node_.directory.owner(user) == node) message.users.push_back(user);
    }
    if (!message.users.empty()) node_.bus.send(node, std::move(message));
  }
}

void PresenceWatches::take(const bus::PresenceChanged& changed) {
  for (const bus::PresenceChanged::State& state : changed.users) {
    const auto found = index_.find(state.user);
    if (found == index_.end()) continue;
    Watch& watch = watches_[found->second];
    if (changed.term < watch.term) continue;
    const bool news = !watch.known || watch.online != state.online;
    watch.term = changed.term;
    watch.known = true;
    watch.online = state.online;
    watch.was_heard = state.was_heard;
    watch.heard = node_.now - state.silent_for;
    if (!news) continue;
    for (const std::uint32_t slot : watch.slots) outbox_.add(slot, found->second);
  }
}

void PresenceWatches::watch_again(NodeId owner) {
  bus::WatchPresence watched;
  for (const auto& [user, index] : index_) {
    if (node_.directory.owner(user) == owner) watched.users.push_back(user);
  }
  if (!watched.users.empty()) node_.bus.send(owner, std::move(watched));
}

protocol::PresenceState PresenceWatches::state_of(const Watch& watch) const {
  protocol::PresenceState state{.user = watch.user, .online = watch.online};
  if (watch.online) return state;
  state.silent_seconds = protocol::never_heard_seconds;
  if (!watch.was_heard) return state;
  const auto silent = std::chrono::duration_cast<std::chrono::seconds>(node_.now - watch.heard);
  state.silent_seconds = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(silent.count(), 0, protocol::never_heard_seconds - 1));
  return state;
}

}  // namespace clamor::server
