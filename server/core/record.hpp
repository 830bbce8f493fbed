#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"

#include <cstdint>

namespace clamor::core {

/// Kinds of channel records; values are on disk and on the wire.
enum class RecordKind : std::uint8_t {
  message = 1,
  join = 2,
  leave = 3,
  kick = 4,
  design_changed = 5
};

/// A record without its body: what decisions look at.
struct Record {
  ChannelId channel;
  MessageId id;
  RecordKind kind = RecordKind::message;
  std::uint32_t uncountable = 0;  ///< Records of the channel up to this one that are not countable.
  UserId sender;                  ///< {0} for server-made records.
  DeviceId device;                ///< {0} for server-made records.
  std::uint32_t device_incarnation = 0;
  ClientMessageId client_message_id;  ///< {0} for server-made records.
  Instant accepted_at;
  std::uint32_t body_bytes = 0;
};

/// Whether a record counts as unread.
[[nodiscard]] constexpr bool is_countable(RecordKind kind) { return kind == RecordKind::message; }

}  // namespace clamor::core
