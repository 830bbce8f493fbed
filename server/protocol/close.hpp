#pragma once

#include "server/base/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace clamor::protocol {

/// What a client does after its session was closed.
enum class Reconnect : std::uint8_t { at_once, with_back_off, not_unchanged };

/// Says what a close code asks for, known or not; 0: the connection ended without one.
[[nodiscard]] Reconnect reconnect_after(std::uint16_t close_code);

/// Puts before a close frame's reason when to come back, in whole milliseconds, rounded up:
/// `retry_after=1500; why`. With 0 only `why`.
[[nodiscard]] std::string close_reason(Duration retry_after, std::string_view why);

/// Reads back from a reason when to come back; 0 where it does not say.
[[nodiscard]] Duration retry_after_of(std::string_view close_reason);

}  // namespace clamor::protocol
