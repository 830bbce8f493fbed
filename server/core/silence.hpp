#pragma once

#include "server/base/time.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace clamor::core {

/// Finds the sessions that were silent for `offline_after`: one pass over an array, no timer per
/// client. Appends indices of `last_seen` to `out`; slots at Instant::max() are skipped. O(n).
void sweep_silent(std::span<const Instant> last_seen, Instant now, Duration offline_after,
                  std::vector<std::uint32_t>& out);

}  // namespace clamor::core
