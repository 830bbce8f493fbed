#include "sim/world/costs.hpp"

#include <cmath>

namespace clamor::sim {

std::int64_t ps_from_ns(double ns) { return std::llround(ns * 1000.0); }

TurnCosts turn_costs(const Costs& costs) {
  return {.wake_ps = ps_from_ns(costs.wake_ns),
          .turn_ps = ps_from_ns(costs.turn_ns),
          .frame_ps = ps_from_ns(costs.frame_in_ns),
          .frame_byte_ps = ps_from_ns(costs.frame_in_byte_ns),
          .post_ps = ps_from_ns(costs.post_ns),
          .flush_ps = ps_from_ns(costs.flush_ns),
          .message_ps = ps_from_ns(costs.message_ns),
          .byte_ps = ps_from_ns(costs.byte_out_ns)};
}

CommitCosts commit_costs(const Costs& costs, scenario::Durability durability) {
  const bool synced = durability == scenario::Durability::fsync;
  return {.batch_ps = ps_from_ns(costs.commit_batch_ns + (synced ? costs.commit_fsync_ns : 0)),
          .record_ps = ps_from_ns(costs.commit_record_ns),
          .byte_ps = ps_from_ns(costs.commit_byte_ns)};
}

QueueCosts queue_costs(const Costs& costs) {
  return {.batch_ps = ps_from_ns(costs.queue_batch_ns),
          .entry_ps = ps_from_ns(costs.queue_entry_ns),
          .run_ps = ps_from_ns(costs.queue_run_ns),
          .byte_ps = ps_from_ns(costs.queue_byte_ns)};
}

}  // namespace clamor::sim
