#include "server/app/users.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {

bool Users::add_channel(UserId user, ChannelId channel) {
  auto& channels = users_[user].channels;
  const auto place = std::lower_bound(channels.begin(), channels.end(), channel);
  if (place != channels.end() && *place == channel) return false;
  channels.insert(place, channel);
  return true;
}

std::span<const ChannelId> Users::channels_of(UserId user) const {
  const auto found = users_.find(user);
  if (found == users_.end()) return {};
  return found->second.channels;
}

bool Users::is_online(UserId user) const {
  const auto found = users_.find(user);
  return found != users_.end() && !found->second.logins.empty();
}

std::optional<SessionPlace> Users::session_of(UserId user, DeviceId device) const {
  const auto found = users_.find(user);
  if (found == users_.end()) return std::nullopt;
  for (const Login& login : found->second.logins) {
    if (login.device == device) return login.place();
  }
  return std::nullopt;
}

std::optional<SessionPlace> Users::login(UserId user, DeviceId device, SessionPlace place) {
  auto& logins = users_[user].logins;
  const auto known = std::find_if(logins.begin(), logins.end(),
                                  [&](const Login& login) { return login.device == device; });
  if (known == logins.end()) {
    logins.push_back({place.ticket, place.node, device});
    return std::nullopt;
  }
  const SessionPlace before = std::exchange(*known, {place.ticket, place.node, device}).place();
  if (before == place) return std::nullopt;
  return before;
}

void Users::logout(UserId user, DeviceId device, SessionPlace place) {
  const auto found = users_.find(user);
  if (found == users_.end()) return;
  erase_if(found->second.logins,
           [&](const Login& login) { return login.device == device && login.place() == place; });
}

void Users::forget(NodeId node) {
  for (auto& [id, user] : users_) {
    erase_if(user.logins, [&](const Login& login) { return login.node == node; });
  }
}

}  // namespace clamor::server
