#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace clamor::sim {

/// What one core's turn is made of, in integer picoseconds so that sums are exact and the same on
/// every machine.
struct TurnCosts {
  std::int64_t wake_ps = 0;        ///< c_wake: before a turn that finds the core asleep.
  std::int64_t turn_ps = 0;        ///< c_turn: once a turn.
  std::int64_t frame_ps = 0;       ///< c_in: each frame taken in.
  std::int64_t frame_byte_ps = 0;  ///< b: each byte of it.
  std::int64_t post_ps = 0;        ///< c_post: each hand-off between threads or nodes.
  std::int64_t flush_ps = 0;       ///< c_flush: each dirty session, once.
  std::int64_t message_ps = 0;     ///< c_msg: each message in a flush.
  std::int64_t byte_ps = 0;        ///< c_byte: each byte of a flush.
};

/// One turn of one core, a gated batch server (sim/MODEL.md):
///   T = [c_wake +] c_turn + sum frames (c_in + b bytes) + sum hand-offs c_post + other work
///     + sum dirty sessions (c_flush + c_msg k + c_byte bytes).
/// Sessions are flushed once, in the order in which they became dirty; each completes at its
/// prefix sum. One object serves all cores of a world in turn; it keeps one slot a session.
class Turn {
 public:
  struct Dirty {
    std::uint32_t session = 0;
    std::uint32_t messages = 0;
    std::uint64_t bytes = 0;
    std::int64_t completed_ns = 0;  ///< Set by flush().
  };

  Turn(const TurnCosts& costs, std::size_t sessions);

  /// Starts a turn at `start_ns`, forgetting the last one. It takes stretch_up / stretch_down times
  /// its work, where the core is shared. O(dirty sessions of the last one). No wake is in it: the
  /// caller knows whether the core was idle, and adds one by wake().
  void begin(std::int64_t start_ns, std::int64_t stretch_up = 1, std::int64_t stretch_down = 1);
  void frames(std::uint64_t count, std::uint64_t bytes) {
    spent_ps_ += static_cast<std::int64_t>(count) * costs_.frame_ps +
                 static_cast<std::int64_t>(bytes) * costs_.frame_byte_ps;
  }
  void posts(std::uint64_t count) {
    spent_ps_ += static_cast<std::int64_t>(count) * costs_.post_ps;
  }
  void work(std::int64_t ps) { spent_ps_ += ps; }
  void wake() {
    wake_ps_ = costs_.wake_ps;
    work(wake_ps_);
  }
  /// Appends a message to what `session` gets at the flush; returns its index in dirty().
  std::uint32_t send(std::uint32_t session, std::uint32_t bytes) {
    std::uint32_t& slot = slot_of_session_[session];
    if (slot == clean) {
      slot = static_cast<std::uint32_t>(dirty_.size());
      dirty_.push_back({session, 0, 0, 0});
    }
    Dirty& dirty = dirty_[slot];
    ++dirty.messages;
    dirty.bytes += bytes;
    return slot;
  }
  /// Closes the turn: gives every dirty session its completion. O(dirty sessions).
  void flush();

  [[nodiscard]] std::int64_t start_ns() const { return start_ns_; }
  /// When the decisions are done and hand-offs leave; before flush() only.
  [[nodiscard]] std::int64_t decided_ns() const { return start_ns_ + elapsed(spent_ps_); }
  /// When the turn is over; after flush().
  [[nodiscard]] std::int64_t end_ns() const { return start_ns_ + elapsed(spent_ps_); }
  /// The work in the turn, however long it took.
  [[nodiscard]] std::int64_t spent_ns() const { return round_up(spent_ps_); }
  /// The same without the wake before it.
  [[nodiscard]] std::int64_t spent_awake_ns() const { return round_up(spent_ps_ - wake_ps_); }
  [[nodiscard]] std::span<const Dirty> dirty() const { return dirty_; }

 private:
  static constexpr std::uint32_t clean = 0xFFFFFFFF;
  [[nodiscard]] static std::int64_t round_up(std::int64_t ps) { return (ps + 999) / 1000; }

  [[nodiscard]] std::int64_t elapsed(std::int64_t ps) const {
    return round_up(ps * stretch_up_ / stretch_down_);
  }

  TurnCosts costs_;
  std::int64_t start_ns_ = 0;
  std::int64_t stretch_up_ = 1;
  std::int64_t stretch_down_ = 1;
  std::int64_t spent_ps_ = 0;
  std::int64_t wake_ps_ = 0;  ///< In it.
  std::vector<Dirty> dirty_;
  std::vector<std::uint32_t> slot_of_session_;
};

/// A gated batch server: takes everything that waits, works on it, completes it all at once. A
/// batch costs S = c_batch + the work of what is in it.
class BatchStation {
 public:
  /// Adds work that now waits. True: the station is idle, the caller calls start().
  [[nodiscard]] bool add(std::uint64_t records, std::int64_t work_ps, std::int64_t now_ns) {
    pass_time(now_ns);
    waiting_records_ += records;
    waiting_ps_ += work_ps;
    return !busy_;
  }
  /// Takes all that waits; returns when the batch completes. @pre idle, something waits.
  [[nodiscard]] std::int64_t start(std::int64_t now_ns, std::int64_t batch_ps);
  /// Completes the batch. True: more waits, the caller calls start().
  [[nodiscard]] bool finish(std::int64_t now_ns) {
    pass_time(now_ns);
    busy_ = false;
    batch_records_ = 0;
    return waiting_records_ != 0;
  }

  /// Everything in it is lost, the batch at work included.
  void drop(std::int64_t now_ns) {
    pass_time(now_ns);
    busy_ = false;
    waiting_records_ = batch_records_ = 0;
    waiting_ps_ = 0;
  }

  [[nodiscard]] std::uint64_t waiting_records() const { return waiting_records_; }
  [[nodiscard]] std::uint64_t batch_records() const { return batch_records_; }
  /// Everything taken in and not yet completed.
  [[nodiscard]] std::uint64_t backlog_records() const { return waiting_records_ + batch_records_; }
  [[nodiscard]] std::int64_t busy_ns() const { return busy_ns_; }
  /// The time integral of the backlog, modulo 2^64: by Little's law what its records spent here.
  [[nodiscard]] std::uint64_t backlog_area_ns() const { return backlog_area_ns_; }

 private:
  void pass_time(std::int64_t now_ns) {
    backlog_area_ns_ += backlog_records() * static_cast<std::uint64_t>(now_ns - changed_ns_);
    changed_ns_ = now_ns;
  }

  std::uint64_t backlog_area_ns_ = 0;
  std::int64_t changed_ns_ = 0;
  std::uint64_t waiting_records_ = 0;
  std::int64_t waiting_ps_ = 0;
  std::uint64_t batch_records_ = 0;
  std::int64_t busy_ns_ = 0;
  bool busy_ = false;
};

}  // namespace clamor::sim
