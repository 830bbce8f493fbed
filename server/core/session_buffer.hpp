#pragma once

#include "server/base/time.hpp"

#include <cstddef>
#include <cstdint>

namespace clamor::core {

/// Bounds of what waits in user space for one session's socket.
struct SessionLimits {
  std::size_t buffer_bytes = std::size_t{256} * 1024;  ///< Once so much waits, nothing is added.
  Duration buffer_age = std::chrono::seconds{10};      ///< How long it may wait without progress.
};

/// How full one session's send buffer is. 16 bytes.
struct SessionBuffer {
  std::uint32_t queued_bytes = 0;
  Instant waiting_since;  ///< First byte offered, or last progress; meaningless when empty.
};

enum class SendDecision : std::uint8_t {
  queue,  ///< Buffer the frame; the turn's flush writes it.
  close,  ///< A slow consumer: close the session; it catches up when it returns.
};

/// Decides on one frame for a session at `now`; on queue advances the buffer. Looks at what waits
/// already, not at the frame: a page as large as the bound fits behind a small frame, and at most
/// buffer_bytes and one frame ever wait. O(1).
[[nodiscard]] SendDecision offer(SessionBuffer& buffer, std::size_t frame_bytes, Instant now,
                                 const SessionLimits& limits);
/// Takes flushed bytes out again; any progress restarts the wait. @pre bytes <= queued_bytes.
void flushed(SessionBuffer& buffer, std::size_t bytes, Instant now);

}  // namespace clamor::core
