#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/core/record.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace clamor::protocol {

/// Version of the wire protocol; the login carries it. The byte layout is in PROTOCOL.md.
inline constexpr std::uint8_t version = 1;

using Bytes = std::span<const std::byte>;

struct HeldPosition {
  ChannelId channel;
  Position held;
  bool operator==(const HeldPosition&) const = default;
};

// --- client to server ----------------------------------------------------------------------------

/// First message of a session. Positions a device does not send count as "holds nothing".
struct Login {
  std::string_view token;  ///< A login token, or a resume token of this device.
  DeviceId device;
  std::uint32_t device_incarnation = 1;  ///< Drawn anew when a device starts empty.
  QueueSequence queue_position;          ///< Where the last queue scan ended; 0: from the start.
  std::vector<HeldPosition> positions;
  bool wants_unread = false;  ///< The session is told what its user has not read.
};
/// A mention of every member of the channel.
inline constexpr UserId everyone{0xFFFFFFFFFFFFFFFFU};

/// A message to a channel, or a record about one; `client_message_id` is dense from 1 per (device
/// incarnation, channel). On the wire it is a `send`, or a `send_about` where it is about
/// something.
struct Send {
  ChannelId channel;
  ClientMessageId client_message_id;
  Bytes body;
  core::RecordKind kind = core::RecordKind::message;  ///< A sent one.
  MessageId target{};                 ///< What it edits, deletes, reacts or replies to; 0: nothing.
  std::vector<UserId> mentions = {};  ///< Whom a message mentions.

  [[nodiscard]] bool is_about() const {
    return kind != core::RecordKind::message || target != MessageId{} || !mentions.empty();
  }
};
/// The device now holds everything up to these positions (cumulative): queues need not keep it. Not
/// answered.
struct DeviceAck {
  QueueSequence queue_position;
  std::vector<HeldPosition> positions;
};
/// Any frame counts as one; sent when there is nothing else. Not answered.
struct Heartbeat {};
/// Creates a channel under an id that the client chose; answered by ChannelChanged or Refused.
/// The record 1 of the channel is the join of all `members` (the creator is one only if listed).
struct CreateChannel {
  ChannelId channel;
  std::vector<UserId> members;
};
struct Join {
  ChannelId channel;
};
struct Leave {
  ChannelId channel;
};
/// Asks for the next catch-up page after a Page without `last`.
struct NextPage {};
/// The user has read the channel up to here (cumulative; a message of the user's own says it too).
/// Not answered; sessions of the user that want it are told by Unread.
struct Read {
  ChannelId channel;
  MessageId up_to;
};

/// The user writes something in the channel. Lossy: not answered, not kept, dropped where it comes
/// too often.
struct Typing {
  ChannelId channel;
};

/// The session is to be told who is there and who is not, from here on: these users, and up to so
/// many of the user's direct partners. Adds to what was asked before. Answered by Presence as far
/// as something is known, or refused.
struct SubscribePresence {
  std::uint16_t partners = 0;
  std::vector<UserId> users;
};
/// And no more of these; of nobody, where none is named. Not answered.
struct UnsubscribePresence {
  std::vector<UserId> users;
};

/// Asks for a login token by a password, before a login. Answered by TokenGranted or Refused.
struct Authenticate {
  UserId user;
  std::string_view password;
};
/// Sets a user's password, or removes the account where it is empty; before a login. Answered by
/// AccountSet or Refused.
struct SetAccount {
  std::string_view operator_token;
  UserId user;
  std::string_view password;
};

using ClientMessage =
    std::variant<Login, Send, DeviceAck, Heartbeat, CreateChannel, Join, Leave, NextPage, Read,
                 Typing, SubscribePresence, UnsubscribePresence, Authenticate, SetAccount>;

// --- server to client ----------------------------------------------------------------------------

/// The login holds; catch-up pages follow until one is `last`, then live records.
struct LoginAccepted {
  UserId user;
  Term term;
  Duration heartbeat_interval{};  ///< What the server expects; on the wire in milliseconds.
  /// Logs this device in again, instead of the token that it used. Empty after a login by one.
  std::string_view resume_token;
};
/// The record of this send is durable. For the sending device it is the receipt of its record.
struct Ack {
  ChannelId channel;
  ClientMessageId client_message_id;
  MessageId message_id;
};
/// A record, live or inside a page. Body of a join, leave or kick: the user ids, 8 bytes each. Of
/// one that has_about: see About.
struct RecordFrame {
  core::Record record;
  Bytes body;
};
/// What a client gets of a record's body. Nothing of a member_mode's, which says who reads often:
/// it is the server's alone.
[[nodiscard]] inline Bytes shown_body(const core::Record& record, Bytes body) {
  return record.kind == core::RecordKind::member_mode ? Bytes{} : body;
}
/// In a page before the first record of an interval that does not continue the one held: ids
/// between the position and `join` are not the device's, its position moves to join - 1.
struct IntervalStart {
  ChannelId channel;
  MessageId join;
};
/// Ids from..to can no longer be had (retention or expiry): they count as expired, not as lost.
struct HistoryTruncated {
  ChannelId channel;
  MessageId from;
  MessageId to;
};
using PageItem = std::variant<RecordFrame, IntervalStart, HistoryTruncated>;
/// Catch-up, in id order within a channel. Answer DeviceAck and NextPage until `last`.
struct Page {
  bool last = false;
  QueueSequence queue_position;  ///< The next login's queue_position once this page is held.
  std::vector<PageItem> items;
};
/// A create, join or leave is durable as record `message_id`.
struct ChannelChanged {
  ChannelId channel;
  MessageId message_id;
};

/// What the user has not read of a channel, counted up to record `at`: the device adds what it gets
/// above it.
struct UnreadState {
  ChannelId channel;
  MessageId read;  ///< Up to here the user has read.
  MessageId at;
  std::uint32_t unread = 0;  ///< Messages in (read, at].
  std::uint32_t mentions =
      0;  ///< So many of them mention the user, core::mentions_counted_max at most.
  bool operator==(const UnreadState&) const = default;
};
/// To sessions that want it: after the last page every channel that has unread messages; later a
/// channel that a device of the user has read.
struct Unread {
  std::vector<UnreadState> channels;
};

/// A user writes something in a channel; to live sessions of its other members.
struct UserTyping {
  ChannelId channel;
  UserId user;
};

/// Of an absent user who was not heard since the server knows of it.
inline constexpr std::uint32_t never_heard_seconds = 0xFFFFFFFFU;
struct PresenceState {
  UserId user;
  bool online = false;
  std::uint32_t silent_seconds = 0;  ///< Since the user was heard last; 0 while online.
  bool operator==(const PresenceState&) const = default;
};
/// Who is there, and who is no more, of those whom the session subscribed to: the latest of each.
struct Presence {
  std::vector<PresenceState> users;
};
/// The password was right: a login token, which the next message may log in with.
struct TokenGranted {
  std::string_view token;
  Duration expires_in{};  ///< On the wire in milliseconds.
};
/// The account is set or removed, and durable.
struct AccountSet {
  UserId user;
};

/// Why a request was not carried out; values are on the wire.
enum class RefusalCode : std::uint16_t {
  malformed = 1,            ///< The session is closed after it (close code 4400).
  not_logged_in = 2,        ///< Anything but a login came first (closed, 4401).
  bad_token = 3,            ///< (closed, 4401)
  unsupported_version = 4,  ///< (closed, 4400)
  already_logged_in = 5,
  no_such_channel = 6,
  not_member = 7,
  already_member = 8,
  channel_exists = 9,
  body_too_large = 10,
  group_too_large = 11,
  client_message_id_gap = 12,  ///< `expected` names the next one.
  client_message_id_too_old = 13,
  too_many_pending = 14,  ///< Come again after retry_after.
  overloaded = 15,        ///< Come again after retry_after.
  shutting_down = 16,
  store_failed = 17,     ///< The append failed; nothing was accepted.
  unavailable = 18,      ///< The node that it concerns is down. Come again after retry_after.
  no_such_message = 19,  ///< The target is no message of the channel, or was deleted.
  not_allowed = 20,      ///< Of another user's message, or for the channel's admin only.
  too_many_edits = 21,
  too_many_mentions = 22,
  too_many_channels = 23,       ///< The user is in as many as it may join.
  too_many_subscriptions = 24,  ///< To users' presence.
  too_many_requests = 25,  ///< More than the server's rates allow. Come again after retry_after.
  wrong_password = 26,     ///< Or there is no such account (closed, 4401).
};
struct Refused {
  RefusalCode code = RefusalCode::malformed;
  Duration retry_after{};             ///< 0: do not retry unchanged. On the wire in milliseconds.
  ChannelId channel;                  ///< {0} where the request names none.
  ClientMessageId client_message_id;  ///< Of a refused Send, else {0}.
  ClientMessageId expected;           ///< client_message_id_gap only.
  std::string_view detail;            ///< For people.
};

using ServerMessage = std::variant<LoginAccepted, Ack, RecordFrame, Page, ChannelChanged, Refused,
                                   Unread, UserTyping, Presence, TokenGranted, AccountSet>;

/// WebSocket close codes of our own; 4000-4099: reconnect at once, 4100-4199: reconnect with
/// back-off, 4400-4499: do not reconnect unchanged.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  invalid_payload = 1007,
  policy = 1008,
  too_big = 1009,
  internal_error = 1011,
  slow_consumer = 4100,
  silent = 4101,  ///< No frame for offline_after.
  draining = 4102,
  overloaded = 4103,  ///< A login that the server cannot take just now.
  malformed = 4400,
  unauthorized = 4401,
  superseded = 4409,  ///< The same device logged in elsewhere.
};

}  // namespace clamor::protocol
