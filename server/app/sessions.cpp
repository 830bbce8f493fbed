#include "server/app/sessions.hpp"

#include "server/base/assert.hpp"

#include <algorithm>

namespace clamor::server {

void Sessions::open(gateway::SessionId id) {
  if (id.slot >= sessions_.size()) sessions_.resize(id.slot + std::size_t{1});
  Session& session = sessions_[id.slot];
  CLAMOR_ASSERT(session.phase == Phase::closed);
  session = {.generation = id.generation, .phase = Phase::connected};
}

Session* Sessions::find(gateway::SessionId id) {
  if (id.slot >= sessions_.size()) return nullptr;
  Session& session = sessions_[id.slot];
  if (session.phase == Phase::closed || session.generation != id.generation) return nullptr;
  return &session;
}

void Sessions::end(gateway::SessionId id) {
  Session* const session = find(id);
  if (session == nullptr) return;
  if (user_of(id)) {
    devices_[session->device].session.reset();
    --logged_in_;
  }
  *session = {.generation = id.generation};
}

std::optional<gateway::SessionId> Sessions::login(gateway::SessionId id, UserId user,
                                                  DeviceId device,
                                                  std::uint32_t device_incarnation) {
  Session& session = sessions_[id.slot];
  CLAMOR_ASSERT(session.phase == Phase::connected && session.generation == id.generation);
  session.device = device_index(user, device);
  session.device_incarnation = device_incarnation;
  session.phase = Phase::catching_up;
  if (!devices_[session.device].session) ++logged_in_;
  return std::exchange(devices_[session.device].session, id);
}

std::optional<UserId> Sessions::user_of(gateway::SessionId id) const {
  const DeviceIndex index = sessions_[id.slot].device;
  if (index == no_device || devices_[index].session != id) return std::nullopt;
  return devices_[index].user;
}

std::optional<DeviceIndex> Sessions::find_device(UserId user, DeviceId device) const {
  const auto found = first_device_.find(user);
  if (found == first_device_.end()) return std::nullopt;
  for (DeviceIndex index = found->second;; index = devices_[index].next_of_user) {
    if (devices_[index].id == device) return index;
    if (devices_[index].next_of_user == index) return std::nullopt;
  }
}

DeviceIndex Sessions::device_index(UserId user, DeviceId device) {
  if (const auto known = find_device(user, device)) return *known;
  const auto index = static_cast<DeviceIndex>(devices_.size());
  const auto [first, is_first] = first_device_.try_emplace(user, index);
  const DeviceIndex next = is_first ? index : first->second;
  first->second = index;
  devices_.push_back({.user = user, .id = device, .next_of_user = next});
  return index;
}

}  // namespace clamor::server
