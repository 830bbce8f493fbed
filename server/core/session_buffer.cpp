#include "server/core/session_buffer.hpp"

#include "server/base/assert.hpp"

#include <limits>

namespace clamor::core {
namespace {

void fall_behind(SessionBuffer& buffer, Instant now) {
  buffer.behind = true;
  buffer.waiting_since = now;
}

}  // namespace

SendDecision offer(SessionBuffer& buffer, std::size_t frame_bytes, Instant now,
                   const SessionLimits& limits) {
  if (buffer.behind) return SendDecision::fall_back;
  if (buffer.queued_bytes == 0) {
    buffer.waiting_since = now;
  } else if (buffer.queued_bytes >= limits.buffer_bytes ||
             now - buffer.waiting_since >= limits.buffer_age) {
    fall_behind(buffer, now);
    return SendDecision::fall_back;
  }
  CLAMOR_ASSERT(frame_bytes <= std::numeric_limits<std::uint32_t>::max() - buffer.queued_bytes);
  buffer.queued_bytes += static_cast<std::uint32_t>(frame_bytes);
  return SendDecision::queue;
}

bool flushed(SessionBuffer& buffer, std::size_t bytes, Instant now) {
  CLAMOR_ASSERT(bytes <= buffer.queued_bytes);
  if (bytes == 0) return false;
  buffer.queued_bytes -= static_cast<std::uint32_t>(bytes);
  buffer.waiting_since = now;
  if (!buffer.behind || buffer.queued_bytes != 0) return false;
  buffer.behind = false;
  return true;
}

bool overdue(SessionBuffer& buffer, Instant now, const SessionLimits& limits) {
  if (buffer.queued_bytes == 0 || now - buffer.waiting_since < limits.buffer_age) return false;
  if (buffer.behind) return true;
  fall_behind(buffer, now);
  return false;
}

}  // namespace clamor::core
