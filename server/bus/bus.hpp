#pragma once

#include "server/base/id.hpp"
#include "server/bus/messages.hpp"

#include <cstdint>
#include <vector>

namespace clamor::bus {

/// What a node hears of itself and others. All calls on the node's I/O thread.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// A message of the receiver's own node.
  virtual void receive(NodeId from, Message message) = 0;
  /// What another node sent in one turn, in order.
  virtual void receive_all(NodeId from, std::vector<Message> messages) = 0;
  /// Another node can be reached from here on. Its term is one it never had before, unless it was
  /// only the link to it that was lost; what either end knew of the other is void all the same.
  virtual void on_node_up(NodeId node, Term term) = 0;
  /// Nothing comes from it any more; what was sent to it may or may not have arrived.
  virtual void on_node_down(NodeId node) = 0;
};

/// What waits for another node, of the one for which most does.
struct Backlog {
  std::uint64_t messages = 0;  ///< In this process: not taken yet.
  std::uint64_t bytes = 0;     ///< To another process: not in its socket yet.
};
/// Beyond these a node takes no further requests: they would wait for a node that does not keep up.
inline constexpr Backlog backlog_max{
    .messages = 200'000, .bytes = std::uint64_t{64} << 20U  ///< A quarter of what closes a link.
};
[[nodiscard]] constexpr bool is_full(const Backlog& backlog) {
  return backlog.messages > backlog_max.messages || backlog.bytes > backlog_max.bytes;
}

/// One node's way to others and to itself. All calls on the node's I/O thread.
class Bus {
 public:
  virtual ~Bus() = default;
  /// To the node itself: a call of receive(), made before this returns. To another: leaves at the
  /// next flush(), in one parcel a node; messages of two nodes stay in order. To one that is down:
  /// dropped.
  virtual void send(NodeId to, Message message) = 0;
  /// Sends what waits. Once a turn.
  virtual void flush() = 0;
  [[nodiscard]] virtual bool is_up(NodeId node) const = 0;
  /// As of the last flush().
  [[nodiscard]] virtual Backlog backlog() const { return {}; }
  /// Parcels sent to other nodes.
  [[nodiscard]] virtual std::uint64_t frames() const = 0;
};

}  // namespace clamor::bus
