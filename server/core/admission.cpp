#include "server/core/admission.hpp"

#include <algorithm>

namespace clamor::core {
namespace {

/// Bounds of what a refusal asks for.
constexpr Duration retry_least = std::chrono::seconds{1};
constexpr Duration retry_most = std::chrono::seconds{10};

}  // namespace

std::string_view name_of(MessageClass what) {
  switch (what) {
    case MessageClass::lossy:
      return "lossy";
    case MessageClass::login:
      return "login";
    case MessageClass::message:
      return "message";
  }
  return "?";
}

Duration QueueAge::oldest() const { return std::max({input, committer, turn}); }

void observe(AdmissionState& state, const QueueAge& age, Instant now,
             const AdmissionLimits& limits) {
  state.oldest = age.oldest();
  bool later_closed = false;  // What is turned away last is taken again first.
  for (std::size_t i = message_class_count; i-- > 0;) {
    AdmissionState::Gate& gate = state.gates[i];
    const Duration limit = limits.age[i];
    if (limit <= Duration{}) {
      gate = {};
      continue;
    }
    if (gate.closed) {
      const bool stays = later_closed || state.oldest >= limit / 2 ||
                         now - gate.closed_at < admission_closed_least;
      if (!stays) gate = {};
    } else if (state.oldest < limit) {
      gate.above_since = Instant::max();
    } else {
      gate.above_since = std::min(gate.above_since, now);
      gate.closed = now - gate.above_since >= limits.sustained;
      gate.closed_at = now;
    }
    later_closed = later_closed || gate.closed;
  }
}

Admission admit(MessageClass what, const AdmissionState& state) {
  if (!state.gates[static_cast<std::size_t>(what)].closed) return {};
  return {.taken = false, .retry_after = std::clamp(state.oldest, retry_least, retry_most)};
}

}  // namespace clamor::core
