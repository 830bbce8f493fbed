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

/// Queue entries are gathered in memory, where one that continues its channel's latest run costs
/// nothing, and flushed as rows after so many records, or once the rows would take so much.
inline constexpr std::uint64_t queue_flush_records = 200'000;
inline constexpr std::uint64_t queue_flush_bytes = std::uint64_t{64} << 20U;

/// So many live records wait for a session's last catch-up page; one more, and all of them are
/// dropped and read again in another round.
inline constexpr std::uint32_t catch_up_held_records = 256;

}  // namespace clamor::core
