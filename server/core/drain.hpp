#pragma once

#include "server/base/time.hpp"

#include <chrono>
#include <cstddef>

namespace clamor::core {

/// How a server that is taken down lets go of its sessions: not all at once, for they all come
/// back.
struct DrainPlan {
  Duration period = std::chrono::seconds{5};  ///< All are gone by then; 0: at once.
  /// A session is told to come back at a random time in here, counted from its end.
  Duration reconnect_from = std::chrono::seconds{1};
  Duration reconnect_to = std::chrono::seconds{5};
};

/// A slice begins this often.
inline constexpr Duration drain_interval = std::chrono::milliseconds{100};
/// And has so many sessions at least: a small server is not held up by its period.
inline constexpr std::size_t drain_slice_least = 64;

/// Sessions of each slice where `open` ones are to be let go. What is left last is no more than
/// that. O(1).
[[nodiscard]] std::size_t drain_slice(std::size_t open, const DrainPlan& plan);

}  // namespace clamor::core
