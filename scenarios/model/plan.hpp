#pragma once

#include "scenarios/model/permutation.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/base/id.hpp"
#include "server/base/time.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clamor::scenario {

/// Stands for "no user".
inline constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();

/// One planned send. Times count from the start of the measured window.
struct Send {
  Instant due;
  std::uint64_t ordinal = 0;  ///< Dense over the plan, ascending in `due`.
  std::uint32_t client = 0;   ///< Sending device; its user is not in a planned absence at `due`
                              ///< (unless nobody is present: then the send waits in an outbox).
  std::uint32_t channel = 0;
  std::uint32_t bytes = 0;  ///< Length of the text: 0 for a deletion.
  SendKind kind = SendKind::message;
  std::uint32_t mentioned = nobody;  ///< A user whom the message mentions.
  /// Names a message and the edit or deletion that its sender makes of it, which comes later; 0 for
  /// all others. A reply or a reaction is about any message of its channel but those.
  std::uint64_t pair = 0;
};

struct Absence {
  Instant from;
  Instant until;  ///< Excluded. Instant::max(): to the end. == from: reconnects at once (traces).
};

/// The pure plan that a scenario and a seed make: who exists, who belongs where, who is away when,
/// who sends what when. It never looks at run state, so load generator and simulator, every
/// worker, rank and design see the same one. Indices are dense: users [0, users()), clients
/// [0, clients()), channels [0, channels()). Immutable after construction; safe to share between
/// threads. A user's channels and a channel's members are each computed without the rest
/// (seeded invertible permutations), so the plan's memory does not grow with the population
/// (a trace's events are kept).
class Plan {
 public:
  /// @pre the scenario passed its check; already scaled. @throws ScaleError.
  explicit Plan(const Scenario& scenario);

  [[nodiscard]] const Scenario& scenario() const { return scenario_; }

  // --- population: client i < users() is device 1 of user i; further devices follow
  [[nodiscard]] std::uint32_t users() const { return users_; }
  [[nodiscard]] std::uint32_t clients() const { return clients_; }
  [[nodiscard]] std::uint32_t user_of(std::uint32_t client) const;
  [[nodiscard]] std::uint32_t device_of(std::uint32_t client) const;  ///< From 1.
  [[nodiscard]] std::uint32_t devices_of(std::uint32_t user) const;
  [[nodiscard]] std::uint32_t client_of(std::uint32_t user, std::uint32_t device) const;

  // --- channels: classes() in order, `direct` first where there are contacts
  [[nodiscard]] std::uint32_t channels() const { return channels_; }
  [[nodiscard]] std::uint32_t classes() const;
  [[nodiscard]] std::string_view class_name(std::uint32_t index) const;
  [[nodiscard]] std::uint32_t class_of(std::uint32_t channel) const;    ///< O(log classes).
  [[nodiscard]] std::uint32_t members_in(std::uint32_t channel) const;  ///< O(log classes).
  /// Appends the channel's members (users), each once. O(members).
  void members(std::uint32_t channel, std::vector<std::uint32_t>& out) const;
  /// Appends the user's channels, ascending. O(channels of the user).
  void channels_of(std::uint32_t user, std::vector<std::uint32_t>& out) const;

  // --- presence
  /// Whether the user connects only for the roll call (a class's offline members).
  [[nodiscard]] bool dormant(std::uint32_t user) const;
  /// Appends the user's planned absences in [0, duration), ascending, disjoint. dormant: one.
  void absences(std::uint32_t user, std::vector<Absence>& out) const;
  [[nodiscard]] bool absent(std::uint32_t user, Instant at) const;
  /// End of the planned absence that covers `at`, or `at` itself.
  [[nodiscard]] Instant present_from(std::uint32_t user, Instant at) const;

  // --- traffic
  [[nodiscard]] Duration duration() const { return duration_; }
  /// Sends come in blocks of time, so that a million clients' traffic streams.
  [[nodiscard]] std::uint32_t send_blocks() const;
  /// Appends the block's sends, ascending in (due, ordinal). Blocks ascend.
  void sends(std::uint32_t block, std::vector<Send>& out) const;
  [[nodiscard]] std::uint64_t send_count() const;

  // --- pre-fill: what the channels hold when the measured window opens. Known to every device, as
  // a channel's creation is, so that no return is measured by it.
  [[nodiscard]] std::uint64_t prefill_count() const { return scenario_.prefill_messages; }
  /// Messages of the channel: its class has the share of the workloads' messages that they send
  /// there, and its channels equally many. O(log classes).
  [[nodiscard]] std::uint32_t prefill_in(std::uint32_t channel) const;
  /// The member (user) who sends all of them, by device 1; whether away in the window or not.
  [[nodiscard]] std::uint32_t prefill_sender(std::uint32_t channel) const;
  /// Body length of the channel's message `number`, from 0: as the workloads' in its class.
  [[nodiscard]] std::uint32_t prefill_bytes(std::uint32_t channel, std::uint32_t number) const;

  // --- faults
  /// Whether fault `index` of the scenario disconnects the client by itself. (Whom a kill cuts off
  /// the placement of clients says.)
  [[nodiscard]] bool hits(std::uint32_t fault, std::uint32_t client) const;
  /// Whether fault `index` kills server `server` of `servers`: its share of them, at least one.
  [[nodiscard]] bool kills(std::uint32_t fault, std::uint32_t server, std::uint32_t servers) const;

  // --- names on the wire and in the log
  [[nodiscard]] static UserId user_id(std::uint32_t user) { return {user + 1ULL}; }
  [[nodiscard]] static ChannelId channel_id(std::uint32_t channel) { return {channel + 1ULL}; }

  /// Fingerprint of everything above; equal plans have equal ones. O(users + channels + sends).
  [[nodiscard]] std::uint64_t fingerprint() const;

 private:
  /// Channels [first, first + count) of one size. Class `direct` is built like the groups: each
  /// round deals all users out to per_round channels by a permutation of its own, so a channel's
  /// members are distinct and a user has at most one channel a round.
  struct ChannelClass {
    std::string name;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t members = 0;
    std::uint32_t per_round = 0;
    std::uint32_t online = 0;         ///< Slots of a channel that connect before the roll call.
    std::uint64_t prefill = 0;        ///< Messages of all its channels.
    std::vector<Permutation> rounds;  ///< Empty for a trace: slot s of channel c is user c*M + s.
  };
  struct Seat {
    const ChannelClass* channel_class;
    std::uint32_t slot;  ///< First of the channel's slots in its round.
    std::uint32_t round;
  };
  struct AwayRange {
    std::uint32_t end = 0;  ///< Ranks below it (and not below the range before) follow `away`.
    Away away;
  };
  struct Mix {
    std::vector<double> up_to;  ///< Cumulative shares, ascending to 1.
    std::vector<std::uint32_t> class_index;
    std::vector<double> sends;  ///< Planned, by class as above.
  };
  struct Draft {  ///< An arrival before its sender is drawn.
    Instant due;
    std::uint64_t arrival = 0;  ///< Of its workload, dense from 0; for a trace: index of the send.
    std::uint32_t workload = 0;
    std::uint32_t copy = 0;  ///< trace only
    bool operator<(const Draft& other) const;
  };
  /// How a workload's sends come to be about others: every second arrival may be about the one
  /// `lag` before it, which is about none. So each has at most one send about it, and what is
  /// deleted is the target of nothing else.
  struct Kinds {
    std::array<double, send_kind_names.size()> up_to{1, 1, 1, 1, 1};  ///< Of every second arrival.
    std::uint64_t lag = 1;                                            ///< Odd.
    std::uint64_t arrivals = 0;                                       ///< Of the workload.
  };

  void lay_out_devices();
  void lay_out_channels();
  void lay_out_away();
  void lay_out_sends();
  void lay_out_kinds();
  void lay_out_trace();
  void lay_out_prefill();
  void add_class(const std::string& name, std::uint64_t count, std::uint32_t members,
                 double online);

  [[nodiscard]] Seat seat_of(std::uint32_t channel) const;
  [[nodiscard]] static Seat seat_in(const ChannelClass& in, std::uint32_t channel);
  [[nodiscard]] std::uint32_t member_at(const Seat& seat, std::uint32_t slot) const;
  template <class Visit>
  void visit_seats(std::uint32_t user, Visit visit) const;
  template <class Visit>
  void visit_absences(std::uint32_t user, Instant since, Visit visit) const;
  template <class Visit>
  void visit_away(std::uint32_t user, Instant since, Visit visit) const;
  template <class Visit>
  void visit_trace_absences(std::uint32_t user, Visit visit) const;
  [[nodiscard]] std::optional<Absence> absence_at(std::uint32_t user, Instant at) const;

  [[nodiscard]] std::uint64_t arrivals_before(const Workload& workload, Instant at) const;
  void draft_arrivals(std::uint32_t workload, Instant from, Instant until,
                      std::vector<Draft>& out) const;
  /// The arrival, of which the block [from, until) is known, cut to the workload.
  [[nodiscard]] Draft draft_in(std::uint32_t workload, std::uint64_t arrival, Instant from,
                               Instant until) const;
  /// The same, the block looked for. O(1).
  [[nodiscard]] Draft draft_of(std::uint32_t workload, std::uint64_t arrival) const;
  [[nodiscard]] Send complete(const Draft& draft) const;
  /// The draft as a message about nothing.
  [[nodiscard]] Send message(const Draft& draft) const;
  /// The draft as a send about an earlier one, where it is drawn to be and somebody can send it.
  [[nodiscard]] std::optional<Send> about(const Draft& draft) const;
  [[nodiscard]] SendKind drawn_kind(std::uint32_t workload, std::uint64_t arrival) const;
  /// Whether `opener`'s sender edits or deletes it.
  [[nodiscard]] bool has_pair(const Draft& opener, const Send& sent) const;
  [[nodiscard]] static std::uint64_t pair_of(const Draft& opener);
  [[nodiscard]] std::uint32_t draw_send_bytes(const Draft& draft) const;
  void add_mention(const Draft& draft, Send& send) const;
  /// (channel, user): a member of a channel of the class who is present at `due`.
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> draw_sender(const ChannelClass& in,
                                                                    std::uint64_t index,
                                                                    Instant due) const;
  /// A member other than `but` who is present at `due`, if there is one.
  [[nodiscard]] std::optional<std::uint32_t> draw_member(std::uint32_t channel, std::uint64_t index,
                                                         Instant due, std::uint32_t but) const;
  [[nodiscard]] std::uint32_t draw_device(std::uint32_t user, std::uint64_t index,
                                          std::uint32_t copy) const;
  [[nodiscard]] static std::uint64_t draw_index(std::uint32_t workload, std::uint64_t arrival);
  [[nodiscard]] Duration copy_offset(std::uint32_t copy) const;
  [[nodiscard]] std::uint64_t trace_sends_before(std::uint32_t copy, Instant at) const;
  void trace_sends(Instant from, Instant until, std::vector<Draft>& out) const;
  [[nodiscard]] Instant block_start(std::uint32_t block) const;
  [[nodiscard]] std::uint64_t sends_before(Instant at) const;

  Scenario scenario_;
  std::uint32_t users_ = 0;
  std::uint32_t clients_ = 0;
  std::uint32_t channels_ = 0;
  Duration duration_{};
  Permutation device_order_;
  std::vector<std::uint32_t> device_blocks_;  ///< [d]: first client of device d + 1; then clients_.
  std::vector<ChannelClass> classes_;
  bool any_dormant_ = false;
  Permutation away_order_;
  std::vector<AwayRange> away_;
  std::vector<Permutation> fault_orders_;
  std::vector<Mix> mixes_;    ///< One a workload.
  std::vector<Kinds> kinds_;  ///< One a workload.
  Duration block_{};
  std::vector<std::vector<Absence>> trace_absences_;  ///< By user of one copy.
  std::vector<TraceEvent> trace_sends_;
};

/// Servers of the plan's deployment: ceil(clients / clients_per_server), live and simulated.
[[nodiscard]] std::uint32_t servers_of(const Plan& plan);

}  // namespace clamor::scenario
