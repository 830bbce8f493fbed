#pragma once

#include "server/base/time.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace clamor::core {

/// What a client asks for, in the order in which an overloaded server stops taking it. What keeps a
/// session going (heartbeats, positions, pages) is of no class: it is always taken.
enum class MessageClass : std::uint8_t {
  lossy,    ///< Typing is dropped, presence put off; nobody is told.
  login,    ///< Refused with retry_after.
  message,  ///< Sends, and changes of membership: refused with retry_after.
};
inline constexpr std::size_t message_class_count = 3;
/// Its name in metrics and settings, e.g. "lossy".
[[nodiscard]] std::string_view name_of(MessageClass what);

/// How long things have waited for a server, as a turn begins. Queue age and turn length tell load;
/// CPU time does not: turns get longer with load, and a core that is 95 % busy may have a quarter
/// of its capacity in use.
struct QueueAge {
  Duration input{};      ///< The oldest input that no turn has read yet; never less than it is.
  Duration committer{};  ///< The oldest commit that is not durable.
  Duration turn{};       ///< The last turn's length: what arrived as it began has waited so long.
  [[nodiscard]] Duration oldest() const;
};

struct AdmissionLimits {
  /// From which age on a class is not taken, by MessageClass; 0: it always is. Ascending.
  std::array<Duration, message_class_count> age{std::chrono::milliseconds{500},
                                                std::chrono::seconds{1}, std::chrono::seconds{2}};
  /// So long every turn has found such an age: one long turn, or a process that did not run for a
  /// moment, turns nobody away.
  Duration sustained = std::chrono::milliseconds{500};
};

/// A class that is turned away stays so for this long at least, and until the age is below half its
/// limit: who was refused and comes back does not open and close it in turn.
inline constexpr Duration admission_closed_least = std::chrono::seconds{1};

/// What one server knows from turn to turn; fixed size.
struct AdmissionState {
  struct Gate {
    Instant above_since = Instant::max();  ///< Every turn since then has found the limit reached.
    Instant closed_at;                     ///< Meaningless while open.
    bool closed = false;
  };
  std::array<Gate, message_class_count> gates{};
  Duration oldest{};  ///< As of the turn that was observed last.
};

/// Takes up what a turn finds at its start; once a turn. O(1).
void observe(AdmissionState& state, const QueueAge& age, Instant now,
             const AdmissionLimits& limits);

/// What waits behind a server's decisions: memory that a request which appends adds to.
struct AppendBacklog {
  std::uint64_t commit_bytes = 0;  ///< Of commits that are not durable.
  std::uint64_t lag_records = 0;   ///< Durable records whose queue entries are not applied,
  std::uint64_t lag_entries = 0;   ///< and those entries.
};
/// Beyond these senders are refused, whatever their queues' age.
struct AppendLimits {
  std::uint64_t commit_bytes = std::uint64_t{64} << 20U;
  std::uint64_t lag_records = 200'000;
  /// In a large group one record has thousands, which take 32 bytes each.
  std::uint64_t lag_entries = 4'000'000;
};
[[nodiscard]] constexpr bool is_full(const AppendBacklog& backlog, const AppendLimits& limits) {
  return backlog.commit_bytes > limits.commit_bytes || backlog.lag_records > limits.lag_records ||
         backlog.lag_entries > limits.lag_entries;
}

struct Admission {
  bool taken = true;
  Duration retry_after{};  ///< Where it is refused: what waits now needs about so long.
};
/// Decides for the whole turn. O(1).
[[nodiscard]] Admission admit(MessageClass what, const AdmissionState& state);

}  // namespace clamor::core
