#pragma once

#include "scenarios/model/plan.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace clamor::loadgen {

/// One thing that the plan lets happen to a client of the block.
struct PlannedEvent {
  enum class Kind : std::uint8_t { leave, come_back, fault, typing, send };
  Instant at;  ///< From the start of the measured window.
  Kind kind = Kind::send;
  std::uint32_t client = 0;  ///< fault: unused, it hits many.
  std::uint32_t fault = 0;   ///< fault: index in the scenario.
  scenario::Send send;       ///< send; typing: what is written.
};

/// The plan's events for a block of clients, in order of time; at equal times absences come before
/// faults, and those before typing notices and sends, as the plan reckons. Sends are loaded block
/// by block. Its memory is the block's absences and one block of time of its sends, two where there
/// are notices.
class Schedule {
 public:
  /// For clients [first, last). @pre `plan` outlives it.
  Schedule(const scenario::Plan& plan, std::uint32_t first, std::uint32_t last);

  /// Time of the next event; Instant::max() after the last one.
  [[nodiscard]] Instant next_at();
  /// Takes the next event if it is due at or before `now`.
  [[nodiscard]] std::optional<PlannedEvent> take(Instant now);
  /// Whether the client connects before the window begins.
  [[nodiscard]] static bool connects_at_start(const scenario::Plan& plan, std::uint32_t client);

 private:
  /// The plan's sends, each told `ahead` of its time.
  struct Stream {
    Duration ahead{};
    std::vector<scenario::Send> sends;
    std::size_t next = 0;
    std::uint32_t next_block = 0;
  };
  void load(Stream& stream);
  [[nodiscard]] static Instant next_of(const Stream& stream);

  const scenario::Plan& plan_;
  std::uint32_t first_;
  std::uint32_t last_;
  std::vector<PlannedEvent> changes_;  ///< Absences and faults.
  std::size_t next_change_ = 0;
  Stream sends_;
  Stream typing_;
};

/// Where what the plan lets happen next could meet what is under way: messages, sends about
/// others, departures, returns and single faults follow one another. What is planned for one and
/// the same instant is not told apart.
[[nodiscard]] std::vector<Instant> quiet_points(const scenario::Plan& plan);

}  // namespace clamor::loadgen
