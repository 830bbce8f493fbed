#include "server/base/assert.hpp"
#include "server/protocol/byte_order.hpp"
#include "server/protocol/codec.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <variant>

namespace clamor::protocol {
namespace {

constexpr std::size_t position_bytes = 20;
constexpr std::size_t page_header_bytes = 14;
constexpr std::size_t unread_bytes = 32;

Writer begin(std::vector<std::byte>& out, MessageType type, std::size_t fields_bytes) {
  Writer writer{out, 1 + fields_bytes};
  writer.put(static_cast<std::uint8_t>(type));
  return writer;
}

/// Whole milliseconds, rounded up so that "retry after" is never too early.
std::uint32_t wire_milliseconds(Duration duration) {
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  constexpr std::int64_t max = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(rounded, 0, max));
}

std::uint32_t wire_count(std::size_t count) {
  CLAMOR_ASSERT(count <= std::numeric_limits<std::uint32_t>::max());
  return static_cast<std::uint32_t>(count);
}

void put_positions(Writer& writer, const std::vector<HeldPosition>& positions) {
  writer.put(wire_count(positions.size()));
  for (const HeldPosition& position : positions) {
    writer.put(position.channel.value)
        .put(position.held.incarnation)
        .put(position.held.message_id.value);
  }
}

void put_users(Writer& writer, const std::vector<UserId>& users) {
  writer.put(wire_count(users.size()));
  for (const UserId user : users) writer.put(user.value);
}

void encode_about(const Send& message, std::vector<std::byte>& out) {
  Writer writer =
      begin(out, MessageType::send_about, 33 + 8 * message.mentions.size() + message.body.size());
  writer.put(static_cast<std::uint8_t>(message.kind))
      .put(message.channel.value)
      .put(message.client_message_id.value)
      .put(message.target.value);
  put_users(writer, message.mentions);
  writer.put(wire_count(message.body.size())).put(message.body);
}

}  // namespace

void encode(const Login& message, std::vector<std::byte>& out) {
  CLAMOR_ASSERT(message.token.size() <= token_bytes_max);
  const std::size_t lists = message.token.size() + position_bytes * message.positions.size();
  Writer writer = begin(out, MessageType::login, 24 + lists);
  writer.put(version)
      .put(message.device.value)
      .put(message.device_incarnation)
      .put(message.queue_position.value)
      .put(static_cast<std::uint16_t>(message.token.size()))
      .put(message.token);
  put_positions(writer, message.positions);
  writer.put(static_cast<std::uint8_t>(message.wants_unread));
}

void encode(const Send& message, std::vector<std::byte>& out) {
  if (message.is_about()) return encode_about(message, out);
  begin(out, MessageType::send, 20 + message.body.size())
      .put(message.channel.value)
      .put(message.client_message_id.value)
      .put(wire_count(message.body.size()))
      .put(message.body);
}

void encode(const DeviceAck& message, std::vector<std::byte>& out) {
  Writer writer =
      begin(out, MessageType::device_ack, 12 + position_bytes * message.positions.size());
  writer.put(message.queue_position.value);
  put_positions(writer, message.positions);
}

void encode(const Heartbeat& /*message*/, std::vector<std::byte>& out) {
  begin(out, MessageType::heartbeat, 0);
}

void encode(const CreateChannel& message, std::vector<std::byte>& out) {
  Writer writer = begin(out, MessageType::create_channel, 12 + 8 * message.members.size());
  writer.put(message.channel.value);
  put_users(writer, message.members);
}

void encode(const Join& message, std::vector<std::byte>& out) {
  begin(out, MessageType::join, 8).put(message.channel.value);
}

void encode(const Leave& message, std::vector<std::byte>& out) {
  begin(out, MessageType::leave, 8).put(message.channel.value);
}

void encode(const NextPage& /*message*/, std::vector<std::byte>& out) {
  begin(out, MessageType::next_page, 0);
}

void encode(const Read& message, std::vector<std::byte>& out) {
  begin(out, MessageType::read, 16).put(message.channel.value).put(message.up_to.value);
}

void encode(const Typing& message, std::vector<std::byte>& out) {
  begin(out, MessageType::typing, 8).put(message.channel.value);
}

void encode(const SubscribePresence& message, std::vector<std::byte>& out) {
  Writer writer = begin(out, MessageType::subscribe_presence, 6 + 8 * message.users.size());
  writer.put(message.partners);
  put_users(writer, message.users);
}

void encode(const UnsubscribePresence& message, std::vector<std::byte>& out) {
  Writer writer = begin(out, MessageType::unsubscribe_presence, 4 + 8 * message.users.size());
  put_users(writer, message.users);
}

void encode(const Authenticate& message, std::vector<std::byte>& out) {
  CLAMOR_ASSERT(message.password.size() <= password_bytes_max);
  begin(out, MessageType::authenticate, 10 + message.password.size())
      .put(message.user.value)
      .put(static_cast<std::uint16_t>(message.password.size()))
      .put(message.password);
}

void encode(const SetAccount& message, std::vector<std::byte>& out) {
  CLAMOR_ASSERT(message.operator_token.size() <= token_bytes_max);
  CLAMOR_ASSERT(message.password.size() <= password_bytes_max);
  begin(out, MessageType::set_account, 12 + message.operator_token.size() + message.password.size())
      .put(static_cast<std::uint16_t>(message.operator_token.size()))
      .put(message.operator_token)
      .put(message.user.value)
      .put(static_cast<std::uint16_t>(message.password.size()))
      .put(message.password);
}

void encode(const LoginAccepted& message, std::vector<std::byte>& out) {
  CLAMOR_ASSERT(message.resume_token.size() <= token_bytes_max);
  begin(out, MessageType::login_accepted, 18 + message.resume_token.size())
      .put(message.user.value)
      .put(message.term.value)
      .put(wire_milliseconds(message.heartbeat_interval))
      .put(static_cast<std::uint16_t>(message.resume_token.size()))
      .put(message.resume_token);
}

void encode(const Ack& message, std::vector<std::byte>& out) {
  begin(out, MessageType::ack, 24)
      .put(message.channel.value)
      .put(message.client_message_id.value)
      .put(message.message_id.value);
}

void encode(const RecordFrame& message, std::vector<std::byte>& out) {
  const core::Record& record = message.record;
  begin(out, MessageType::record, record_header_bytes - 1 + message.body.size())
      .put(core::kind_byte(record))
      .put(record.channel.value)
      .put(record.id.value)
      .put(record.sender.value)
      .put(record.device.value)
      .put(record.device_incarnation)
      .put(record.client_message_id.value)
      .put(static_cast<std::uint64_t>(to_ns(record.accepted_at)))
      .put(wire_count(message.body.size()))
      .put(message.body);
}

void encode(const ChannelChanged& message, std::vector<std::byte>& out) {
  begin(out, MessageType::channel_changed, 16)
      .put(message.channel.value)
      .put(message.message_id.value);
}

void encode(const Refused& message, std::vector<std::byte>& out) {
  const std::string_view detail =
      message.detail.substr(0, std::numeric_limits<std::uint16_t>::max());
  begin(out, MessageType::refused, 32 + detail.size())
      .put(static_cast<std::uint16_t>(message.code))
      .put(wire_milliseconds(message.retry_after))
      .put(message.channel.value)
      .put(message.client_message_id.value)
      .put(message.expected.value)
      .put(static_cast<std::uint16_t>(detail.size()))
      .put(detail);
}

void encode(const Unread& message, std::vector<std::byte>& out) {
  Writer writer = begin(out, MessageType::unread, 4 + unread_bytes * message.channels.size());
  writer.put(wire_count(message.channels.size()));
  for (const UnreadState& state : message.channels) {
    writer.put(state.channel.value)
        .put(state.read.value)
        .put(state.at.value)
        .put(state.unread)
        .put(state.mentions);
  }
}

void encode(const UserTyping& message, std::vector<std::byte>& out) {
  begin(out, MessageType::user_typing, 16).put(message.channel.value).put(message.user.value);
}

void encode(const Presence& message, std::vector<std::byte>& out) {
  Writer writer = begin(out, MessageType::presence, 4 + 13 * message.users.size());
  writer.put(wire_count(message.users.size()));
  for (const PresenceState& state : message.users) {
    writer.put(state.user.value)
        .put(static_cast<std::uint8_t>(state.online ? 1 : 0))
        .put(state.silent_seconds);
  }
}

void encode(const TokenGranted& message, std::vector<std::byte>& out) {
  CLAMOR_ASSERT(message.token.size() <= token_bytes_max);
  begin(out, MessageType::token_granted, 6 + message.token.size())
      .put(static_cast<std::uint16_t>(message.token.size()))
      .put(message.token)
      .put(wire_milliseconds(message.expires_in));
}

void encode(const AccountSet& message, std::vector<std::byte>& out) {
  begin(out, MessageType::account_set, 8).put(message.user.value);
}

void encode(const Page& message, std::vector<std::byte>& out) {
  PageWriter page{out};
  for (const PageItem& item : message.items) {
    std::visit([&page](const auto& alternative) { page.add(alternative); }, item);
  }
  page.finish(message.last, message.queue_position);
}

void encode(const ClientMessage& message, std::vector<std::byte>& out) {
  std::visit([&out](const auto& alternative) { encode(alternative, out); }, message);
}

void encode(const ServerMessage& message, std::vector<std::byte>& out) {
  std::visit([&out](const auto& alternative) { encode(alternative, out); }, message);
}

PageWriter::PageWriter(std::vector<std::byte>& out) : out_{out}, start_{out.size()} {
  out.resize(start_ + page_header_bytes);
  out[start_] = static_cast<std::byte>(MessageType::page);
}

void PageWriter::add(const RecordFrame& item) {
  encode(item, out_);
  ++items_;
}

void PageWriter::add(const IntervalStart& item) {
  begin(out_, MessageType::interval_start, 16).put(item.channel.value).put(item.join.value);
  ++items_;
}

void PageWriter::add(const HistoryTruncated& item) {
  begin(out_, MessageType::history_truncated, 24)
      .put(item.channel.value)
      .put(item.from.value)
      .put(item.to.value);
  ++items_;
}

void PageWriter::add_encoded(Bytes item) {
  CLAMOR_ASSERT(item.size() >= record_header_bytes &&
                item.front() == static_cast<std::byte>(MessageType::record));
  out_.insert(out_.end(), item.begin(), item.end());
  ++items_;
}

void PageWriter::finish(bool last, QueueSequence queue_position) {
  std::byte* const header = out_.data() + start_;
  header[1] = static_cast<std::byte>(last ? 1 : 0);
  store_little(header + 2, queue_position.value);
  store_little(header + 10, items_);
}

}  // namespace clamor::protocol
