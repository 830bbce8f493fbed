#include "server/core/drain.hpp"

#include <algorithm>

namespace clamor::core {

std::size_t drain_slice(std::size_t open, const DrainPlan& plan) {
  const auto slices =
      static_cast<std::size_t>(std::max<Duration::rep>(plan.period / drain_interval, 1));
  return std::max(drain_slice_least, (open + slices - 1) / slices);
}

}  // namespace clamor::core
