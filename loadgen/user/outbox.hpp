#pragma once

#include "loadgen/user/targets.hpp"
#include "scenarios/model/plan.hpp"
#include "server/base/id.hpp"
#include "server/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace clamor::loadgen {

/// One send that no ack has settled yet. 80 bytes, only while there is one.
struct OutboxEntry {
  Instant due;              ///< Intended send time, kept however late the send is.
  Instant deadline;         ///< In flight: resend then. Waiting: do not send before.
  std::uint64_t ordinal{};  ///< Of the send in the plan; keys the resend's draws.
  std::uint32_t channel{};  ///< Plan index.
  ClientMessageId client_message_id;
  std::uint32_t bytes = 0;     ///< Planned body length.
  std::uint32_t next = 0;      ///< Index of the user's next entry, or OutboxPool::none.
  std::uint16_t attempts = 0;  ///< Transmissions so far.
  bool in_flight = false;      ///< Transmitted in the present session.
  bool waited = false;         ///< Was due while it could not be sent.
  scenario::SendKind kind = scenario::SendKind::message;
  std::uint32_t mentioned = scenario::nobody;
  std::uint64_t pair = 0;  ///< As in scenario::Send.
  MessageId target;        ///< What it is about, once that is known.
};

/// Memory of many clients' outboxes: entries in one array with a free list, the next
/// client_message_id of each (client, channel) that has sent, and what sends may be about. One
/// owner thread.
class OutboxPool {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  /// Index of a fresh entry. O(1) amortised.
  [[nodiscard]] std::uint32_t take();
  void give_back(std::uint32_t index);
  [[nodiscard]] OutboxEntry& operator[](std::uint32_t index) { return entries_[index]; }
  [[nodiscard]] const OutboxEntry& operator[](std::uint32_t index) const { return entries_[index]; }

  /// The next client_message_id of that client in that channel, from 1; counts it up. O(1).
  [[nodiscard]] ClientMessageId next_client_message_id(std::uint32_t client, std::uint32_t channel);
  /// Makes `next` the next one again: sends that the server refused for good free their numbers.
  void rewind(std::uint32_t client, std::uint32_t channel, ClientMessageId next);

  /// Messages that sends may be about.
  [[nodiscard]] Targets& targets() { return targets_; }

  [[nodiscard]] std::size_t entries_in_use() const { return in_use_; }
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  struct Counter {
    std::uint32_t client_plus_one = 0;  ///< 0: free slot.
    std::uint32_t channel = 0;
    ClientMessageId last;
  };
  [[nodiscard]] Counter& counter_of(std::uint32_t client, std::uint32_t channel);
  void grow();

  std::vector<OutboxEntry> entries_;
  std::uint32_t free_ = none;
  std::size_t in_use_ = 0;
  std::vector<Counter> counters_;  ///< Open addressing, linear probing, a power of two long.
  std::size_t counters_used_ = 0;
  Targets targets_;
};

}  // namespace clamor::loadgen
