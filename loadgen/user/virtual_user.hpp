#pragma once

#include "loadgen/user/outbox.hpp"
#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/core/backoff.hpp"

#include <cstdint>
#include <variant>
#include <vector>

namespace clamor::loadgen {

/// What one client is doing. Only `online` sends: an ack is the receipt of the device's own record,
/// and must not overtake catch-up pages.
enum class Phase : std::uint8_t {
  idle,         ///< Not started (a dormant user before the roll call), or away as planned.
  backing_off,  ///< Disconnected; its timer will open the next connection.
  connecting,   ///< TCP and WebSocket handshake under way.
  logging_in,   ///< Login sent.
  catching_up,  ///< Login accepted; pages arrive.
  online,       ///< All positions current; live.
  stopped,      ///< Gave up (refused for good) or told to stop.
};

/// One client, that is one device of one simulated person, as a sans-I/O state machine: real
/// sockets and the simulator drive the same code. It holds no channel list, no positions and no
/// buffers; positions are the ledger's (or the simulator's). 56 bytes; owned by one thread.
struct VirtualUser {
  std::uint32_t client = 0;  ///< Plan index.
  Phase phase = Phase::idle;
  bool repairing = false;      ///< The present reconnect was caused by a live gap.
  bool leave_in_sync = false;  ///< Roll call: leave once the catch-up is finished.
  bool was_online = false;     ///< Has finished a catch-up before.
  bool flushing = false;       ///< Roll call, first pass: connect while the outbox has entries.
  std::uint32_t session = 0;   ///< Connections opened so far; names the present one.
  std::uint32_t outage = 0;    ///< Unplanned ends so far; keys the back-off's draws.
  std::uint16_t attempt = 0;   ///< Connections of this outage that did not get online.
  std::uint32_t outbox_first = OutboxPool::none;
  std::uint32_t outbox_last = OutboxPool::none;
  std::uint32_t outbox_size = 0;
  Instant connect_began;  ///< First attempt of the present (re)connect.
  Instant last_sent_at;   ///< Any frame; heartbeats fill silence.
  Instant timer_at = Instant::max();
};
static_assert(sizeof(VirtualUser) <= 64, "millions of these");

/// How a session ended, seen from the client.
enum class Ended : std::uint8_t {
  network,     ///< Reset, end of stream, or the fault plan cut it: back off and return.
  go_again,    ///< Server said so with 4000-4099: return at once.
  back_off,    ///< 1001, 4100-4199, or a refused login with retry_after.
  superseded,  ///< The same device logged in elsewhere: never return.
  for_good,    ///< 4400-4499 or a refused login without retry_after: never return.
};

/// Why a send was not carried out, as the server's refusal says.
enum class SendRefusal : std::uint8_t {
  retry,      ///< Come again after retry_after.
  gap,        ///< A client_message_id was skipped; `expected` names the next.
  permanent,  ///< Not a member, too large, ...: given up visibly, its number is free again.
  too_old,    ///< Its number was used long ago: given up visibly, the number stays used.
};

// --- inputs: what happened to the client ---------------------------------------------------------

struct Start {};      ///< The connect ramp reached it.
struct Connected {};  ///< The WebSocket handshake is done.
struct ConnectFailed {};
struct LoggedIn {};
struct CaughtUp {};  ///< The page marked `last` was taken.
struct Disconnected {
  Ended how = Ended::network;
  Duration retry_after{};  ///< The back-off begins then; 0: at once.
  Duration retry_until{};  ///< Later: it returns at a random time in between, without a back-off.
};
struct Leave {};     ///< A planned absence begins.
struct ComeBack {};  ///< It ends.
struct SendDue {
  std::uint32_t channel = 0;
  std::uint64_t ordinal = 0;
  Instant due;
  std::uint32_t bytes = 0;
  scenario::SendKind kind = scenario::SendKind::message;
  std::uint32_t mentioned = scenario::nobody;
  std::uint64_t pair = 0;  ///< As in scenario::Send.
};
/// Its user begins to write in the channel.
struct TypingDue {
  std::uint32_t channel = 0;
};
struct AckCame {
  std::uint32_t channel = 0;
  ClientMessageId client_message_id;
  MessageId message_id;
};
struct SendRefused {
  std::uint32_t channel = 0;
  ClientMessageId client_message_id;
  SendRefusal how = SendRefusal::permanent;
  Duration retry_after{};
  ClientMessageId expected;  ///< gap only.
};
/// A time that SetTimer or SendMessage::resend_at named has come. A stale one does nothing.
struct TimerDue {};
/// heartbeat_due_at() has come. Beats only where nothing else was sent meanwhile.
struct HeartbeatDue {};
/// A live record skipped ids. The client closes and logs in again with its positions: the repair.
struct GapSeen {};
/// Roll call, first pass: whoever has unsettled sends connects now and sends them; whoever is told
/// who is there wants it no more.
struct FlushOutbox {};
/// Roll call, second pass: whoever is offline logs in, syncs to the heads, leaves.
struct SyncAndLeave {};
/// The run is over: close, send nothing more.
struct Stop {};

using Input = std::variant<Start, Connected, ConnectFailed, LoggedIn, CaughtUp, Disconnected, Leave,
                           ComeBack, SendDue, TypingDue, AckCame, SendRefused, TimerDue,
                           HeartbeatDue, GapSeen, FlushOutbox, SyncAndLeave, Stop>;

// --- actions: what the driver must do, in this order ---------------------------------------------

struct OpenConnection {};  ///< As number VirtualUser::session.
struct SendLogin {};       ///< With the positions held now.
struct SendMessage {
  std::uint32_t channel = 0;
  ClientMessageId client_message_id;
  std::uint64_t ordinal = 0;
  Instant due;
  std::uint32_t bytes = 0;    ///< Planned; text_bytes() of it goes out.
  std::uint16_t attempt = 0;  ///< 0: first transmission; else a resend.
  bool waited = false;        ///< The send waited in the outbox.
  scenario::SendKind kind = scenario::SendKind::message;
  bool revised = false;  ///< Its sender will edit or delete it: nobody else's target.
  std::uint32_t mentioned = scenario::nobody;
  MessageId target;  ///< What it is about; 0: nothing.
  /// The driver brings TimerDue then, unless this send's ack comes first (a simulator that
  /// computes the ack needs no event). Bringing it needlessly is harmless.
  Instant resend_at;
};
struct SendHeartbeat {};
/// To be told who is there of so many of the user's direct partners. After each login.
struct SubscribePresence {
  std::uint32_t partners = 0;
};
/// The roll call: nobody is to be told any more.
struct UnsubscribePresence {};
/// Lossy: never sent again.
struct SendTyping {
  std::uint32_t channel = 0;
};
struct CloseCleanly {};  ///< Close frame, then the socket. No Disconnected follows.
struct SetTimer {
  Instant at;  ///< Replaces an earlier one; bring TimerDue then.
};
struct Acknowledged {
  std::uint32_t channel = 0;
  ClientMessageId client_message_id;
  MessageId message_id;
  std::uint64_t ordinal = 0;
  Instant due;
  scenario::SendKind kind = scenario::SendKind::message;
};
/// All positions are current.
struct Synced {
  Instant connect_began;  ///< First attempt of this (re)connect: catch-up latency counts from it.
  bool first = false;     ///< The client's first login: no catch-up latency.
  bool repair = false;
};
/// A send is given up, visibly: the server refused it for good.
struct GaveUpSend {
  std::uint32_t channel = 0;
  ClientMessageId client_message_id;
  std::uint64_t ordinal = 0;
  bool transmitted = false;  ///< It had been sent: indeterminate; else not sent.
};
/// The client will not return.
struct GaveUp {
  Ended why = Ended::for_good;
};

using Action = std::variant<OpenConnection, SendLogin, SendMessage, SendTyping, SendHeartbeat,
                            SubscribePresence, UnsubscribePresence, CloseCleanly, SetTimer,
                            Acknowledged, Synced, GaveUpSend, GaveUp>;

struct UserSettings {
  std::uint64_t seed = 1;
  core::ReconnectPolicy reconnect;
  Duration heartbeat_interval = std::chrono::seconds{5};
  Duration session_timeout = std::chrono::seconds{30};  ///< From a handshake to its catch-up's end.
  std::uint32_t presence_partners = 0;                  ///< That a session subscribes to.
  std::uint32_t in_flight_max = 64;                     ///< Per channel; core::dedup_ring_size.
  bool sends_about = false;  ///< Sends are about others: OutboxPool::targets() are kept.
};

/// Tells the client what happened at `now` and appends what it does about it. Inputs that make no
/// sense in the present phase (a TimerDue that came too late, an ack of a settled send) do nothing.
/// Draws are keyed (seed, client, purpose, ordinal, attempt), so one client's retries shift nobody
/// else's. No allocation but in `pool` and `out`. O(1), O(outbox) where it has entries.
void step(VirtualUser& user, const Input& input, Instant now, const UserSettings& settings,
          OutboxPool& pool, std::vector<Action>& out);

/// When an online client has to beat unless it sends something else before; Instant::max() else.
[[nodiscard]] inline Instant heartbeat_due_at(const VirtualUser& user,
                                              const UserSettings& settings) {
  const bool logged_in = user.phase == Phase::online || user.phase == Phase::catching_up;
  return logged_in ? user.last_sent_at + settings.heartbeat_interval : Instant::max();
}

/// Whether the client holds a connection or tries to.
[[nodiscard]] constexpr bool connected(Phase phase) {
  return phase == Phase::connecting || phase == Phase::logging_in || phase == Phase::catching_up ||
         phase == Phase::online;
}

}  // namespace clamor::loadgen
