#pragma once

#include "server/base/id.hpp"
#include "server/protocol/message.hpp"

#include <boost/system/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace clamor::protocol {

/// First byte of every message and of every page item; PROTOCOL.md has the layouts.
enum class MessageType : std::uint8_t {
  login = 0x01,
  send = 0x02,
  device_ack = 0x03,
  heartbeat = 0x04,
  create_channel = 0x05,
  join = 0x06,
  leave = 0x07,
  next_page = 0x08,
  read = 0x09,
  send_about = 0x0A,
  typing = 0x0B,
  subscribe_presence = 0x0C,
  unsubscribe_presence = 0x0D,
  authenticate = 0x10,
  set_account = 0x11,
  login_accepted = 0x81,
  ack = 0x82,
  record = 0x83,
  page = 0x84,
  channel_changed = 0x85,
  refused = 0x86,
  interval_start = 0x87,     ///< Inside a page only.
  history_truncated = 0x88,  ///< Inside a page only.
  unread = 0x89,
  user_typing = 0x8A,
  presence = 0x8B,
  token_granted = 0x90,
  account_set = 0x91,
};

/// Bytes of an encoded record before its body.
inline constexpr std::size_t record_header_bytes = 54;
/// Largest message a server sends; clients may refuse longer ones.
inline constexpr std::size_t server_message_bytes_max = 1024 * 1024;
/// Longest token that decodes.
inline constexpr std::size_t token_bytes_max = 1024;
/// Longest password that decodes.
inline constexpr std::size_t password_bytes_max = 1024;

/// Append one message to `out`. Exactly one growth of `out`; O(size). Durations travel in whole
/// milliseconds, rounded up and held within 32 bits.
void encode(const Login& message, std::vector<std::byte>& out);
/// A send, or a send_about where it is one.
void encode(const Send& message, std::vector<std::byte>& out);
void encode(const DeviceAck& message, std::vector<std::byte>& out);
void encode(const Heartbeat& message, std::vector<std::byte>& out);
void encode(const CreateChannel& message, std::vector<std::byte>& out);
void encode(const Join& message, std::vector<std::byte>& out);
void encode(const Leave& message, std::vector<std::byte>& out);
void encode(const NextPage& message, std::vector<std::byte>& out);
void encode(const Read& message, std::vector<std::byte>& out);
void encode(const Typing& message, std::vector<std::byte>& out);
void encode(const SubscribePresence& message, std::vector<std::byte>& out);
void encode(const UnsubscribePresence& message, std::vector<std::byte>& out);
void encode(const Authenticate& message, std::vector<std::byte>& out);
void encode(const SetAccount& message, std::vector<std::byte>& out);
void encode(const ClientMessage& message, std::vector<std::byte>& out);

void encode(const LoginAccepted& message, std::vector<std::byte>& out);
void encode(const Ack& message, std::vector<std::byte>& out);
/// The length on the wire is body.size(); record.body_bytes is not looked at.
void encode(const RecordFrame& message, std::vector<std::byte>& out);
void encode(const Page& message, std::vector<std::byte>& out);
void encode(const ChannelChanged& message, std::vector<std::byte>& out);
/// `detail` is cut to 65,535 bytes.
void encode(const Refused& message, std::vector<std::byte>& out);
void encode(const Unread& message, std::vector<std::byte>& out);
void encode(const UserTyping& message, std::vector<std::byte>& out);
void encode(const Presence& message, std::vector<std::byte>& out);
void encode(const TokenGranted& message, std::vector<std::byte>& out);
void encode(const AccountSet& message, std::vector<std::byte>& out);
void encode(const ServerMessage& message, std::vector<std::byte>& out);

/// Builds a page item by item at the end of `out`, so that no vector of items is needed.
/// `out` must outlive it and must not be touched otherwise until finish().
class PageWriter {
 public:
  /// Opens an empty page.
  explicit PageWriter(std::vector<std::byte>& out);
  PageWriter(const PageWriter&) = delete;
  PageWriter& operator=(const PageWriter&) = delete;

  void add(const RecordFrame& item);
  void add(const IntervalStart& item);
  void add(const HistoryTruncated& item);
  /// Appends one item exactly as encode(RecordFrame) made it: encoded once, used in many pages.
  void add_encoded(Bytes item);
  /// Items and bytes so far, for core::page_takes.
  [[nodiscard]] std::uint32_t items() const { return items_; }
  [[nodiscard]] std::size_t bytes() const { return out_.size() - start_; }
  /// Closes the page; it is a complete message from here on.
  void finish(bool last, QueueSequence queue_position);

 private:
  std::vector<std::byte>& out_;
  std::size_t start_;
  std::uint32_t items_ = 0;
};

/// Why bytes are not a message. None of them is recoverable: the sender is broken.
enum class DecodeError : std::uint8_t {
  empty = 1,            ///< No byte at all.
  unknown_type,         ///< The first byte (or an item's) names no message of that direction.
  unsupported_version,  ///< A login of another protocol version.
  truncated,            ///< A field or a counted list runs past the end.
  trailing_bytes,       ///< Bytes after the last field.
  bad_value,            ///< A field holds a value that it never has (record kind, flag, length).
};
/// Its name for metrics and messages, e.g. "trailing_bytes".
[[nodiscard]] std::string_view name_of(DecodeError error);
/// Lets boost::system::result<T, DecodeError>::value() throw; the data path asks instead.
[[noreturn]] void throw_exception_from_error(const DecodeError& error,
                                             const boost::source_location& where);

/// Decodes one message. Text and bodies point into `bytes`; lists are copied. Never reads past the
/// end, never allocates more than a small multiple of bytes.size(). O(size).
[[nodiscard]] boost::system::result<ClientMessage, DecodeError> decode_client(Bytes bytes);
[[nodiscard]] boost::system::result<ServerMessage, DecodeError> decode_server(Bytes bytes);

}  // namespace clamor::protocol
