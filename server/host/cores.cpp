#include "server/host/cores.hpp"

#include <cerrno>
#include <cstddef>
#include <system_error>

namespace clamor::host {

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
  }
  return cores;
}

void pin_to(const std::vector<int>& cores) {
  if (cores.empty()) return;
  const cpu_set_t set = set_of(cores);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    throw std::system_error{errno, std::system_category(), "sched_setaffinity"};
  }
}

cpu_set_t set_of(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<std::size_t>(core), &set);
  return set;
}

}  // namespace clamor::host
