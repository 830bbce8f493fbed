#pragma once

#include "server/app/catch_up.hpp"
#include "server/app/live_channels.hpp"
#include "server/base/compact_vector.hpp"
#include "server/base/id.hpp"
#include "server/gateway/gateway.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace clamor::server {

/// Place of a device in Sessions, dense from 0; stays the same while the process lives.
using DeviceIndex = std::uint32_t;

enum class Phase : std::uint8_t {
  closed,       ///< The slot is free.
  connected,    ///< No login yet.
  catching_up,  ///< Pages are on their way; live records wait in its catch-up's buffer.
  live,
  closing  ///< Told to close: what it still sends is not looked at.
};

inline constexpr DeviceIndex no_device = 0xFFFFFFFFU;

/// What the node knows of one session, at the gateway's slot. 48 bytes when live, and 4 a channel.
struct Session {
  std::uint32_t generation = 0;
  Phase phase = Phase::closed;
  bool wants_unread = false;
  bool leaving = false;         ///< The server is taken down: closed with the next slice.
  bool awaits_account = false;  ///< Connected: a password or an account of it is being looked at.
  std::uint32_t device_incarnation = 0;
  DeviceIndex device = no_device;
  QueueSequence queue_position;       ///< When live: of its last page.
  Instant may_type_at;                ///< Typing notices before are dropped.
  std::unique_ptr<CatchUp> catch_up;  ///< While catching up.
  CompactVector<LiveIndex> channels;  ///< Whose live records it gets.
};

/// One device of one user, known since its first login.
struct Device {
  UserId user;
  DeviceId id;
  std::optional<gateway::SessionId> session;  ///< While it is logged in.
  DeviceIndex next_of_user = 0;               ///< Another device of the user; itself: the last.
};

/// The sessions of a node's gateway, and the devices that they belong to. One I/O thread.
class Sessions {
 public:
  // --- sessions
  void open(gateway::SessionId id);
  /// The session, or nullptr where it has ended.
  [[nodiscard]] Session* find(gateway::SessionId id);
  /// The session at a slot that is in use.
  [[nodiscard]] Session& at(std::uint32_t slot) { return sessions_[slot]; }
  [[nodiscard]] const Session& at(std::uint32_t slot) const { return sessions_[slot]; }
  /// Slots, those in use among them, are below it.
  [[nodiscard]] std::uint32_t slots() const { return static_cast<std::uint32_t>(sessions_.size()); }
  [[nodiscard]] gateway::SessionId id_at(std::uint32_t slot) const {
    return {slot, sessions_[slot].generation};
  }
  /// Frees the slot. @pre it gets no channel's records.
  void end(gateway::SessionId id);

  // --- devices
  /// Ties a device to a connected session. Returns the device's session so far: superseded now.
  std::optional<gateway::SessionId> login(gateway::SessionId id, UserId user, DeviceId device,
                                          std::uint32_t device_incarnation);
  [[nodiscard]] bool has_device(DeviceIndex index) const { return index < devices_.size(); }
  [[nodiscard]] const Device& device(DeviceIndex index) const { return devices_[index]; }
  /// The user whose device the session is, while no newer login superseded it.
  [[nodiscard]] std::optional<UserId> user_of(gateway::SessionId id) const;
  /// The device, if it logged in since the process began.
  [[nodiscard]] std::optional<DeviceIndex> find_device(UserId user, DeviceId device) const;
  /// Calls each(id) for the user's logged-in sessions.
  template <class Each>
  void for_each_session_of(UserId user, Each&& each) const {
    const auto found = first_device_.find(user);
    if (found == first_device_.end()) return;
    for (DeviceIndex index = found->second;; index = devices_[index].next_of_user) {
      if (devices_[index].session) each(*devices_[index].session);
      if (devices_[index].next_of_user == index) return;
    }
  }

  /// Calls each(id) for all logged-in sessions.
  template <class Each>
  void for_each_logged_in(Each&& each) const {
    for (const Device& device : devices_) {
      if (device.session) each(*device.session);
    }
  }

  [[nodiscard]] std::size_t logged_in() const { return logged_in_; }

 private:
  [[nodiscard]] DeviceIndex device_index(UserId user, DeviceId device);

  std::vector<Session> sessions_;  ///< By slot.
  std::vector<Device> devices_;
  std::unordered_map<UserId, DeviceIndex> first_device_;
  std::size_t logged_in_ = 0;
};

}  // namespace clamor::server
