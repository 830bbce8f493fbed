#include "sim/world/dedup_table.hpp"

#include "server/core/channel.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace clamor::sim {
namespace {

core::Accepted send(DedupTable& table, core::ChannelHead& head, std::uint32_t slot,
                    std::uint64_t number) {
  const DedupTable::Row row = table.row_of(slot, 3, ClientMessageId{number});
  const core::Accepted accepted = core::accept(head, row.row, row.ring, 1, ClientMessageId{number});
  head.durable_head = head.head;
  return accepted;
}

TEST(DedupTable, RemembersTheLastSixtyFourSendsAsAServerDoes) {
  DedupTable table;
  core::ChannelHead head;
  for (std::uint64_t number = 1; number <= 100; ++number) {
    ASSERT_EQ(send(table, head, 7, number).outcome, core::AcceptOutcome::accepted);
    // Every send that a server remembers is answered with its id, across the growth of the ring.
    const std::uint64_t oldest = number > core::dedup_ring_size ? number - 63 : 1;
    for (std::uint64_t again = oldest; again <= number; ++again) {
      const core::Accepted answer = send(table, head, 7, again);
      ASSERT_EQ(answer.outcome, core::AcceptOutcome::duplicate) << again << " after " << number;
      ASSERT_EQ(answer.id, MessageId{again});
    }
    if (oldest > 1) {
      ASSERT_EQ(send(table, head, 7, oldest - 1).outcome, core::AcceptOutcome::too_old);
    }
  }
}

TEST(DedupTable, KeepsPairsApartWhileItGrows) {
  DedupTable table;
  core::ChannelHead head;
  for (std::uint32_t slot = 0; slot < 1'000; ++slot) {
    ASSERT_EQ(send(table, head, slot, 1).id, MessageId{slot + 1U});
  }
  for (std::uint32_t slot = 0; slot < 1'000; ++slot) {
    ASSERT_EQ(send(table, head, slot, 1).id, MessageId{slot + 1U});
    ASSERT_EQ(send(table, head, slot, 3).outcome, core::AcceptOutcome::expected_next);
  }
}

}  // namespace
}  // namespace clamor::sim
