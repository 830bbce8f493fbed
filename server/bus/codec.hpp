#pragma once

#include "server/bus/messages.hpp"
#include "server/protocol/codec.hpp"

#include <boost/system/result.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

/// Bytes of messages that go to another process. A message is its number in `Message` and then its
/// fields in the order of its struct: messages.hpp is the layout, and a new message or field needs
/// no line here. Unsigned numbers are varints, signed ones zig-zag varints; lists and texts stand
/// behind their length. Of a shared commit only the records go that the message names, without
/// their places in the journal.
///
/// Both ends run the same version: links are refused where `wire_version` differs.
namespace clamor::bus {

/// Changes with every change of messages.hpp, and of the structs that it is made of.
inline constexpr std::uint8_t wire_version = 2;

/// Appends one message to a parcel. O(size).
void encode(const Message& message, std::vector<std::byte>& parcel);

/// Decodes a parcel: messages up to its end. Strict: flags, enums, numbers and lists' lengths are
/// checked, and indices between a message's own lists; no partition is beyond `partitions`. Never
/// reads past the end, never allocates more than a small multiple of the parcel. O(size).
[[nodiscard]] boost::system::result<std::vector<Message>, protocol::DecodeError> decode(
    protocol::Bytes parcel, std::uint32_t partitions);

}  // namespace clamor::bus
