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
  bool behind = false;    ///< Beyond a bound since it was last empty: takes nothing until it is.
  Instant waiting_since;  ///< First byte offered, last progress, or when it fell behind;
                          ///< meaningless when empty.
};

enum class SendDecision : std::uint8_t {
  queue,      ///< Buffer the frame; the turn's flush writes it.
  fall_back,  ///< The client reads too slowly: it catches up once the buffer is empty.
};

/// Decides on one frame for a session at `now`; on queue advances the buffer. Looks at what waits
/// already, not at the frame: a page as large as the bound fits behind a small frame, and at most
/// buffer_bytes and one frame ever wait. O(1).
[[nodiscard]] SendDecision offer(SessionBuffer& buffer, std::size_t frame_bytes, Instant now,
                                 const SessionLimits& limits);
/// Takes flushed bytes out again; any progress restarts the wait. Returns whether that emptied a
/// buffer that was behind. @pre bytes <= queued_bytes.
bool flushed(SessionBuffer& buffer, std::size_t bytes, Instant now);

/// Whether to close the session: it is behind, and has made no progress for buffer_age since. One
/// that is not behind and made none for as long falls behind by this call. The network makes
/// progress coarse (a full socket has room again once about a third of its buffer is free), so that
/// a client which takes a byte now and then makes none. O(1).
[[nodiscard]] bool overdue(SessionBuffer& buffer, Instant now, const SessionLimits& limits);

}  // namespace clamor::core
