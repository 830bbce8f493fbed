#include "server/protocol/byte_order.hpp"
#include "server/protocol/codec.hpp"

#include <boost/throw_exception.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace clamor::protocol {
namespace {

using boost::system::result;

/// Reads fields in order. The first failure sticks and empties the rest, so that a decoder may
/// read on and ask once at its end; values read after a failure are 0 or empty.
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_{bytes} {}

  template <std::unsigned_integral T>
  [[nodiscard]] T get() {
    if (rest_.size() < sizeof(T)) {
      fail(DecodeError::truncated);
      return 0;
    }
    const T value = load_little<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }

  [[nodiscard]] Bytes get_bytes(std::size_t size) {
    if (rest_.size() < size) {
      fail(DecodeError::truncated);
      return {};
    }
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  [[nodiscard]] std::string_view get_text(std::size_t size) {
    const Bytes taken = get_bytes(size);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  /// A 32-bit count of items of at least `item_bytes` each: one that the rest cannot hold is
  /// refused before anything is reserved for it.
  [[nodiscard]] std::uint32_t get_count(std::size_t item_bytes) {
    const auto count = get<std::uint32_t>();
    if (count > rest_.size() / item_bytes) {
      fail(DecodeError::truncated);
      return 0;
    }
    return count;
  }

  void fail(DecodeError error) {
    if (!error_) error_ = error;
    rest_ = {};
  }
  [[nodiscard]] bool failed() const { return error_.has_value(); }

  /// What a decoder returns: its value, unless a read failed or bytes are left.
  template <class Whole, class T>
  [[nodiscard]] result<Whole, DecodeError> finish(T&& value) {
    if (!error_ && !rest_.empty()) error_ = DecodeError::trailing_bytes;
    if (error_) return *error_;
    return Whole{std::forward<T>(value)};
  }

 private:
  Bytes rest_;
  std::optional<DecodeError> error_;
};

/// Braced initialisers evaluate left to right, so fields may be read inside them.
template <class IdType>
IdType get_id(Reader& reader) {
  return IdType{reader.get<decltype(IdType::value)>()};
}

Duration get_milliseconds(Reader& reader) {
  return std::chrono::milliseconds{reader.get<std::uint32_t>()};
}

bool get_flag(Reader& reader) {
  const auto value = reader.get<std::uint8_t>();
  if (value > 1) reader.fail(DecodeError::bad_value);
  return value == 1;
}

std::vector<HeldPosition> get_positions(Reader& reader) {
  std::vector<HeldPosition> positions(reader.get_count(20));
  for (HeldPosition& position : positions) {
    position.channel = get_id<ChannelId>(reader);
    position.held.incarnation = reader.get<std::uint32_t>();
    position.held.message_id = get_id<MessageId>(reader);
  }
  return positions;
}

std::string_view get_token(Reader& reader) {
  const auto bytes = reader.get<std::uint16_t>();
  if (bytes > token_bytes_max) reader.fail(DecodeError::bad_value);
  return reader.get_text(bytes);
}

std::string_view get_password(Reader& reader) {
  const auto bytes = reader.get<std::uint16_t>();
  if (bytes > password_bytes_max) reader.fail(DecodeError::bad_value);
  return reader.get_text(bytes);
}

Login get_login(Reader& reader) {
  Login login;
  // Only the version's place is fixed for all versions: nothing behind it may be judged.
  if (reader.get<std::uint8_t>() != version) {
    if (!reader.failed()) reader.fail(DecodeError::unsupported_version);
    return login;
  }
  login.device = get_id<DeviceId>(reader);
  login.device_incarnation = reader.get<std::uint32_t>();
  login.queue_position = get_id<QueueSequence>(reader);
  login.token = get_token(reader);
  login.positions = get_positions(reader);
  login.wants_unread = get_flag(reader);
  return login;
}

Send get_send(Reader& reader) {
  Send send{get_id<ChannelId>(reader), get_id<ClientMessageId>(reader), {}};
  send.body = reader.get_bytes(reader.get<std::uint32_t>());
  return send;
}

std::vector<UserId> get_users(Reader& reader) {
  std::vector<UserId> users(reader.get_count(8));
  for (UserId& user : users) user = get_id<UserId>(reader);
  return users;
}

Send get_send_about(Reader& reader) {
  core::Record kind;
  const bool known = core::set_kind(kind, reader.get<std::uint8_t>());
  Send send{get_id<ChannelId>(reader), get_id<ClientMessageId>(reader), {}};
  send.kind = kind.kind;
  send.target = get_id<MessageId>(reader);
  send.mentions = get_users(reader);
  send.body = reader.get_bytes(reader.get<std::uint32_t>());
  const bool marked = kind.redacted || kind.has_about;
  const bool message = send.kind == core::RecordKind::message;
  // A plain message is a send: nothing is said in two ways.
  if (!known || marked || !core::is_sent(send.kind) || !send.is_about() ||
      (!message && !send.mentions.empty()) ||
      (send.kind == core::RecordKind::deletion && !send.body.empty())) {
    reader.fail(DecodeError::bad_value);
  }
  return send;
}

DeviceAck get_device_ack(Reader& reader) {
  return {get_id<QueueSequence>(reader), get_positions(reader)};
}

CreateChannel get_create_channel(Reader& reader) {
  return {get_id<ChannelId>(reader), get_users(reader)};
}

RecordFrame get_record(Reader& reader) {
  RecordFrame frame;
  core::Record& record = frame.record;
  const auto kind = reader.get<std::uint8_t>();
  if (!core::set_kind(record, kind)) {
    reader.fail(DecodeError::bad_value);
    return frame;
  }
  record.channel = get_id<ChannelId>(reader);
  record.id = get_id<MessageId>(reader);
  record.sender = get_id<UserId>(reader);
  record.device = get_id<DeviceId>(reader);
  record.device_incarnation = reader.get<std::uint32_t>();
  record.client_message_id = get_id<ClientMessageId>(reader);
  record.accepted_at = instant_from_ns(static_cast<std::int64_t>(reader.get<std::uint64_t>()));
  record.body_bytes = reader.get<std::uint32_t>();
  frame.body = reader.get_bytes(record.body_bytes);
  return frame;
}

PageItem get_page_item(Reader& reader) {
  switch (static_cast<MessageType>(reader.get<std::uint8_t>())) {
    case MessageType::record:
      return get_record(reader);
    case MessageType::interval_start:
      return IntervalStart{get_id<ChannelId>(reader), get_id<MessageId>(reader)};
    case MessageType::history_truncated:
      return HistoryTruncated{get_id<ChannelId>(reader), get_id<MessageId>(reader),
                              get_id<MessageId>(reader)};
    default:
      reader.fail(DecodeError::unknown_type);
      return IntervalStart{};
  }
}

Page get_page(Reader& reader) {
  Page page;
  page.last = get_flag(reader);
  page.queue_position = get_id<QueueSequence>(reader);
  const std::uint32_t count = reader.get_count(17);  // The least item, interval_start, is 17 bytes.
  page.items.reserve(count);
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    page.items.push_back(get_page_item(reader));
  }
  return page;
}

Unread get_unread(Reader& reader) {
  Unread unread;
  unread.channels.resize(reader.get_count(32));
  for (UnreadState& state : unread.channels) {
    state = {get_id<ChannelId>(reader), get_id<MessageId>(reader), get_id<MessageId>(reader),
             reader.get<std::uint32_t>(), reader.get<std::uint32_t>()};
  }
  return unread;
}

Presence get_presence(Reader& reader) {
  Presence presence;
  presence.users.resize(reader.get_count(13));
  for (PresenceState& state : presence.users) {
    state = {get_id<UserId>(reader), get_flag(reader), reader.get<std::uint32_t>()};
    if (state.online && state.silent_seconds != 0) reader.fail(DecodeError::bad_value);
  }
  return presence;
}

Refused get_refused(Reader& reader) {
  Refused refused;
  // An unknown code passes: a newer server may have reasons that this client cannot name.
  refused.code = static_cast<RefusalCode>(reader.get<std::uint16_t>());
  refused.retry_after = get_milliseconds(reader);
  refused.channel = get_id<ChannelId>(reader);
  refused.client_message_id = get_id<ClientMessageId>(reader);
  refused.expected = get_id<ClientMessageId>(reader);
  refused.detail = reader.get_text(reader.get<std::uint16_t>());
  return refused;
}

}  // namespace

result<ClientMessage, DecodeError> decode_client(Bytes bytes) {
  if (bytes.empty()) return DecodeError::empty;
  Reader reader{bytes};
  switch (static_cast<MessageType>(reader.get<std::uint8_t>())) {
    case MessageType::login:
      return reader.finish<ClientMessage>(get_login(reader));
    case MessageType::send:
      return reader.finish<ClientMessage>(get_send(reader));
    case MessageType::send_about:
      return reader.finish<ClientMessage>(get_send_about(reader));
    case MessageType::device_ack:
      return reader.finish<ClientMessage>(get_device_ack(reader));
    case MessageType::heartbeat:
      return reader.finish<ClientMessage>(Heartbeat{});
    case MessageType::create_channel:
      return reader.finish<ClientMessage>(get_create_channel(reader));
    case MessageType::join:
      return reader.finish<ClientMessage>(Join{get_id<ChannelId>(reader)});
    case MessageType::leave:
      return reader.finish<ClientMessage>(Leave{get_id<ChannelId>(reader)});
    case MessageType::next_page:
      return reader.finish<ClientMessage>(NextPage{});
    case MessageType::typing:
      return reader.finish<ClientMessage>(Typing{get_id<ChannelId>(reader)});
    case MessageType::subscribe_presence:
      return reader.finish<ClientMessage>(
          SubscribePresence{reader.get<std::uint16_t>(), get_users(reader)});
    case MessageType::unsubscribe_presence:
      return reader.finish<ClientMessage>(UnsubscribePresence{get_users(reader)});
    case MessageType::authenticate:
      return reader.finish<ClientMessage>(
          Authenticate{get_id<UserId>(reader), get_password(reader)});
    case MessageType::set_account:
      return reader.finish<ClientMessage>(
          SetAccount{get_token(reader), get_id<UserId>(reader), get_password(reader)});
    case MessageType::read:
      return reader.finish<ClientMessage>(
          Read{get_id<ChannelId>(reader), get_id<MessageId>(reader)});
    default:
      return DecodeError::unknown_type;
  }
}

result<ServerMessage, DecodeError> decode_server(Bytes bytes) {
  if (bytes.empty()) return DecodeError::empty;
  Reader reader{bytes};
  switch (static_cast<MessageType>(reader.get<std::uint8_t>())) {
    case MessageType::login_accepted:
      return reader.finish<ServerMessage>(
          LoginAccepted{get_id<UserId>(reader), get_id<Term>(reader), get_milliseconds(reader),
                        get_token(reader)});
    case MessageType::ack:
      return reader.finish<ServerMessage>(Ack{
          get_id<ChannelId>(reader), get_id<ClientMessageId>(reader), get_id<MessageId>(reader)});
    case MessageType::record:
      return reader.finish<ServerMessage>(get_record(reader));
    case MessageType::page:
      return reader.finish<ServerMessage>(get_page(reader));
    case MessageType::channel_changed:
      return reader.finish<ServerMessage>(
          ChannelChanged{get_id<ChannelId>(reader), get_id<MessageId>(reader)});
    case MessageType::refused:
      return reader.finish<ServerMessage>(get_refused(reader));
    case MessageType::user_typing:
      return reader.finish<ServerMessage>(
          UserTyping{get_id<ChannelId>(reader), get_id<UserId>(reader)});
    case MessageType::token_granted:
      return reader.finish<ServerMessage>(
          TokenGranted{get_token(reader), get_milliseconds(reader)});
    case MessageType::account_set:
      return reader.finish<ServerMessage>(AccountSet{get_id<UserId>(reader)});
    case MessageType::unread:
      return reader.finish<ServerMessage>(get_unread(reader));
    case MessageType::presence:
      return reader.finish<ServerMessage>(get_presence(reader));
    default:
      return DecodeError::unknown_type;
  }
}

std::string_view name_of(DecodeError error) {
  switch (error) {
    case DecodeError::empty:
      return "empty";
    case DecodeError::unknown_type:
      return "unknown_type";
    case DecodeError::unsupported_version:
      return "unsupported_version";
    case DecodeError::truncated:
      return "truncated";
    case DecodeError::trailing_bytes:
      return "trailing_bytes";
    case DecodeError::bad_value:
      return "bad_value";
  }
  return "?";
}

void throw_exception_from_error(const DecodeError& error, const boost::source_location& where) {
  boost::throw_with_location(
      std::runtime_error{"undecodable protocol message: " + std::string{name_of(error)}}, where);
}

}  // namespace clamor::protocol
