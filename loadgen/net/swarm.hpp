#pragma once

#include "loadgen/net/connections.hpp"
#include "loadgen/net/recorder.hpp"
#include "loadgen/net/schedule.hpp"
#include "loadgen/user/ledger.hpp"
#include "loadgen/user/outbox.hpp"
#include "loadgen/user/stamp.hpp"
#include "loadgen/user/virtual_user.hpp"
#include "scenarios/model/plan.hpp"
#include "server/base/time.hpp"
#include "server/protocol/message.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace clamor::loadgen {

struct SwarmOptions {
  std::vector<Target> targets;  ///< One a node; a user's devices go to target_of(user).
  std::uint32_t worker = 0;     ///< Of `workers`; takes every workers-th channel's creation.
  std::uint32_t workers = 1;
  std::uint32_t first_client = 0;  ///< The block is [first_client, last_client).
  std::uint32_t last_client = 0;
  std::uint32_t opening_max = 128;  ///< Handshakes in flight in ramp and roll call.
  std::uint32_t creating_max = 64;  ///< Unanswered channel creations.
  std::function<std::string(UserId)> token;
};

/// Drives a block of virtual users over real connections, through the stages of a run:
/// create_channels, connect, run, settle, sync, finish. The caller begins each stage, then calls
/// turn() until the stage is done or its time is up: stages are barriers between workers.
///
/// One thread. About 300 bytes a client and 20 bytes a (client, channel).
class Swarm final : private ConnectionEvents {
 public:
  /// @pre `plan` outlives it.
  Swarm(const SwarmOptions& options, const scenario::Plan& plan);

  /// One turn: waits at most `longest` for something to do, handles what is due, flushes.
  void turn(Duration longest);
  /// Calls `ready` from turn() whenever `fd` is readable.
  void watch(int fd, std::function<void()> ready) { connections_.watch(fd, std::move(ready)); }

  // --- stages
  /// Creates this worker's share of the channels by a control session of its own.
  void begin_creating();
  [[nodiscard]] bool created() const { return creating_ == Creating::done; }
  /// Pre-fill: each member that the plan names for it connects, sends its channels' messages, and
  /// leaves; opening_max at a time.
  void begin_filling();
  [[nodiscard]] bool filled() const;
  /// So many were accepted. @pre filling.
  [[nodiscard]] std::uint64_t accepted() const { return ledger_.totals().acknowledged; }
  /// Everybody starts anew: holding the channels up to `heads`, nothing measured. @pre filled().
  void end_filling(std::span<const MessageId> heads);
  /// Brings everyone online who is not away at the start.
  void begin_connecting();
  [[nodiscard]] bool all_connected() const;
  /// Starts the measured window at `zero` on monotonic_now()'s clock.
  void begin_window(Instant zero);
  /// Whether it has passed and everything that was due in it is under way.
  [[nodiscard]] bool window_over(Instant now);
  /// From here on the window's clock skips times for which nothing is planned, and stands still at
  /// `until`, before what is planned for then, until the next call. @pre a window.
  void step_to(Instant until);
  /// Whether that has come, nobody is on the way, and who is online has every send acknowledged.
  /// O(clients).
  [[nodiscard]] bool step_taken() const;
  /// Names the channels' last ids, as all workers' notes say.
  void begin_resting(std::span<const MessageId> heads) {
    heads_.assign(heads.begin(), heads.end());
  }
  /// Whether the step is taken and everybody who is online holds them. O(clients' channels).
  [[nodiscard]] bool at_rest() const;
  /// Ends the window early: nothing that is planned later happens.
  void cut_window(Instant now);
  /// Roll call, first pass: everybody's unsettled sends go out; done when none is left.
  void begin_settling();
  [[nodiscard]] std::uint64_t unsettled() const { return pool_.entries_in_use(); }
  /// Roll call, second pass: the offline log in, sync, leave; the online take what still comes.
  /// `heads` are the channels' last ids, as all workers' notes say.
  void begin_syncing(std::span<const MessageId> heads);
  [[nodiscard]] bool synced() const;
  /// Devices that have not synced yet. O(clients).
  [[nodiscard]] std::uint64_t unsynced() const;
  /// Closes every connection, counts what was left unsent.
  void finish();

  // --- what it found
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }
  [[nodiscard]] const Recording& recording() const { return recording_; }
  [[nodiscard]] std::uint64_t clients() const { return clients_.size(); }
  [[nodiscard]] std::uint64_t online() const { return online_; }
  [[nodiscard]] std::uint64_t asked() const { return asked_; }    ///< Clients that shall connect.
  [[nodiscard]] std::uint64_t opened() const { return opened_; }  ///< That got online in time.
  /// Set where the run cannot go on (a channel could not be created, the login was refused).
  [[nodiscard]] const std::string& fatal() const { return fatal_; }
  /// Whether that is because the server does not know our tokens' secret.
  [[nodiscard]] bool token_refused() const { return token_refused_; }
  /// What else was noticed, each kind once: refusals, failed handshakes, broken frames.
  [[nodiscard]] const std::vector<std::string>& findings() const { return findings_; }
  [[nodiscard]] const Connections::Counters& counters() const { return connections_.counters(); }
  /// Takes the intervals that ended since the last call.
  [[nodiscard]] std::vector<IntervalRecord> take_intervals();
  /// User-space memory of clients, connections and ledger, in bytes.
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  enum class Creating : std::uint8_t { idle, connecting, logging_in, sending, done };
  struct Client {
    VirtualUser user;
    Instant opened_at;     ///< Present connection.
    Instant came_back_at;  ///< End of the latest planned absence.
    QueueSequence queue_position;
    std::string resume_token;  ///< Of its first login: a reconnect is cheaper by it.
    Instant said_at;           ///< When it last told the server what it holds.
    bool news = false;         ///< Holds more since.
    bool opened_once = false;
    bool synced = false;  ///< Roll call, second pass.
  };
  struct Timer {
    Instant at;
    std::uint32_t slot;
    std::uint32_t session;  ///< Of a heartbeat; 0: the user's own timer.
    bool operator>(const Timer& other) const { return at > other.at; }
  };

  void on_open(std::uint32_t slot) override;
  void on_failed(std::uint32_t slot, const std::string& why) override;
  void on_message(std::uint32_t slot, std::span<const std::byte> payload) override;
  void on_closed(std::uint32_t slot, std::uint16_t close_code, const std::string& reason) override;

  [[nodiscard]] std::uint32_t control_slot() const {
    return static_cast<std::uint32_t>(clients_.size());
  }
  void control_message(const protocol::ServerMessage& message);
  void create_more();

  void tell(std::uint32_t slot, const Input& input);
  void perform(std::uint32_t slot, const OpenConnection& open);
  void perform(std::uint32_t slot, const SendLogin& login);
  void perform(std::uint32_t slot, const SendMessage& send);
  void perform(std::uint32_t slot, const SendTyping& typing);
  void perform(std::uint32_t slot, const SendHeartbeat& heartbeat);
  void perform(std::uint32_t slot, const SubscribePresence& subscribe);
  void perform(std::uint32_t slot, const UnsubscribePresence& unsubscribe);
  void perform(std::uint32_t slot, const CloseCleanly& close);
  void perform(std::uint32_t slot, const SetTimer& timer);
  void perform(std::uint32_t slot, const Acknowledged& ack);
  void perform(std::uint32_t slot, const Synced& synced);
  void perform(std::uint32_t slot, const GaveUpSend& given_up);
  void perform(std::uint32_t slot, const GaveUp& gave_up);
  void send_device_ack(std::uint32_t slot);
  void send_out(std::uint32_t slot);
  void positions_of(std::uint32_t slot, std::vector<protocol::HeldPosition>& out) const;

  void take(std::uint32_t slot, const protocol::LoginAccepted& accepted);
  void take(std::uint32_t slot, const protocol::Ack& ack);
  void take(std::uint32_t slot, const protocol::RecordFrame& frame);
  void take(std::uint32_t slot, const protocol::Page& page);
  void take(std::uint32_t slot, const protocol::ChannelChanged& changed);
  void take(std::uint32_t slot, const protocol::Refused& refused);
  void take(std::uint32_t slot, const protocol::Unread& unread);
  void take(std::uint32_t /*slot*/, const protocol::UserTyping& /*typing*/) {}
  void take(std::uint32_t slot, const protocol::Presence& presence);
  // Virtual users have no passwords.
  void take(std::uint32_t /*slot*/, const protocol::TokenGranted& /*granted*/) {}
  void take(std::uint32_t /*slot*/, const protocol::AccountSet& /*set*/) {}
  void take_record(std::uint32_t slot, const protocol::RecordFrame& frame, bool in_page);
  void judge_holes(std::uint32_t slot, std::uint32_t channel, std::uint64_t unjudged, bool in_page);
  void measure_delivery(const Client& client, const Stamp& stamp, std::uint32_t channel,
                        bool in_page);
  [[nodiscard]] std::uint64_t unsettled_in(const VirtualUser& user, std::uint32_t channel) const;

  void move_clock();
  void end_plan();
  void run_schedule();
  void run_event(const PlannedEvent& event);
  void run_fault(std::uint32_t index);
  void note_killed(std::uint32_t fault);
  void run_timers();
  void run_repairs();
  void set_timer(const Timer& timer);
  void feed_ramp();
  void fill(std::uint32_t slot);
  bool fill_next(std::uint32_t slot, std::uint32_t channel);
  [[nodiscard]] bool at_heads(std::uint32_t slot) const;
  void close_intervals(Instant now);
  void end_interval();
  [[nodiscard]] Duration until_next(Duration longest);
  void find_once(std::string_view kind, std::string what);
  void break_off(std::string why);

  SwarmOptions options_;
  const scenario::Plan& plan_;
  UserSettings settings_;
  Connections connections_;
  OutboxPool pool_;
  Ledger ledger_;
  std::unique_ptr<Schedule> schedule_;
  std::vector<Client> clients_;
  std::vector<std::uint16_t> target_of_client_;  ///< Empty where there is one target.
  std::vector<Timer> timers_;                    ///< A heap, earliest first; stale ones do nothing.
  std::vector<std::uint32_t> ramp_;
  std::size_t ramp_next_ = 0;
  std::vector<std::uint32_t> class_of_channel_;
  std::vector<MessageId> heads_;
  bool syncing_ = false;
  bool filling_ = false;
  std::unordered_map<std::uint32_t, std::uint32_t> fills_;  ///< By channel: messages sent so far.
  std::vector<std::uint32_t> repairs_;  ///< Slots that saw a live gap this turn.

  Instant now_;
  Instant window_zero_ = Instant::max();
  Instant window_end_ = Instant::max();
  std::unordered_map<std::uint32_t, Instant> cut_off_;  ///< By slot: by a fault, not back yet.
  Instant interval_end_ = Instant::max();
  std::optional<Instant> hold_;  ///< In steps: where the window's clock stands still.
  bool at_hold_ = false;
  Instant last_delivery_;
  std::uint64_t online_ = 0;
  std::uint64_t arriving_ = 0;  ///< Clients between connect and online.
  std::uint64_t asked_ = 0;
  std::uint64_t opened_ = 0;

  Creating creating_ = Creating::idle;
  std::uint32_t next_channel_ = 0;
  std::uint32_t creating_now_ = 0;

  Recording recording_;
  IntervalRecord interval_;
  std::vector<IntervalRecord> intervals_;
  std::uint64_t delivered_before_ = 0;
  std::vector<Action> actions_;
  std::vector<std::byte> scratch_;
  std::vector<scenario::Absence> absences_;
  std::vector<std::byte> body_;
  std::vector<std::string> finding_kinds_;
  std::vector<std::string> findings_;
  std::string fatal_;
  bool token_refused_ = false;
};

}  // namespace clamor::loadgen
