#pragma once

#include "loadgen/user/outbox.hpp"
#include "loadgen/user/stamp.hpp"
#include "loadgen/user/virtual_user.hpp"
#include "reports/model/result.hpp"
#include "server/base/ledger_totals.hpp"
#include "server/base/operations.hpp"
#include "server/core/admission.hpp"
#include "server/core/channel.hpp"
#include "server/core/fan_out.hpp"
#include "server/core/limits.hpp"
#include "server/core/sync.hpp"
#include "sim/engine/timing_wheel.hpp"
#include "sim/engine/turn.hpp"
#include "sim/world/costs.hpp"
#include "sim/world/dedup_table.hpp"
#include "sim/world/heartbeats.hpp"
#include "sim/world/metrics.hpp"
#include "sim/world/modes.hpp"
#include "sim/world/presence.hpp"
#include "sim/world/records.hpp"
#include "sim/world/topology.hpp"
#include "sim/world/world_settings.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace clamor::sim {

/// A cluster of chat servers and its virtual users in virtual time: every decision is server/core's
/// or loadgen/user's; the world adds when things happen (the cost model's stations) and how many
/// there are (arrays). Nothing is stored per delivery: a delivery is computed inside the turn that
/// makes it. Positions are stored only while a client is away; for all others the channels' heads
/// imply them.
///
/// Multi-node: gateway of the sender, owner of the channel, log commit, ack back and one bus frame
/// per interested node, turn there, deliveries. One object runs once; single-threaded; the same
/// plan, design and costs give the same bytes.
class World {
 public:
  World(const Topology& topology, const WorldSettings& settings);

  /// Runs the measured window and the roll call. Throws InvariantBroken.
  void run();

  /// What the run gave, thresholds, environment and the machine's own figures apart. @pre run().
  [[nodiscard]] report::RunResult result() const;
  /// Records that were accepted, and lost with a server that was killed before its log had them:
  /// none was acknowledged, all were sent again. @pre run().
  [[nodiscard]] std::uint64_t undone_records() const { return undone_records_; }

 private:
  friend struct WorldPeer;  ///< A test's, to break an invariant on purpose.

  /// What an event's id names: the kind in the upper 5 bits, an index of that kind below. In one
  /// instant lower kinds go first.
  enum class EventKind : std::uint32_t {
    presence,       ///< slot: a planned absence begins or ends.
    fault,          ///< index of the scenario's faults.
    restart,        ///< index: the servers that this fault killed start again.
    next_typing,    ///< The plan's next typing notice is due.
    next_send,      ///< The plan's next send is due.
    timer,          ///< slot: its virtual user's timer.
    flight,         ///< flight: a hand-over between a client and its server.
    send_at_node,   ///< send: reaches the gateway.
    send_at_owner,  ///< send: reaches the channel's owner.
    commit_handed,  ///< node, life: its committer is handed what the turn accepted.
    commit_done,    ///< node, life
    relay,          ///< relay: a record reaches the other interested nodes.
    queue_batches,  ///< record: reaches the other nodes' queue writers.
    queue_applied,  ///< record: its channel's owner hears that its entries are in the queues.
    queue_begin,    ///< node, life: its queue writer has waited long enough.
    queue_done,     ///< node, life
    turn,           ///< node, life: the next turn may begin.
    second,         ///< index: closes a second of the series.
    roll_call,      ///< node: its next client logs in.
    presence_step,  ///< node: looks at who is there, or tells sessions of it.
    count
  };
  static constexpr unsigned index_bits = 27;
  /// An event of a node's own work names the node, and above it how often the node was killed: what
  /// it was about dies with it.
  static constexpr unsigned node_bits = 16;

  struct Session {
    std::uint32_t attached = none;    ///< Sequence of the present login; none: offline.
    std::uint32_t last_attached = 1;  ///< Of the session before.
    std::uint32_t last_detached = 0;  ///< When that one ended.
    std::uint32_t sync = none;        ///< In syncs_: while offline or catching up.
    std::int64_t cut_ns = never;      ///< The next planned end: what completes later is not got.
    std::int64_t away_until_ns = 0;   ///< End of the latest planned absence.
  };

  /// A client's positions, and its catch-up while there is one.
  struct Sync {
    std::vector<std::uint32_t> held;     ///< By channel of the user; empty: start_of() each.
    std::vector<std::uint32_t> pending;  ///< Records to catch up, in page order.
    std::vector<std::uint32_t> waiting;  ///< Live records behind the last page.
    std::uint32_t paged = 0;             ///< So many of pending are on their way or received.
    bool last_page_sent = false;
    bool overflowed = false;        ///< More waited than is held: another round is due.
    std::int64_t last_page_ns = 0;  ///< When it lands.
  };

  enum class Stage : std::uint8_t {
    connect_at_node,
    connected_at_client,
    login_at_node,
    heads_at_node,
    page_at_client,
    next_page_at_node,
    ack_at_node,
    ack_at_client,
    refusal_at_node,
    refusal_at_client,
    typing_at_node,
    typing_at_owner,
    typing_at_member_node,
    turned_away_at_client,    ///< No session is taken.
    login_refused_at_client,  ///< id: when to come again, in milliseconds.
  };
  struct Flight {
    std::uint32_t slot = 0;
    std::uint32_t session = 0;  ///< VirtualUser::session it belongs to.
    Stage stage = Stage::connect_at_node;
    bool last = false;  ///< page: the last one.
    loadgen::SendRefusal refusal = loadgen::SendRefusal::gap;
    std::uint32_t channel = 0;  ///< ack, refusal, typing
    std::uint32_t number = 0;   ///< ack, refusal: client_message_id; typing at a member: node
    /// ack: message_id; refusal: expected, or with retry when to come again, in milliseconds.
    std::uint32_t id = 0;
    std::uint32_t begin = 0;  ///< page: of Sync::pending
    std::uint32_t end = 0;
    std::uint32_t durable = 0;  ///< ack: the record's, where its sender gets nothing else of it
  };

  enum class ArrivalKind : std::uint8_t {
    flight,
    send,
    forwarded,
    commit,
    relay,
    queue_batch,
    queue_applied,
    presence
  };
  struct Arrival {
    std::int64_t at_ns = 0;
    ArrivalKind kind = ArrivalKind::flight;
    std::uint32_t index = 0;
    std::uint32_t begin = 0;  ///< relay: of the channel's members; queue_batch: entries.
    std::uint32_t end = 0;    ///< relay
  };
  /// A record on its way to the nodes other than its owner.
  struct Relay {
    std::uint32_t record = 0;
    std::vector<core::NodeRun> runs;  ///< Memory is reused.
  };
  struct QueueBatch {
    std::uint32_t record = 0;
    std::uint32_t entries = 0;
  };

  struct Node {
    explicit Node(std::int64_t heartbeat_ns) : heartbeats{heartbeat_ns} {}
    std::vector<Arrival> inbox;
    bool down = false;               ///< Killed, and not started again yet.
    std::uint32_t life = 0;          ///< How often it was killed.
    std::vector<QueueBatch> redo;    ///< Down: what its queue writer lost or never got.
    std::int64_t last_turn_ns = -1;  ///< Began; took everything that had arrived.
    std::int64_t busy_until_ns = 0;
    bool turn_scheduled = false;
    std::uint64_t computed_waiting = 0;  ///< Frames without events that the next turn takes in.
    std::uint64_t computed_waiting_bytes = 0;
    Heartbeats heartbeats;
    BatchStation committer;
    BatchStation writer;
    bool queue_lingers = false;
    // Of the channels that it owns: what their members' queues hold since the last flush.
    std::uint32_t queue_flushes = 0;
    struct {
      std::uint64_t records = 0;
      std::uint64_t entries = 0;
      std::uint64_t bytes = 0;
    } unflushed;
    std::uint64_t acked_positions = 0;  ///< That its queue writer has not looked at yet.
    std::uint64_t uncovered = 0;  ///< Its channels' records whose entries are not applied yet.
    std::uint64_t uncovered_entries = 0;  ///< Those entries.
    std::uint64_t commit_bytes = 0;       ///< Accepted and not durable.
    /// When its oldest commits were handed over: those at work, and those that wait.
    std::int64_t committing_since_ns = never;
    std::int64_t commit_waiting_since_ns = never;
    std::int64_t turn_length_ns = 0;  ///< Of the last turn.
    core::AdmissionState admission;
    std::deque<std::uint32_t> due_acks;   ///< Records acknowledged once their entries are applied.
    std::vector<std::uint32_t> accepted;  ///< By the present turn.
    std::vector<std::uint32_t> handed;    ///< On their way to the committer.
    std::vector<std::uint32_t> commit_waiting;
    std::vector<std::uint32_t> committing;
    std::vector<std::uint32_t> committed;  ///< Until the next turn.
    std::vector<QueueBatch> queue_waiting;
    std::vector<QueueBatch> queueing;
    std::vector<std::uint32_t> roll;  ///< Clients of the roll call, last first.
    // Little's law over the inbox.
    std::int64_t inbox_area = 0;
    std::int64_t inbox_changed_ns = 0;
    std::int64_t waited_ns = 0;
    // And what records and entries spent at the committer and the queue writer, modulo 2^64: a
    // departure adds its time, an arrival takes it away.
    std::uint64_t committer_sojourn_ns = 0;
    std::uint64_t writer_sojourn_ns = 0;
    std::uint64_t remade_waiting = 0;  ///< Entries at the writer that are in no QueueBatch.
    std::uint64_t remade_working = 0;
  };

  /// What one turn sends out; scratch.
  struct Outgoing {
    std::vector<std::uint32_t> flights_to_client;  ///< Leave at the decision, not by a flush.
    std::vector<std::uint32_t> flights_to_node;    ///< To another node.
    std::vector<std::uint32_t> heads;              ///< Logins that ask other nodes for heads.
    std::vector<std::uint32_t> forwards;
    std::vector<std::uint32_t> relays;
    std::vector<std::uint32_t> queue_batches;
    struct Flushed {
      std::uint32_t dirty = 0;
      std::uint32_t flight = 0;
      std::uint32_t order = 0;  ///< In what its session gets.
    };
    std::vector<Flushed> flushed_flights;
    struct Delivery {
      std::uint32_t dirty = 0;
      std::uint32_t record = 0;
    };
    std::vector<Delivery> deliveries;
  };

  // --- loop (world.cpp)
  void push(std::int64_t at_ns, EventKind kind, std::uint32_t index);
  void handle(const Event& event);
  void prefetch(std::uint32_t id) const;
  void run_until_empty();
  bool stale_timer(const Event& event);
  void start();
  void schedule_faults_and_seconds();
  void away_until_at_start(std::uint32_t slot);
  void next_typing();
  void next_send();
  void close_second(std::uint32_t index);
  void flush_outboxes();
  void sync_everybody();
  void roll_call(std::uint32_t node);
  void note_window_end();

  // --- clients (world_clients.cpp)
  template <class In>
  void step(std::uint32_t slot, const In& input);
  /// `order`: place among what the client does in this instant.
  void act(std::uint32_t slot, const loadgen::Action& action, std::int64_t order);
  void presence(std::uint32_t slot);
  void fault(std::uint32_t fault);
  void disconnect_hit(std::uint32_t fault);
  void cut_off(std::uint32_t slot, const char* why);
  void timer(std::uint32_t slot);
  void arm_timer(std::uint32_t slot, std::int64_t at_ns);
  void transmit(std::uint32_t slot, const loadgen::SendMessage& send, std::int64_t order);
  void ack_lost(const Flight& flight);
  [[nodiscard]] std::int64_t away_until_of(std::uint32_t slot) const {
    return sessions_[slot].away_until_ns;
  }
  void flight_landed(std::uint32_t index);
  void page_came(const Flight& flight);
  void deliver_caught_up(std::uint32_t slot, std::uint32_t record);
  /// From when on a record due at `due_ns` and received at `at_ns` counts as late: planned
  /// absences in between are left out, as the live recipients leave them out.
  std::int64_t owed_since_ns(std::uint32_t slot, std::int64_t due_ns, std::int64_t at_ns);
  [[nodiscard]] std::uint32_t fly(const Flight& flight);
  void launch(std::int64_t at_ns, std::uint32_t index);
  void land(std::uint32_t index) { free_flights_.push_back(index); }
  [[nodiscard]] bool in_session(const Flight& flight) const;
  [[nodiscard]] bool in_roll_call(std::uint32_t slot) const;

  // --- sessions (world_sessions.cpp)
  void attach(std::uint32_t node, std::uint32_t slot);
  void detach(std::uint32_t slot);
  void register_interest(std::uint32_t slot);
  /// Whether queues keep entries for the user of the slot: a device that they know of is away, or
  /// they know of none.
  [[nodiscard]] bool queues_wait_for(std::uint32_t slot) const;
  /// Counts the user among its channels' waiting members, or no more; `waited`: what it was.
  void note_waiting(std::uint32_t slot, bool waited);
  void plan_catch_up(std::uint32_t slot, Sync& sync);
  void plan_round(std::uint32_t slot, std::span<const std::uint32_t> held, Sync& sync);
  void plan_again(std::uint32_t slot, Sync& sync);
  void collect_records(const core::ChannelSync& channel, Sync& sync);
  [[nodiscard]] std::span<const std::uint32_t> records_of(std::uint32_t channel);
  void send_page(std::uint32_t slot, std::uint32_t flight);
  void flush_flight(std::uint32_t slot, std::uint32_t bytes, std::uint32_t flight);
  [[nodiscard]] std::uint32_t received_up_to(std::uint32_t slot, std::uint32_t channel) const;
  [[nodiscard]] static std::uint64_t pair_key(std::uint32_t slot, std::uint32_t channel) {
    return (static_cast<std::uint64_t>(slot) << 32U) | channel;
  }
  void lower(std::uint32_t slot, std::uint32_t channel, std::uint32_t below_id);
  void free_sync(std::uint32_t slot);
  [[nodiscard]] std::uint32_t new_sync();
  [[nodiscard]] std::int64_t next_cut(std::uint32_t slot);
  [[nodiscard]] MessageId covered_of(std::uint32_t channel) const;
  /// What every device holds of the channel when the window opens: its creation and the pre-fill.
  [[nodiscard]] std::uint32_t start_of(std::uint32_t channel) const {
    return 1 + (plan_.prefill_count() == 0 ? 0 : plan_.prefill_in(channel));
  }
  void assign_starts(std::uint32_t slot, std::vector<std::uint32_t>& held) const;
  void note_fillers();

  // --- who is there (world_presence.cpp); nothing where no session subscribes
  void begin_presence();
  void settle_presence();
  void end_presence();
  [[nodiscard]] bool is_present(std::uint32_t user) const;
  void partners_of(std::uint32_t slot, std::size_t most, std::vector<std::uint32_t>& out) const;
  void subscribe_presence(std::uint32_t slot);
  void unsubscribe_presence(std::uint32_t slot);
  void presence_came(std::uint32_t slot);
  void presence_left(std::uint32_t slot);
  void tell_presence(std::uint32_t user, core::PresenceNews news);
  void notify(std::uint32_t slot, std::uint32_t user);
  void plan_look(std::uint32_t user);
  void schedule_presence(std::uint32_t node);
  [[nodiscard]] bool stale_presence(const Event& event) const;
  void presence_turn(std::uint32_t node);
  void tell_session(std::uint32_t slot, std::span<const std::uint32_t> users);
  void complete_notices();

  // --- nodes (world_turns.cpp)
  void arrive(std::uint32_t node, ArrivalKind kind, std::uint32_t index, std::uint32_t begin = 0,
              std::uint32_t end = 0);
  void beat(std::uint32_t node, std::int64_t until_ns);
  void computed_frame(std::uint32_t node, std::uint32_t bytes, std::int64_t at_ns);
  void small_turn(Node& node, std::int64_t at_ns);
  void run_turn(std::uint32_t node);
  void take(std::uint32_t node, const Arrival& arrival);
  void take_flight(std::uint32_t node, std::uint32_t index);
  void observe_load(Node& node);
  /// Why the node cannot take a request that appends, by its own queues: for how long.
  [[nodiscard]] std::optional<Duration> refuses_append(const Node& node) const;
  void refuse_send(std::uint32_t node, std::uint32_t send, Duration retry_after);
  void refuse_login(std::uint32_t flight, Duration retry_after);
  void decide_send(std::uint32_t node, std::uint32_t send);
  /// Reads from the log what a send is about, as an owner does before it decides.
  void read_target(const SendFrame& frame);
  void count_kind(const Record& record);
  // Typing notices (world_typing.cpp).
  void take_typing(std::uint32_t node, std::uint32_t flight);
  void tell_typing(std::uint32_t node, const Flight& typing);
  void deliver_typing(const Flight& typing, std::span<const std::uint32_t> members);
  void add_record(std::uint32_t node, Record record);
  void answer(std::uint32_t flight);
  void answer_from(std::uint32_t node, const Flight& flight);
  void became_durable(std::uint32_t node, std::uint32_t record);
  void acknowledge(std::uint32_t node, std::uint32_t record, std::uint32_t durable);
  void send_due_acks(std::uint32_t node);
  /// Its ack waits for its queue entries: meanwhile its sender gets it as everybody does.
  [[nodiscard]] bool acks_wait(std::uint32_t channel) const;
  void fan_out(std::uint32_t node, std::uint32_t record);
  static void hold(std::uint32_t record, Sync& sync);
  void deliver(std::uint32_t record, std::span<const std::uint32_t> members);
  [[nodiscard]] std::uint32_t new_relay(std::uint32_t record);
  void relay_arrived(std::uint32_t relay);
  void queue_batches_arrived(std::uint32_t record);
  void buffer_entries(Node& node, std::uint32_t record, std::uint64_t entries,
                      std::uint64_t waiting);
  /// Of the records that entries carry, where they are copies.
  [[nodiscard]] std::uint64_t copied_bytes(std::uint32_t what, std::uint64_t entries) const;
  void spread_entries(std::span<const std::uint32_t> queued);
  void queue_entries(std::uint32_t node, const QueueBatch& batch, std::int64_t at_ns);
  void complete_turn(std::uint32_t node);
  void leave_node(std::uint32_t node, std::int64_t decided_ns);
  void commit_handed(std::uint32_t node);
  void start_commit(std::uint32_t node);
  void commit_done(std::uint32_t node);
  void start_queueing(std::uint32_t node);
  void queue_done(std::uint32_t node);
  [[nodiscard]] std::int64_t stretched(std::int64_t ns, std::uint32_t others) const;
  [[nodiscard]] std::uint32_t busy_threads(const Node& node) const;
  void interested_nodes(std::uint32_t channel);
  void device_ack(std::uint32_t slot);
  void acknowledge(std::uint32_t slot, std::int64_t at_ns);
  [[nodiscard]] std::uint32_t device_ack_bytes(std::uint32_t slot) const;
  /// Counts a frame from a client that the turn takes in.
  void frame_in(std::uint32_t bytes);

  // --- servers that die (world_kills.cpp)
  void push_own(std::int64_t at_ns, EventKind kind, std::uint32_t node) {
    push(at_ns, kind, node | nodes_[node].life << node_bits);
  }
  [[nodiscard]] bool of_a_former_life(const Event& event) const;
  void note_kills();
  void kill(std::uint32_t node);
  void lose_what_is_under_way(std::uint32_t node);
  void undo(std::uint32_t record);
  [[nodiscard]] MessageId ring_before(std::uint32_t record) const;
  void drop(std::uint32_t node, const Arrival& arrival);
  void restart(std::uint32_t node);
  /// Whether a login of that client needs a node that is down.
  [[nodiscard]] bool needs_what_is_down(std::uint32_t slot) const;

  // --- adaptive (world_modes.cpp)
  [[nodiscard]] bool adaptive() const { return settings_.design.design == QueueDesign::adaptive; }
  void note_reads(std::uint32_t slot);
  void set_design(core::ChannelSync& one, std::uint32_t slot) const;
  void follow_modes(std::uint32_t node, std::uint32_t channel);
  void take_modes(std::uint32_t record);
  /// Valid until the next call.
  [[nodiscard]] std::span<const std::uint32_t> queued_members(std::uint32_t channel);
  [[nodiscard]] std::uint64_t user_partitions_of(std::uint32_t channel,
                                                 std::span<const std::uint32_t> queued);
  [[nodiscard]] std::uint64_t waiting_of(std::uint32_t channel,
                                         std::span<const std::uint32_t> queued) const;

  // --- judgement (world_result.cpp)
  void check_invariants();
  [[noreturn]] void broken(const std::string& law) const;
  void expect_equal(const std::string& law, std::uint64_t a, std::uint64_t b) const;
  [[nodiscard]] std::uint64_t hash_of(const report::RunResult& result) const;
  [[nodiscard]] report::ServerFacts server_facts() const;
  [[nodiscard]] std::uint64_t resident_bytes() const;
  /// Records whose queue entries are not applied yet, of the server that has most. O(nodes).
  [[nodiscard]] std::uint64_t worst_lag() const;

  // --- tracing
  [[nodiscard]] bool traced_slot(std::uint32_t slot) const {
    return settings_.trace_user && topology_.user_of(slot) == *settings_.trace_user;
  }
  [[nodiscard]] bool traced(std::uint32_t slot, std::uint32_t channel) const {
    return tracing_ && (traced_slot(slot) || settings_.trace_channel == channel);
  }
  void trace(std::uint32_t slot, std::int64_t at_ns, const std::string& what) const;

  const Topology& topology_;
  const scenario::Plan& plan_;
  WorldSettings settings_;
  std::int64_t duration_ns_ = 0;
  std::int64_t client_delay_ns_ = 0;
  std::int64_t node_delay_ns_ = 0;
  std::int64_t accept_ps_ = 0;
  std::int64_t login_ps_ = 0;
  std::int64_t head_comparison_ps_ = 0;
  std::int64_t scan_ps_ = 0;
  std::int64_t scan_record_ps_ = 0;
  std::int64_t log_seek_ps_ = 0;
  TurnCosts turn_costs_;
  CommitCosts commit_costs_;
  QueueCosts queue_costs_;
  core::QueueFlushLimits queue_flush_limits_;
  bool fsync_ = false;
  bool ack_after_fanout_ = false;
  std::uint32_t cores_ = 1;

  // Virtual time.
  TimingWheel events_;
  std::int64_t now_ns_ = 0;
  std::uint64_t popped_ = 0;
  std::array<Event, 16> recent_{};
  bool started_ = false;  ///< The window has begun; before it everybody logs in.
  bool stopped_ = false;
  bool rolling_ = false;  ///< The roll call has begun.

  // Clients, by slot.
  loadgen::UserSettings user_settings_;
  loadgen::OutboxPool outbox_;
  std::vector<loadgen::VirtualUser> users_;
  std::vector<Session> sessions_;
  std::vector<std::int64_t> timer_event_ns_;
  std::vector<std::uint8_t> away_;  ///< In a planned absence.
  std::vector<std::int64_t> away_from_ns_;
  std::vector<std::int64_t> opened_ns_;  ///< When the present connection was begun.
  std::vector<std::uint8_t> news_;       ///< Holds more than it last acknowledged.
  std::vector<std::int64_t> said_ns_;    ///< When that was.
  std::vector<std::uint8_t> ever_attached_;
  std::vector<std::uint8_t> has_missed_;
  std::vector<Sync> syncs_;
  std::vector<std::uint32_t> free_syncs_;
  /// Lowest id, by (slot, channel), whose delivery completes after its session's known end.
  std::unordered_map<std::uint64_t, std::uint32_t> missed_;

  // The plan's typing notices, streaming as its sends do. Empty where there are none.
  struct {
    std::vector<scenario::Send> sends;
    std::size_t at = 0;
    std::uint32_t block = 0;
    std::vector<std::int64_t> may_type_ns;  ///< By slot.
  } typing_;

  // The plan's sends, streaming.
  std::vector<scenario::Send> sends_;
  std::size_t send_at_ = 0;
  std::uint32_t send_block_ = 0;

  // Channels and the log.
  std::vector<core::ChannelHead> heads_;
  std::vector<std::uint32_t> run_begun_;  ///< By channel: the owner's flush number then, plus 1.
  std::vector<std::uint32_t> kept_runs_;  ///< By channel: those that wait for that flush.
  std::vector<std::uint32_t> waiting_;    ///< By channel: members for whom queues keep entries.
  std::vector<std::uint32_t> last_record_;
  std::vector<std::uint32_t> class_begin_;  ///< First channel of each class, and the end.
  std::vector<Record> records_;
  std::vector<RecordState> record_states_;
  /// Records of a busy channel by id, from the first after start_of() on: made when a catch-up
  /// first walks its long chain.
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> records_by_id_;
  std::vector<std::uint32_t> previous_record_;  ///< Of the same channel; none: at the start.
  Modes modes_;                                 ///< Under adaptive only.
  DedupTable dedup_;
  std::uint32_t sequence_ = 1;  ///< Orders logins, ends and commits.

  // Things on their way.
  std::vector<SendFrame> frames_;
  std::vector<std::uint32_t> free_frames_;
  std::vector<Relay> relays_;
  std::vector<std::uint32_t> free_relays_;
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> free_flights_;

  // Nodes.
  std::vector<Node> nodes_;
  std::uint32_t down_nodes_ = 0;
  std::uint32_t kills_ = 0;
  std::vector<std::vector<bool>> killed_;  ///< By fault, by node; empty where it kills none.
  std::unordered_map<std::uint32_t, std::int64_t> cut_off_ns_;  ///< By slot: by a fault, not back.
  std::unique_ptr<WorldPresence> presence_;  ///< Null: nobody subscribes, or none any more.
  Turn turn_;
  Outgoing out_;

  // Scratch.
  std::vector<loadgen::Action> actions_;
  std::vector<Arrival> arrivals_;
  std::vector<std::uint32_t> committed_;
  std::vector<scenario::Absence> absences_;
  std::vector<core::ChannelSync> channel_syncs_;
  core::SyncPlan sync_plan_;
  std::vector<core::NodeRun> node_runs_;
  core::LivePlan live_plan_;
  std::vector<std::uint32_t> entries_at_node_;
  std::vector<std::uint32_t> touched_nodes_;
  std::vector<std::uint32_t> applied_;  ///< A record of each owner that is to hear of the batch.

  // What is counted.
  Metrics metrics_;
  Operations operations_;
  LedgerTotals ledger_;
  std::vector<std::uint64_t> expected_by_class_;
  std::vector<std::uint64_t> delivered_by_class_;
  std::uint64_t undone_records_ = 0;
  std::uint64_t connected_ = 0;
  std::uint64_t recipients_ = 0;
  std::uint64_t heartbeats_ = 0;
  std::uint64_t uncovered_max_ = 0;  ///< Of the worst server, as one live server counts.
  std::uint64_t arrived_ = 0;
  std::uint64_t taken_ = 0;
  std::int64_t wake_ns_ = 0;
  std::int64_t measured_ns_ = 0;  ///< Of the window: less than duration_ns_ where it was stopped.
  std::int64_t window_busy_ns_ = 0;
  std::uint64_t window_device_bytes_ = 0;
  std::uint64_t resident_max_ = 0;
  std::uint64_t prefill_entries_ = 0;
  std::int64_t batch_busy_ns_ = 0;
  bool tracing_ = false;
  bool drained_ = true;
};

}  // namespace clamor::sim
