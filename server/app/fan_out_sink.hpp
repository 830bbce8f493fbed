#pragma once

#include "server/app/node_context.hpp"
#include "server/app/users.hpp"
#include "server/bus/messages.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace clamor::server {

/// The consuming end of durable fan-out: takes batches from the owners of channels, in order and
/// each once, and has the queue writer apply what they owe this node's users. Its cursors say how
/// far it has each partition's journal. One I/O thread.
class FanOutSink {
 public:
  /// @pre all outlive it.
  FanOutSink(boost::asio::io_context& io, store::Store& store, NodeContext& node, Users& users);

  void handle(NodeId from, bus::FanOutBatch&& batch);
  void handle(NodeId from, bus::FanOutAsk&& ask);
  void handle(NodeId from, bus::FanOutCaughtUp&&) { source(from).caught_up = true; }
  /// Takes what a device of this node's users holds; the writer gets it at the turn's end.
  void report(core::DeviceReport report) { reports_.push_back(std::move(report)); }
  void end_turn();
  /// Whether every source has caught up since the start: before, users' lists may lack channels
  /// whose rows a kill has undone.
  [[nodiscard]] bool complete() const;
  /// Whether a node that is down keeps it from being complete.
  [[nodiscard]] bool lacks_node() const;

  /// Reads cursors and users' channels. Nothing may be under way.
  [[nodiscard]] store::Result<void> recover();
  /// Waits until everything taken is applied; false where it cannot be.
  [[nodiscard]] bool drain() { return writer_->drain(); }
  /// Forgets what is not applied, so that the store may be reopened.
  void discard();
  /// Tells every source what it has: they redo the rest.
  void announce();
  /// Has rows of an own journal deleted: every consumer has them.
  void trim(store::JournalPlace place) { writer_->trim(place); }
  void tell_cursors(NodeId source, std::uint32_t stream);
  [[nodiscard]] bus::FanOutCursors cursors_for(NodeId source) const;
  /// Fan-outs taken and not applied.
  [[nodiscard]] std::size_t backlog() const { return taken_batches_.size(); }

 private:
  void on_queued(const store::QueueOutcome& outcome, std::uint64_t epoch);

  struct Source {
    NodeId node;
    std::uint32_t stream = 0;   ///< The latest seen.
    std::uint32_t refused = 0;  ///< Told once that it does not continue what is here.
    bool caught_up = false;     ///< Since the start.
  };
  struct Taken {
    NodeId source;
    std::uint32_t stream = 0;
    std::vector<store::JournalPlace> places;
  };
  [[nodiscard]] Source& source(NodeId node);

  boost::asio::io_context& io_;
  store::Store& store_;
  NodeContext& node_;
  Users& users_;
  std::vector<Source> sources_;
  std::vector<JournalSequence> taken_;       ///< By partition.
  std::vector<JournalSequence> flushed_;     ///< By partition.
  std::deque<Taken> taken_batches_;          ///< At the writer.
  std::vector<core::DeviceReport> reports_;  ///< Of this turn.
  /// Outcomes of batches from before a rebuild are not in taken_batches_.
  std::atomic<std::uint64_t> epoch_{0};
  std::unique_ptr<store::QueueWriter> writer_;
};

}  // namespace clamor::server
