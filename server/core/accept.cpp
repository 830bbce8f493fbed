#include "server/core/accept.hpp"

#include "server/base/assert.hpp"

#include <algorithm>
#include <bit>

namespace clamor::core {
namespace {

std::size_t slot_of(std::span<MessageId> ring, ClientMessageId id) {
  return static_cast<std::size_t>(id.value) & (ring.size() - 1);
}

/// Whether the send that `id` would push out of the ring is not durable yet: message_ids ascend
/// with client_message_ids, so all that came after it are pending too.
bool ring_is_pending(const ChannelHead& channel, std::span<MessageId> ring, ClientMessageId id) {
  return ring.size() >= dedup_ring_size && id.value > ring.size() &&
         ring[slot_of(ring, id)] > channel.durable_head;
}

Accepted earlier(const ChannelHead& channel, const DedupRow& row, std::span<MessageId> ring,
                 ClientMessageId id) {
  const MessageId known = row.last - id < ring.size() ? ring[slot_of(ring, id)] : MessageId{};
  if (known == MessageId{}) return {.outcome = AcceptOutcome::too_old};
  const bool durable = known <= channel.durable_head;
  return {.outcome = durable ? AcceptOutcome::duplicate : AcceptOutcome::duplicate_pending,
          .id = known};
}

}  // namespace

Accepted accept(ChannelHead& channel, DedupRow& row, std::span<MessageId> ring,
                std::uint32_t device_incarnation, ClientMessageId client_message_id) {
  CLAMOR_ASSERT(std::has_single_bit(ring.size()));
  const bool same_device = row.device_incarnation == device_incarnation;
  const ClientMessageId last = same_device ? row.last : ClientMessageId{};
  if (client_message_id == ClientMessageId{} || client_message_id > last + 1) {
    return {.outcome = AcceptOutcome::expected_next, .expected = last + 1};
  }
  if (client_message_id <= last) return earlier(channel, row, ring, client_message_id);
  // An old incarnation's ids stand in the ring until they are overwritten; none of them can be
  // asked for, since only ids up to `last` are looked up.
  if (ring_is_pending(channel, ring, client_message_id)) {
    return {.outcome = AcceptOutcome::too_many_pending};
  }
  const MessageId id = ++channel.head;
  row = {.last = client_message_id, .device_incarnation = device_incarnation};
  ring[slot_of(ring, client_message_id)] = id;
  return {.outcome = AcceptOutcome::accepted, .id = id};
}

void restore(DedupRow& row, std::span<MessageId> ring, std::uint32_t device_incarnation,
             ClientMessageId client_message_id, MessageId id) {
  CLAMOR_ASSERT(std::has_single_bit(ring.size()));
  const bool same_device = row.device_incarnation == device_incarnation;
  const ClientMessageId last = same_device ? row.last : ClientMessageId{};
  CLAMOR_ASSERT(client_message_id > last);
  const std::uint64_t unknown =
      std::min<std::uint64_t>(client_message_id - last - 1, ring.size() - 1);
  for (std::uint64_t back = 1; back <= unknown; ++back) {
    ring[slot_of(ring, client_message_id - back)] = {};
  }
  row = {.last = client_message_id, .device_incarnation = device_incarnation};
  ring[slot_of(ring, client_message_id)] = id;
}

}  // namespace clamor::core
