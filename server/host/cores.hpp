#pragma once

#include <sched.h>
#include <vector>

namespace clamor::host {

/// Cores that the calling thread may use, ascending.
[[nodiscard]] std::vector<int> usable_cores();
/// Keeps the calling thread, and what it starts, on `cores`; empty: changes nothing. Throws
/// std::system_error where it may use none of them.
void pin_to(const std::vector<int>& cores);
/// For sched_setaffinity, where nothing may throw.
[[nodiscard]] cpu_set_t set_of(const std::vector<int>& cores);

}  // namespace clamor::host
