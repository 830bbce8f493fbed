#pragma once

#include "scenarios/model/scenario.hpp"
#include "server/base/id.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace clamor::scenario {

/// One planned message. Times count from the start of the measured window.
struct Send {
  Instant due;
  std::uint64_t ordinal = 0;  ///< Dense over the plan, ascending in `due`.
  std::uint32_t client = 0;   ///< Sending device; its user is not in a planned absence at `due`.
  std::uint32_t channel = 0;
  std::uint32_t bytes = 0;  ///< Body length.
};

struct Absence {
  Instant from;
  Instant until;  ///< Instant::max(): to the end.
};

/// The pure plan that a scenario and a seed make: who exists, who belongs where, who is away when,
/// who sends what when. It never looks at run state, so load generator and simulator, every
/// worker, rank and design see the same one. Indices are dense: users [0, users()), clients
/// [0, clients()), channels [0, channels()). Immutable after construction; safe to share between
/// threads. A user's channels and a channel's members are each computed without the rest
/// (seeded invertible permutations), so the plan's memory does not grow with the population
/// (a trace's events are kept).
class Plan {
 public:
  /// @pre the scenario passed its check; already scaled.
  explicit Plan(const Scenario& scenario);

  [[nodiscard]] const Scenario& scenario() const { return scenario_; }

  // --- population: client i < users() is device 1 of user i; further devices follow
  [[nodiscard]] std::uint32_t users() const { return users_; }
  [[nodiscard]] std::uint32_t clients() const { return clients_; }
  [[nodiscard]] std::uint32_t user_of(std::uint32_t client) const;
  [[nodiscard]] std::uint32_t device_of(std::uint32_t client) const;  ///< From 1.
  [[nodiscard]] std::uint32_t devices_of(std::uint32_t user) const;
  [[nodiscard]] std::uint32_t client_of(std::uint32_t user, std::uint32_t device) const;

  // --- channels: classes() in order, `direct` first where there are contacts
  [[nodiscard]] std::uint32_t channels() const { return channels_; }
  [[nodiscard]] std::uint32_t classes() const;
  [[nodiscard]] std::string_view class_name(std::uint32_t index) const;
  [[nodiscard]] std::uint32_t class_of(std::uint32_t channel) const;    ///< O(log classes).
  [[nodiscard]] std::uint32_t members_in(std::uint32_t channel) const;  ///< O(log classes).
  /// Appends the channel's members (users), each once. O(members).
  void members(std::uint32_t channel, std::vector<std::uint32_t>& out) const;
  /// Appends the user's channels, ascending. O(channels of the user).
  void channels_of(std::uint32_t user, std::vector<std::uint32_t>& out) const;

  // --- presence
  /// Whether the user connects only for the roll call (a class's offline members).
  [[nodiscard]] bool dormant(std::uint32_t user) const;
  /// Appends the user's planned absences in [0, duration), ascending, disjoint. dormant: one.
  void absences(std::uint32_t user, std::vector<Absence>& out) const;
  [[nodiscard]] bool absent(std::uint32_t user, Instant at) const;
  /// End of the planned absence that covers `at`, or `at` itself.
  [[nodiscard]] Instant present_from(std::uint32_t user, Instant at) const;

  // --- traffic
  [[nodiscard]] Duration duration() const { return duration_; }
  /// Sends come in blocks of time, so that a million clients' traffic streams.
  [[nodiscard]] std::uint32_t send_blocks() const;
  /// Appends the block's sends, ascending in (due, ordinal). Blocks ascend.
  void sends(std::uint32_t block, std::vector<Send>& out) const;
  [[nodiscard]] std::uint64_t send_count() const;

  // --- faults
  /// Whether fault `index` of the scenario hits the client.
  [[nodiscard]] bool hits(std::uint32_t fault, std::uint32_t client) const;

  // --- names on the wire and in the log
  [[nodiscard]] static UserId user_id(std::uint32_t user) { return {user + 1ULL}; }
  [[nodiscard]] static ChannelId channel_id(std::uint32_t channel) { return {channel + 1ULL}; }

  /// Fingerprint of everything above; equal plans have equal ones. O(users + channels + sends).
  [[nodiscard]] std::uint64_t fingerprint() const;

 private:
  Scenario scenario_;
  std::uint32_t users_ = 0;
  std::uint32_t clients_ = 0;
  std::uint32_t channels_ = 0;
  Duration duration_{};
};

}  // namespace clamor::scenario
