#pragma once

#include "server/base/id.hpp"

#include <cstdint>

namespace clamor::core {

/// How one channel's sync entries are laid out right now: hybrid resolved to one of the others.
/// Under adaptive it is each member's own matter: per_user or per_group.
enum class ChannelDesign : std::uint8_t { per_user, per_member, per_group, adaptive };

/// Head of one channel's log. Owned by the channel's partition. 24 bytes. Where a design can
/// change, its owner also keeps the id of the last design_changed (ChannelSync::queue_from).
struct ChannelHead {
  MessageId head;          ///< Highest id given out; records above durable_head are tentative.
  MessageId durable_head;  ///< Acks, relays, heads and scans stop here.
  std::uint32_t incarnation = 1;
  ChannelDesign design = ChannelDesign::per_user;
};

}  // namespace clamor::core
