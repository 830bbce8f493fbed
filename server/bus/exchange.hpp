#pragma once

#include "server/base/id.hpp"
#include "server/bus/bus.hpp"
#include "server/bus/links.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace clamor::bus {

/// Connects nodes of one process: hands parcels to the receivers' I/O threads, and tells nodes of
/// each other's coming and going. Thread-safe; outlives its nodes' endpoints.
class Exchange {
 public:
  /// From here on the node receives. It is told of all others that are up, and they of it.
  /// @pre `io` and `receiver` live until disconnect(), and after it until `io` runs no more.
  void connect(NodeId node, Term term, boost::asio::io_context& io, Receiver& receiver);
  /// The others are told; what is on its way to the node is lost. @pre its I/O thread sends nothing
  /// any more.
  void disconnect(NodeId node);
  /// Hands messages to a node; drops them where it is not up under this term. Returns whether it
  /// is.
  bool deliver(NodeId from, NodeId to, Term term, std::vector<Message> messages);
  /// Messages handed to a node that it has not taken yet.
  [[nodiscard]] std::uint64_t waiting(NodeId node) const;

 private:
  struct Place {
    Term term;
    boost::asio::io_context* io = nullptr;
    Receiver* receiver = nullptr;
    std::shared_ptr<std::atomic<std::uint64_t>> waiting;
  };
  mutable std::mutex mutex_;
  std::unordered_map<NodeId, Place> up_;  // guarded by mutex_
};

/// A node's end of an exchange, and of its links where there are other processes.
class Endpoint final : public Bus {
 public:
  /// @pre all outlive it. `links` may be null.
  Endpoint(NodeId self, Receiver& receiver, Exchange& exchange, Links* links = nullptr)
      : self_{self}, receiver_{receiver}, exchange_{exchange}, links_{links} {}

  void send(NodeId to, Message message) override;
  void flush() override;
  [[nodiscard]] bool is_up(NodeId node) const override;
  [[nodiscard]] Backlog backlog() const override { return backlog_; }
  [[nodiscard]] std::uint64_t frames() const override { return frames_; }
  /// Messages in them, and in those that wait for the flush.
  [[nodiscard]] std::uint64_t messages() const { return messages_; }

  /// The receiver passes on what it is told of others.
  void set_up(NodeId node, Term term);
  void set_down(NodeId node);

 private:
  struct Peer {
    NodeId node;
    Term term;
    std::vector<Message> waiting;
  };
  [[nodiscard]] const Peer* find(NodeId node) const;

  const NodeId self_;
  Receiver& receiver_;
  Exchange& exchange_;
  Links* const links_;
  std::vector<Peer> peers_;  ///< Those of this process that are up.
  Backlog backlog_;          ///< As of the last flush.
  std::uint64_t frames_ = 0;
  std::uint64_t messages_ = 0;
};

}  // namespace clamor::bus
