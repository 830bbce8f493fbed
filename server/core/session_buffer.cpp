#include "server/core/session_buffer.hpp"

#include "server/base/assert.hpp"

#include <limits>

namespace clamor::core {

SendDecision offer(SessionBuffer& buffer, std::size_t frame_bytes, Instant now,
                   const SessionLimits& limits) {
  if (buffer.queued_bytes == 0) {
    buffer.waiting_since = now;
  } else if (buffer.queued_bytes >= limits.buffer_bytes ||
             now - buffer.waiting_since >= limits.buffer_age) {
    return SendDecision::close;
  }
  CLAMOR_ASSERT(frame_bytes <= std::numeric_limits<std::uint32_t>::max() - buffer.queued_bytes);
  buffer.queued_bytes += static_cast<std::uint32_t>(frame_bytes);
  return SendDecision::queue;
}

void flushed(SessionBuffer& buffer, std::size_t bytes, Instant now) {
  CLAMOR_ASSERT(bytes <= buffer.queued_bytes);
  if (bytes == 0) return;
  buffer.queued_bytes -= static_cast<std::uint32_t>(bytes);
  buffer.waiting_since = now;
}

}  // namespace clamor::core
