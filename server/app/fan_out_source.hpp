#pragma once

#include "server/app/channels.hpp"
#include "server/app/node_context.hpp"
#include "server/bus/messages.hpp"
#include "server/core/fan_out.hpp"
#include "server/store/store.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace clamor::server {

/// The sending end of durable fan-out: a redo from the journals of the own partitions, one stream
/// of batches to each node that holds users (its own among them). While all goes well a batch
/// follows each commit; a consumer that lost something, or was away, is served from the journal
/// until it has caught up. A consumer that is down delays no ack; the lag counts what it lacks, and
/// senders are slowed once that reaches its bound.
/// One I/O thread.
class FanOutSource {
 public:
  /// @pre both outlive it.
  FanOutSource(const store::Store& store, NodeContext& node);

  /// Sends what a durable commit owes, to all who are served.
  void publish(Channels::Planned planned, std::uint64_t records);
  /// The commit published last holds back so many acks.
  void hold_acks(std::size_t acks) { pending_.back().acks = acks; }
  /// Takes up what consumers have applied, and who is down. Returns how many acks, the oldest
  /// first, wait for nothing any more.
  [[nodiscard]] std::size_t settle(Channels& channels);

  void handle(NodeId from, const bus::FanOutCursors& cursors, Channels& channels);
  void handle(NodeId from, const bus::FanOutApplied& applied, Channels& channels);
  void handle(NodeId from, const bus::FanOutFlushed& flushed);
  /// Up to where the own journals serve no consumer any more; each is said once.
  [[nodiscard]] std::vector<store::JournalPlace> trimmable();

  /// By partition: up to where the own journals are published; 0 for others'.
  [[nodiscard]] const std::vector<JournalSequence>& ends() const { return ends_; }
  /// Whether every consumer has flushed the own journals up to these ends.
  [[nodiscard]] bool all_flushed(std::span<const JournalSequence> ends) const;

  void on_node_up(NodeId node);
  void on_node_down(NodeId node);
  /// Tells consumers how far the journals are whose latest records owe them nothing, asks again
  /// those that have not said where they are.
  void tick();

  // --- recovery
  /// Takes up the journals' ends, forgets what is under way, and asks consumers where they are.
  void restart(const Channels& channels);
  struct Redone {
    std::uint64_t rows = 0;  ///< 0: nothing was left to redo.
    std::uint64_t entries = 0;
  };
  /// Begins the own node's stream at its cursors.
  void begin_own(const bus::FanOutCursors& cursors);
  /// Sends the own node's next rows from the journal.
  [[nodiscard]] store::Result<Redone> redo_own(Channels& channels);

  [[nodiscard]] std::uint64_t lag_records() const { return lag_records_; }
  [[nodiscard]] std::uint64_t lag_entries() const { return lag_entries_; }

 private:
  enum class State : std::uint8_t {
    down,
    asked,    ///< Where it is, it is still to say. tick() asks again.
    redoing,  ///< From the journal: what is sent is to be applied before more follows.
    live,     ///< Gets each commit.
  };
  struct Consumer {
    NodeId node;
    State state = State::down;
    std::uint32_t stream = 0;
    std::vector<JournalSequence> sent;  ///< By partition, like the others.
    std::vector<JournalSequence> applied;
    std::vector<JournalSequence> flushed;
  };
  struct Pending {
    std::vector<core::RecordRun> runs;
    std::vector<store::JournalPlace> places;
    std::uint64_t owed = 0;  ///< Bit i: the i-th consumer.
    std::uint64_t records = 0;
    std::uint64_t entries = 0;
    std::size_t acks = 0;
  };

  [[nodiscard]] Consumer& consumer(NodeId node);
  enum class By : std::uint8_t { all, those_up };
  [[nodiscard]] bool is_applied(const Pending& pending, By whom) const;
  void ask(Consumer& consumer);
  void send(Consumer& consumer, store::FanOut&& fan_out,
            std::span<const store::JournalPlace> up_to);
  /// Moves what is one consumer's out of a plan for all.
  [[nodiscard]] store::FanOut part_of(const store::FanOut& whole, NodeId node) const;
  void begin_stream(Consumer& consumer, const bus::FanOutCursors& cursors);
  [[nodiscard]] store::Result<Redone> redo(Consumer& consumer, Channels& channels);
  /// As redo(); where the store cannot be read, it is tried again from what the consumer has then.
  void try_redo(Consumer& consumer, Channels& channels);

  const store::Store& store_;
  NodeContext& node_;
  std::vector<PartitionId> own_;  ///< The own partitions.
  std::vector<Consumer> consumers_;
  std::vector<JournalSequence> ends_;     ///< By partition: published up to here.
  std::vector<JournalSequence> trimmed_;  ///< By partition.
  std::deque<Pending> pending_;           ///< Commits that some consumer has not applied.
  std::size_t settled_ = 0;  ///< So many of them, the oldest, wait for consumers that are down.
  std::uint64_t lag_records_ = 0;
  std::uint64_t lag_entries_ = 0;
};

}  // namespace clamor::server
