#pragma once

#include "server/protocol/message.hpp"

#include <optional>
#include <span>
#include <vector>

namespace clamor::protocol {

/// What a record is about: the beginning of its body. The text follows.
struct About {
  MessageId target;  ///< The message that it edits, deletes, reacts or replies to; 0: none.
  std::vector<UserId> mentions;
  Bytes text;  ///< Points into the body.
};

/// Appends the body of a record that is about something.
void append_about(MessageId target, std::span<const UserId> mentions, Bytes text,
                  std::vector<std::byte>& out);
/// Reads it back; nothing where the bytes are no such body.
[[nodiscard]] std::optional<About> read_about(Bytes body);

}  // namespace clamor::protocol
