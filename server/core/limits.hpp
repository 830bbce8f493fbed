#pragma once

#include "server/base/time.hpp"

#include <chrono>
#include <cstdint>

// What the live server does by default and the simulator does with it: one place, so that the two
// cannot drift apart. Bounds of a catch-up's page are core::PageLimits.
namespace clamor::core {

/// A sender that is refused for too much at once comes again after this.
inline constexpr Duration retry_when_overloaded = std::chrono::milliseconds{250};

/// Queue entries wait so long for others to be packed with.
inline constexpr Duration queue_linger = std::chrono::milliseconds{20};

/// So many live records wait for a session's last catch-up page; one more, and all of them are
/// dropped and read again in another round.
inline constexpr std::uint32_t catch_up_held_records = 256;

}  // namespace clamor::core
