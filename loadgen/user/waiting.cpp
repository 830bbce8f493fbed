#include "loadgen/user/waiting.hpp"

#include <algorithm>

namespace clamor::loadgen {

Duration waiting_time(std::span<const scenario::Absence> absences, Instant from, Instant received) {
  if (received <= from) return {};
  Duration waiting = received - from;
  for (const scenario::Absence& absence : absences) {
    const Instant begin = std::max(absence.from, from);
    const Instant end = std::min(absence.until, received);
    if (begin < end) waiting -= end - begin;
  }
  return waiting;
}

}  // namespace clamor::loadgen
