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
  design_changed = 5,
  edit = 6,              ///< A new text of a message of the sender's.
  deletion = 7,          ///< Of a message: its body, and its edits', are gone.
  reaction = 8,          ///< To a message.
  reaction_removed = 9,  ///< One that the sender made.
  member_mode = 10,      ///< Under `adaptive`: how members are served from here on.
};
inline constexpr auto last_record_kind = RecordKind::member_mode;

/// A record without its body: what decisions look at.
struct Record {
  ChannelId channel;
  MessageId id;
  RecordKind kind = RecordKind::message;
  bool redacted = false;   ///< A stub: the body is gone, all else stays.
  bool has_about = false;  ///< The body begins with what the record is about (protocol::About).
  std::uint32_t uncountable = 0;  ///< Records of the channel up to this one that are not countable.
  UserId sender;                  ///< {0} for server-made records.
  DeviceId device;                ///< {0} for server-made records.
  std::uint32_t device_incarnation = 0;
  ClientMessageId client_message_id;  ///< {0} for server-made records.
  Instant accepted_at;
  std::uint32_t body_bytes = 0;
};

/// Whether a record is about an earlier message, and is nothing without it.
[[nodiscard]] constexpr bool needs_target(RecordKind kind) {
  return kind >= RecordKind::edit && kind <= RecordKind::reaction_removed;
}
/// Whether a device sends records of the kind; the server makes the others.
[[nodiscard]] constexpr bool is_sent(RecordKind kind) {
  return kind == RecordKind::message || needs_target(kind);
}

/// Whether a record counts as unread.
[[nodiscard]] constexpr bool is_countable(RecordKind kind) { return kind == RecordKind::message; }

/// Kind and marks of a record in a byte, as they are on disk and on the wire.
[[nodiscard]] constexpr std::uint8_t kind_byte(const Record& record) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(record.kind) |
                                   (record.redacted ? 0x80U : 0U) |
                                   (record.has_about ? 0x40U : 0U));
}
/// Sets them; false where the byte is none of kind_byte.
[[nodiscard]] constexpr bool set_kind(Record& record, std::uint8_t byte) {
  const unsigned kind = byte & 0x3FU;
  record.kind = static_cast<RecordKind>(kind);
  record.redacted = (byte & 0x80U) != 0;
  record.has_about = (byte & 0x40U) != 0;
  return kind >= static_cast<unsigned>(RecordKind::message) &&
         kind <= static_cast<unsigned>(last_record_kind);
}

}  // namespace clamor::core
