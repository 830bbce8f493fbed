#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/core/channel.hpp"
#include "server/core/device_positions.hpp"
#include "server/core/membership.hpp"
#include "server/protocol/message.hpp"
#include "server/store/commit.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/rows.hpp"
#include "server/store/store.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

/// What nodes say to one another: plain structs with data of their own, or shared immutable
/// buffers; nothing that could not be serialised. A message has one receiver: the owner of a
/// channel, the owner of a user, or a gateway that has sessions.
namespace clamor::bus {

/// Names a session of a gateway to others, who only hand it back.
using Ticket = Id<struct TicketTag>;
/// For what concerns a whole node.
inline constexpr Ticket no_session{std::numeric_limits<std::uint64_t>::max()};

// --- to the owner of a channel -------------------------------------------------------------------

struct SendRequest {
  Ticket session;
  std::uint32_t device_ticket = 0;  ///< The gateway's name of the device: acks go to it.
  UserId user;
  DeviceId device;
  std::uint32_t device_incarnation = 0;
  ChannelId channel;
  ClientMessageId client_message_id;
  core::RecordKind kind = core::RecordKind::message;
  MessageId target;
  std::vector<UserId> mentions;  ///< Distinct; or protocol::everyone alone.
  std::vector<std::byte> body;
};
/// The channel's record 1 becomes the join of `members`, who are distinct and not empty.
struct CreateRequest {
  Ticket session;
  ChannelId channel;
  std::vector<UserId> members;
  UserId admin;
};
struct JoinRequest {
  Ticket session;
  UserId user;
  ChannelId channel;
};
struct LeaveRequest {
  Ticket session;
  UserId user;
  ChannelId channel;
};
/// A session wants these channels of one owner. Those that the user is in are registered for the
/// sender: their records come to it from here on. With no_session: all of them, as before a link
/// broke. Answered by Registered.
struct Register {
  Ticket session;
  std::uint32_t round = 0;  ///< Of the session's catch-up; 0: none waits for the answer.
  UserId user;
  std::vector<ChannelId> channels;
  /// What the session's device holds of each. With `payload: copy` the answer lists redacted
  /// records above; under `adaptive` a first round to which there is more is a read. Else empty.
  std::vector<MessageId> held;
  bool wants_unread = false;  ///< Of the session: the answer counts what its user has not read.
};
/// A device says how far its user has read. Not answered: what can not be done is left out, the
/// next one says it again.
struct ReadRequest {
  UserId user;
  ChannelId channel;
  MessageId up_to;
};
/// A member writes something. Lossy.
struct TypingRequest {
  UserId user;
  ChannelId channel;
};
/// Who is the other member of those of these channels that are direct: of two members, the user one
/// of them. Answered by Partners.
struct AskPartners {
  Ticket session;
  UserId user;
  std::vector<ChannelId> channels;
};
/// Whom an answered read is for.
enum class Reading : std::uint8_t {
  catch_up,  ///< A page of the session.
  joining,   ///< What the session lacks of a channel it was added to.
  repair,    ///< What live fan-out lost on its way to the gateway.
};
/// Reads records of (after, up_to]; answered by LogRead. @pre up_to is durable.
struct ReadLog {
  Ticket session;
  Reading reading = Reading::catch_up;
  ChannelId channel;
  MessageId after;
  MessageId up_to;
  bool may_use_tail = true;
  bool tail_only = false;  ///< Nothing where the tail does not hold it all.
  bool as_gets = false;    ///< Few records: get each, rather than scan.
  std::size_t records_max = 0;
  std::size_t bytes_max = 0;
};

// --- to the owner of a user ----------------------------------------------------------------------

/// A device has logged in: enters the registry of sessions, supersedes its session elsewhere.
/// Answered by UserChannels; repeated, it asks for the channels again.
struct UserLogin {
  Ticket session;
  UserId user;
  DeviceId device;
  /// Said again to an owner that could not be reached meanwhile: a session that it knows elsewhere
  /// is the later one.
  bool again = false;
};
struct UserLogout {
  Ticket session;
  UserId user;
  DeviceId device;
  Duration silent_for{};  ///< The session was heard so long ago.
};
/// The sender has sessions that are to be told whether these users are there. Answered by
/// PresenceChanged for those of whom something is known; said again to an owner that was away.
struct WatchPresence {
  std::vector<UserId> users;
};
/// And has none any more.
struct UnwatchPresence {
  std::vector<UserId> users;
};
/// What a device says that it holds: its owner need keep no queue entries for it.
struct DeviceHolds {
  core::DeviceReport report;
};
/// Reads rows of the user's queue; answered by UserQueueRead.
struct ReadUserQueue {
  Ticket session;
  UserId user;
  QueueSequence after;
  std::size_t rows_max = 0;
  std::size_t bytes_max = 0;
};
/// Reads rows of one member's queue; answered by MemberQueueRead.
struct ReadMemberQueue {
  Ticket session;
  UserId user;
  ChannelId channel;
  MessageId after;
  std::size_t rows_max = 0;
  std::size_t bytes_max = 0;
};
/// A join is durable: users of the receiver are in the channel. At most once: the durable fan-out
/// says it again.
struct UsersJoined {
  ChannelId channel;
  MessageId at;  ///< The join.
  std::vector<UserId> users;
};

/// A user's read cursor of a channel has moved and is durable.
struct ReadMoved {
  UserId user;
  protocol::UnreadState state;
};

/// How a user's password is stored; answered by Account.
struct AskAccount {
  Ticket session;
  UserId user;
};
/// Stores how a password is stored from here on; empty: the account goes. Answered by AccountPut or
/// Refusal, once it is durable.
struct PutAccount {
  Ticket session;  ///< no_session: nobody waits for an answer.
  UserId user;
  std::string stored;
  /// Not empty: only where this is what is stored so far.
  std::string instead_of;
};

// --- durable fan-out: from the owner of channels, the source, to owners of users -----------------

/// A stretch of a partition's journal: (from, to].
struct JournalRange {
  PartitionId partition;
  JournalSequence from;
  JournalSequence to;
};
/// What these stretches owe the receiver's users. It takes them only where each continues what it
/// has; else it answers FanOutCursors, and the source redoes from there in a new stream.
struct FanOutBatch {
  std::uint32_t stream = 0;
  std::vector<JournalRange> ranges;
  store::FanOut fan_out;
};
/// The source begins a stream. Answered by FanOutCursors.
struct FanOutAsk {
  std::uint32_t stream = 0;
};
/// How far the sender has the receiver's journals, and how far flushed.
struct FanOutCursors {
  std::uint32_t stream = 0;
  std::vector<store::JournalPlace> taken;
  std::vector<store::JournalPlace> flushed;
};
/// The receiver was sent all that is durable: what it takes next is new.
struct FanOutCaughtUp {};
/// Queue entries up to here are applied: scans see them.
struct FanOutApplied {
  std::uint32_t stream = 0;
  std::vector<store::JournalPlace> places;
};
/// And survive a kill: the journal serves the sender no more up to here.
struct FanOutFlushed {
  std::vector<store::JournalPlace> places;
};

// --- to a gateway --------------------------------------------------------------------------------

/// Whom a durable record answers.
struct Answer {
  enum class Kind : std::uint8_t { none, send, change };
  Kind kind = Kind::none;
  std::uint32_t device_ticket = 0;  ///< send
  Ticket session;
};
/// What a gateway gets of a durable commit, in the order of its records: answers, and live records
/// of the channels it registered. Links are numbered per term; without entries it repeats the last
/// number, so that a loss at the end shows as well.
struct Published {
  Term term;
  std::uint64_t number = 0;
  std::shared_ptr<const store::Commit> commit;
  struct Entry {
    std::uint32_t record = 0;  ///< Index into the commit.
    bool live = false;         ///< The record goes to the sessions of its channel,
    bool to_sender = false;    ///< the sending device's too: its ack comes later.
    Answer answer;
  };
  std::vector<Entry> entries;
};
/// The ack of a send that waited for its queue entries. It goes to the device, not the session.
struct LateAck {
  std::uint32_t device_ticket = 0;
  std::uint32_t device_incarnation = 0;
  ChannelId channel;
  ClientMessageId client_message_id;
  MessageId message_id;
};
/// A resend of something durable.
struct Duplicate {
  Ticket session;
  ChannelId channel;
  ClientMessageId client_message_id;
  MessageId message_id;
};
struct Refusal {
  Ticket session;
  protocol::RefusalCode code = protocol::RefusalCode::malformed;
  Duration retry_after{};
  ChannelId channel;
  ClientMessageId client_message_id;
  ClientMessageId expected;
};
/// A channel as a registration finds it.
struct ChannelState {
  ChannelId channel;
  MessageId head;  ///< Records above it come as live ones, where `registered`.
  MessageId covered;
  MessageId queue_from;
  MessageId kept_from{1};  ///< Records below are gone.
  std::uint32_t incarnation = 1;
  core::ChannelDesign design = core::ChannelDesign::per_user;  ///< For this user: not adaptive.
  bool registered = false;          ///< The user is in it: the sender gets its records.
  std::uint32_t intervals_end = 0;  ///< The user's end here; they begin where the last ended.
  protocol::UnreadState unread;     ///< Where the session wants it.
};
struct Registered {
  Ticket session;
  std::uint32_t round = 0;  ///< As it was asked.
  std::vector<ChannelState> channels;
  std::vector<core::Interval> intervals;
  std::vector<core::HeldUpTo> redacted;  ///< By channel as they were asked for, and id.
};
/// Records in order, as references into shared commits or in a batch of its own.
struct LogRead {
  Ticket session;
  Reading reading = Reading::catch_up;
  ChannelId channel;
  bool from_tail = false;  ///< All that was asked for, from memory.
  MessageId kept_from{1};  ///< Else: records below have left the log.
  std::vector<store::SharedRecord> tail;
  store::RecordBatch batch;
  std::string failure;  ///< Empty: none.

  [[nodiscard]] std::size_t size() const { return from_tail ? tail.size() : batch.size(); }
  [[nodiscard]] const core::Record& record(std::size_t i) const {
    return from_tail ? tail[i].record() : batch.record(i);
  }
  [[nodiscard]] std::span<const std::byte> body(std::size_t i) const {
    return from_tail ? tail[i].body() : batch.body(i);
  }
};
struct UserQueueRead {
  Ticket session;
  std::vector<store::UserQueueRow> rows;
  QueueSequence end;    ///< Of the queue; read only where no row was found.
  std::string failure;  ///< Empty: none.
};
struct MemberQueueRead {
  Ticket session;
  std::vector<store::MemberQueueRow> rows;
  std::string failure;  ///< Empty: none.
};
/// Answers UserLogin.
struct UserChannels {
  Ticket session;
  std::vector<ChannelId> channels;  ///< In which the user has or had an interval.
};
/// The session's user was added to a channel by record `at`.
struct Joined {
  Ticket session;
  ChannelId channel;
  MessageId at;
};
/// A member of a channel that the gateway registered writes something.
struct MemberTyping {
  ChannelId channel;
  UserId user;
};
/// Answers AskPartners, by channel as they were asked for.
struct Partners {
  Ticket session;
  struct Partner {
    ChannelId channel;
    UserId user;
  };
  std::vector<Partner> partners;
};
/// Of users whom the gateway watches. Of an older term than it has heard of, it means nothing.
struct PresenceChanged {
  Term term;
  struct State {
    UserId user;
    bool online = false;
    bool was_heard = false;  ///< Since the sender knows of the user.
    Duration silent_for{};   ///< Then: so long ago.
  };
  std::vector<State> users;
};
/// The session's user has read a channel.
struct UnreadChanged {
  Ticket session;
  protocol::UnreadState state;
};
/// Answers AskAccount.
struct Account {
  Ticket session;
  std::string stored;  ///< Empty: there is none.
};
/// Answers PutAccount.
struct AccountPut {
  Ticket session;
  UserId user;
};
/// The session's device has logged in at another node.
struct Supersede {
  Ticket session;
};
/// The owner's log was rebuilt: heads may have moved, reads under way have failed.
struct Rebuilt {};

using Message =
    std::variant<SendRequest, CreateRequest, JoinRequest, LeaveRequest, ReadRequest, TypingRequest,
                 AskPartners, Register, ReadLog, UserLogin, UserLogout, WatchPresence,
                 UnwatchPresence, DeviceHolds, ReadUserQueue, ReadMemberQueue, UsersJoined,
                 ReadMoved, AskAccount, PutAccount, FanOutBatch, FanOutAsk, FanOutCursors,
                 FanOutApplied, FanOutCaughtUp, FanOutFlushed, Published, LateAck, Duplicate,
                 Refusal, Registered, LogRead, UserQueueRead, MemberQueueRead, UserChannels, Joined,
                 MemberTyping, Partners, PresenceChanged, UnreadChanged, Account, AccountPut,
                 Supersede, Rebuilt>;

}  // namespace clamor::bus
