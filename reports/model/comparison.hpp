#pragma once

#include "reports/model/result.hpp"
#include "reports/model/thresholds.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::report {

/// Mean over repetitions with the half width of its 95 % interval (Student's t).
struct Estimate {
  double mean = 0;
  double half_width = 0;  ///< 0 with fewer than two repetitions: then there is no interval.
};

[[nodiscard]] Estimate estimate(std::span<const double> values);

/// What designs are compared by, in this order.
enum class Criterion : std::uint8_t { server_cpu, device_bytes, catch_up_p99 };
inline constexpr std::array criteria{Criterion::server_cpu, Criterion::device_bytes,
                                     Criterion::catch_up_p99};

/// "server CPU", "device bytes", "catch-up p99".
[[nodiscard]] std::string_view name_of(Criterion criterion);

/// One design under one engine, over its repetitions.
struct DesignFigures {
  DesignSpec design;
  std::vector<const RunResult*> runs;  ///< By repetition; owned by the caller of compare().
  bool meets_thresholds = true;        ///< In every repetition.
  bool sustained = true;               ///< Fan-out lag did not grow without end in any.
  std::string fails;                   ///< First reason not to be a candidate.
  /// By criterion: CPU seconds per user-hour, device bytes per user-hour, ns.
  std::array<std::vector<double>, criteria.size()> values;
  std::array<Estimate, criteria.size()> costs;

  [[nodiscard]] const Estimate& cost(Criterion c) const {
    return costs[static_cast<std::size_t>(c)];
  }
  [[nodiscard]] bool candidate() const { return meets_thresholds && sustained; }
};

/// The designs under one engine, and who wins there.
struct EngineComparison {
  Engine engine = Engine::live;
  std::vector<DesignFigures> designs;   ///< In the order of the runs.
  std::optional<std::size_t> winner;    ///< Index into designs.
  std::optional<Criterion> decided_by;  ///< With a winner over other candidates.
  std::vector<std::size_t> tied;        ///< Two or more: nobody wins among these.
  std::uint32_t repetitions = 1;        ///< The least of any design.
  double tolerance = 0;                 ///< Tie below this relative difference, at 1 repetition.
  std::string sentence;                 ///< The verdict for this engine.
};

struct Comparison {
  std::vector<EngineComparison> engines;  ///< live before sim; only those with runs.
  std::string headline;                   ///< A few words: "per_group wins, live and simulated".
  std::string region;                     ///< Where the verdict holds, one sentence.
};

/// Smallest relative difference that one repetition can tell apart. Live runs of one minute on a
/// shared machine differ by up to 20 % with nothing changed; simulated ones share every arrival, so
/// only the model's rounding remains.
[[nodiscard]] constexpr double tie_tolerance(Engine engine) {
  return engine == Engine::live ? 0.20 : 0.02;
}

/// Compares designs that ran the same plan. A design is a candidate where it meets every threshold
/// and sustains the load; among candidates the least cost wins: server CPU per user-hour, then
/// device bytes, then catch-up p99. What lies within the interval of the paired differences (one
/// repetition: within tie_tolerance) is a tie. @pre `runs` outlive the result.
[[nodiscard]] Comparison compare_designs(std::span<const RunResult> runs);

/// Whether fan-out lag came back: its mean in the last third of the run is no more than half a
/// second's records above 1.5 times that of the second third.
[[nodiscard]] bool sustains_load(const RunResult& run);

}  // namespace clamor::report
