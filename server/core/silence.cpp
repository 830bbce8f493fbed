#include "server/core/silence.hpp"

namespace clamor::core {

void sweep_silent(std::span<const Instant> last_seen, Instant now, Duration offline_after,
                  std::vector<std::uint32_t>& out) {
  // One compare a slot: an unused slot, at Instant::max(), is never at or below the bound.
  const Instant bound = now - offline_after;
  for (std::uint32_t slot = 0; slot < last_seen.size(); ++slot) {
    if (last_seen[slot] <= bound) out.push_back(slot);
  }
}

}  // namespace clamor::core
