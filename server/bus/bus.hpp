#pragma once

#include "server/base/id.hpp"
#include "server/bus/messages.hpp"

namespace clamor::bus {

/// What a node hears of others. All calls on the node's I/O thread.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// A message of another node, or of the receiver's own.
  virtual void receive(NodeId from, Message message) = 0;
};

/// One node's way to others and to itself. All calls on the node's I/O thread.
class Bus {
 public:
  virtual ~Bus() = default;
  /// To the node itself: a call of receive(), made before this returns. To another: leaves at the
  /// end of the turn, in one parcel a node; messages of two nodes stay in order.
  virtual void send(NodeId to, Message message) = 0;
};

}  // namespace clamor::bus
