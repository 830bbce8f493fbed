#include "server/app/freed_memory.hpp"

#include <algorithm>
#include <malloc.h>
#include <utility>

namespace clamor::server {
namespace {

constexpr std::uint64_t quiet_turns = 20;
constexpr std::size_t worth_it = std::size_t{1} << 20U;

}  // namespace

void FreedMemory::tick(std::uint64_t turns) {
  const bool quiet = turns - std::exchange(turns_, turns) <= quiet_turns;
  if (!quiet) return;
  const std::size_t free = mallinfo2().fordblks;
  known_free_ = std::min(known_free_, free);
  if (free - known_free_ < worth_it) return;
  malloc_trim(0);
  known_free_ = free;
}

}  // namespace clamor::server
