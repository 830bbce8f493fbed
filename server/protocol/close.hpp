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

/// When a client is to come back, counted from the end of its session: at a random time in between
/// where `to` is later; else not before `from`.
struct ReturnWindow {
  Duration from{};
  Duration to{};
  bool operator==(const ReturnWindow&) const = default;
};

/// Puts before a close frame's reason when to come back, in whole milliseconds, rounded up:
/// `retry_after=1500; why`, or `retry_after=1500-4000; why`. With 0 only `why`.
[[nodiscard]] std::string close_reason(const ReturnWindow& when, std::string_view why);
[[nodiscard]] inline std::string close_reason(Duration retry_after, std::string_view why) {
  return close_reason(ReturnWindow{retry_after, retry_after}, why);
}

/// Reads back from a reason when to come back; zeros where it does not say. Of a single time both
/// are the same.
[[nodiscard]] ReturnWindow return_window_of(std::string_view close_reason);

}  // namespace clamor::protocol
