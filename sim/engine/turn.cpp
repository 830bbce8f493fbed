#include "sim/engine/turn.hpp"

#include "server/base/assert.hpp"

namespace clamor::sim {

Turn::Turn(const TurnCosts& costs, std::size_t sessions)
    : costs_{costs}, slot_of_session_(sessions, clean) {}

void Turn::begin(std::int64_t start_ns, std::int64_t stretch_up, std::int64_t stretch_down) {
  stretch_up_ = stretch_up;
  stretch_down_ = stretch_down;
  for (const Dirty& dirty : dirty_) slot_of_session_[dirty.session] = clean;
  dirty_.clear();
  start_ns_ = start_ns;
  spent_ps_ = costs_.turn_ps;
  wake_ps_ = 0;
}

void Turn::flush() {
  for (Dirty& dirty : dirty_) {
    spent_ps_ += costs_.flush_ps + static_cast<std::int64_t>(dirty.messages) * costs_.message_ps +
                 static_cast<std::int64_t>(dirty.bytes) * costs_.byte_ps;
    dirty.completed_ns = start_ns_ + elapsed(spent_ps_);
  }
}

std::int64_t BatchStation::start(std::int64_t now_ns, std::int64_t batch_ps) {
  CLAMOR_ASSERT(!busy_ && waiting_records_ != 0);
  busy_ = true;
  const std::int64_t ns = (batch_ps + waiting_ps_ + 999) / 1000;
  batch_records_ = waiting_records_;
  waiting_records_ = 0;
  waiting_ps_ = 0;
  busy_ns_ += ns;
  return now_ns + ns;
}

}  // namespace clamor::sim
