#pragma once

#include "server/base/compact_vector.hpp"
#include "server/base/id.hpp"
#include "server/gateway/gateway.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace clamor::server {

/// Place of a channel in LiveChannels, dense from 0; stays the same while the process lives.
using LiveIndex = std::uint32_t;

/// A session that was added to a channel and still lacks records of it.
struct Joiner {
  gateway::SessionId session;
  MessageId next;        ///< The record it needs next; its join at first.
  bool reading = false;  ///< The channel's owner was asked for it.
};

/// An ack that must not overtake records of its channel.
struct HeldAck {
  gateway::SessionId session;
  MessageId id;
  gateway::SharedFrame frame;
};

/// A channel whose records local sessions want.
struct LiveChannel {
  ChannelId id;
  bool asked = false;       ///< Its owner was asked to send its records here.
  bool registered = false;  ///< And does. `relayed` means something.
  MessageId relayed;        ///< Sessions have, or are on their way to, every record up to here.
  MessageId repair_to;      ///< Above relayed: what was lost up to here is being read.
  CompactVector<std::uint32_t> slots;  ///< Of the sessions that get its records.
  CompactVector<Joiner> joiners;
  CompactVector<HeldAck> acks;

  [[nodiscard]] bool repairing() const { return repair_to > relayed; }
  [[nodiscard]] Joiner* joiner(gateway::SessionId session);
  void drop_joiner(gateway::SessionId session);
};

/// Which local sessions want which channel's records: the interest that a node registers with
/// channels' owners. A node stays registered, also without a session, so that reconnects need no
/// new registration. One I/O thread.
class LiveChannels {
 public:
  [[nodiscard]] std::optional<LiveIndex> find(ChannelId channel) const;
  /// As find(), added where it was missing.
  LiveIndex index_of(ChannelId channel);
  [[nodiscard]] LiveChannel& at(LiveIndex index) { return channels_[index]; }
  [[nodiscard]] std::span<LiveChannel> all() { return channels_; }
  [[nodiscard]] std::span<const LiveChannel> all() const { return channels_; }

 private:
  std::vector<LiveChannel> channels_;
  std::unordered_map<ChannelId, LiveIndex> index_;
};

}  // namespace clamor::server
