#pragma once

#include "server/base/id.hpp"
#include "server/core/channel.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace clamor::core {

/// How many of a device's latest sends in a channel are remembered, and how many may be pending.
inline constexpr std::size_t dedup_ring_size = 64;

/// What a partition remembers of one (device, channel). The ring of message_ids is the caller's.
struct DedupRow {
  ClientMessageId last;                  ///< Highest client_message_id accepted.
  std::uint32_t device_incarnation = 0;  ///< Another one starts from client_message_id 1 again.
};

enum class AcceptOutcome : std::uint8_t {
  accepted,           ///< New: append a record under `id`; ack once it is durable.
  duplicate,          ///< Seen before and durable: ack with `id` now.
  duplicate_pending,  ///< Seen before, not yet durable: the pending commit's ack serves.
  expected_next,      ///< A client_message_id was skipped: answer `expected`.
  too_old,            ///< Below the ring: nothing can be said of it any more.
  too_many_pending,   ///< dedup_ring_size sends are not durable yet: answer retry_after.
};

struct Accepted {
  AcceptOutcome outcome = AcceptOutcome::accepted;
  MessageId id;              ///< accepted, duplicate, duplicate_pending.
  ClientMessageId expected;  ///< expected_next.
};

/// Whether accept() would take this as a new send.
[[nodiscard]] constexpr bool is_next(const DedupRow& row, std::uint32_t device_incarnation,
                                     ClientMessageId client_message_id) {
  const bool same_device = row.device_incarnation == device_incarnation;
  return client_message_id == (same_device ? row.last : ClientMessageId{}) + 1;
}

/// Decides on one send of a member. Tentative: advances `channel.head`, `row` and `ring` when
/// accepted, and only then, so that they stay a fold of the log; after a failed append the
/// partition's state must be rebuilt from the log, not patched. O(1).
/// `ring` holds the message_ids of the last ring.size() accepted sends at [client_message_id %
/// size], 0 where unknown; size is a power of two, dedup_ring_size on a server. A simulator may
/// hold fewer while it knows that no older resend can come and that its clients bound what they
/// have pending: too_many_pending is decided with a full ring only. Another `device_incarnation`
/// than the row's starts from client_message_id 1 again. A client_message_id of 0 is answered
/// expected_next.
[[nodiscard]] Accepted accept(ChannelHead& channel, DedupRow& row, std::span<MessageId> ring,
                              std::uint32_t device_incarnation, ClientMessageId client_message_id);

/// Folds a logged record of that device back into its row, as recovery does; records come in log
/// order. Where the log before was trimmed, the ids it held become unknown (too_old to accept).
/// O(1), or O(ring) after a gap.
void restore(DedupRow& row, std::span<MessageId> ring, std::uint32_t device_incarnation,
             ClientMessageId client_message_id, MessageId id);

}  // namespace clamor::core
