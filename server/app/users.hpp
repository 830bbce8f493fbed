#pragma once

#include "server/base/compact_vector.hpp"
#include "server/base/id.hpp"
#include "server/bus/messages.hpp"

#include <optional>
#include <span>
#include <unordered_map>

namespace clamor::server {

/// A session somewhere: its gateway's node and that one's name of it.
struct SessionPlace {
  NodeId node;
  bus::Ticket ticket;
  bool operator==(const SessionPlace&) const = default;
};

/// What the owner of users knows of them: the channels they are or were in, and where their devices
/// are logged in. One I/O thread.
class Users {
 public:
  /// Adds a channel; false where the user had it.
  bool add_channel(UserId user, ChannelId channel);
  /// By id. Valid until the next call.
  [[nodiscard]] std::span<const ChannelId> channels_of(UserId user) const;

  /// Whether any device of the user is logged in.
  [[nodiscard]] bool is_online(UserId user) const;
  [[nodiscard]] std::optional<SessionPlace> session_of(UserId user, DeviceId device) const;
  /// Enters a device's session. Returns the session that it had, if it is another one.
  std::optional<SessionPlace> login(UserId user, DeviceId device, SessionPlace place);
  /// Nothing where the device has logged in elsewhere since.
  void logout(UserId user, DeviceId device, SessionPlace place);
  /// All sessions of a node are gone.
  void forget(NodeId node);
  /// Calls each(place) for the user's sessions; it must not change them.
  template <class Each>
  void for_each_session(UserId user, Each&& each) const {
    const auto found = users_.find(user);
    if (found == users_.end()) return;
    for (const Login& login : found->second.logins) each(login.place());
  }

  /// Calls each(user, place) for all sessions; it must not change them.
  template <class Each>
  void for_each_login(Each&& each) const {
    for (const auto& [id, user] : users_) {
      for (const Login& login : user.logins) each(id, login.place());
    }
  }

 private:
  /// 16 bytes, where a SessionPlace and the device would take 24.
  struct Login {
    bus::Ticket ticket;
    NodeId node;
    DeviceId device;
    [[nodiscard]] SessionPlace place() const { return {node, ticket}; }
  };
  struct User {
    CompactVector<ChannelId> channels;
    CompactVector<Login> logins;
  };
  std::unordered_map<UserId, User> users_;
};

}  // namespace clamor::server
