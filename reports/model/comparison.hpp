#pragma once

#include "reports/model/interval.hpp"
#include "reports/model/result.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/model/trend.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::report {

/// What designs are compared by, in this order.
enum class Criterion : std::uint8_t { server_cpu, device_bytes, catch_up_p99 };
inline constexpr std::array criteria{Criterion::server_cpu, Criterion::device_bytes,
                                     Criterion::catch_up_p99};

/// "server CPU", "device bytes", "catch-up p99".
[[nodiscard]] std::string_view name_of(Criterion criterion);

/// One run's cost: CPU seconds or device bytes per user-hour, or ns.
[[nodiscard]] double cost_of(const RunResult& run, Criterion criterion);

/// One design under one engine, over its repetitions.
struct DesignFigures {
  DesignSpec design;
  std::vector<const RunResult*> runs;  ///< By repetition; owned by the caller of compare().
  bool meets_thresholds = true;        ///< In every repetition.
  bool sustained = true;               ///< Fan-out lag grew in none of them.
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
  std::vector<std::size_t> runners_up;  ///< Whom the winner left behind by that, no sooner.
  std::vector<std::size_t> tied;        ///< Two or more: nobody wins among these.
  std::vector<std::string> unequal;     ///< What they did not have alike: then nobody wins.
  std::uint32_t repetitions = 1;        ///< The least of any design.
  double tolerance = 0;                 ///< Tie below this relative difference, without intervals.
  std::string sentence;                 ///< The verdict for this engine.
};

struct Comparison {
  std::vector<EngineComparison> engines;  ///< live before sim; only those with runs.
  std::string headline;                   ///< A few words: "per_group wins, live and simulated".
  std::string region;                     ///< Where the verdict holds, one sentence.
  std::string intervals;                  ///< What they are worth, or what is not known without.
};

/// Smallest relative difference that counts where there are too few repetitions for intervals. Live
/// runs of one minute on a shared machine differ by up to 20 % with nothing changed; simulated ones
/// share every arrival, so only the model's rounding remains.
[[nodiscard]] constexpr double tie_tolerance(Engine engine) {
  return engine == Engine::live ? 0.20 : 0.02;
}

/// Whether two figures cannot be told apart: their intervals overlap, or, where one has none, they
/// differ by at most `tolerance` of the larger.
[[nodiscard]] bool tie(const Estimate& a, const Estimate& b, double tolerance);

/// Compares designs that ran the same plan. A design is a candidate where it meets every threshold
/// and sustains the load; among candidates the least cost wins: server CPU per user-hour, then
/// device bytes, then catch-up p99, each by the median of the repetitions. Where intervals overlap
/// it is a tie. Twins stand apart (twins.hpp). @pre `runs` outlive the result.
[[nodiscard]] Comparison compare_designs(std::span<const RunResult> runs);

/// The trend of the fan-out lag over the measured window, in records a second.
[[nodiscard]] Trend fan_out_lag_trend(const RunResult& run);

/// Whether the server kept up: its fan-out lag has no upward slope that matters. It matters where
/// the rise over the window is more than half a second's records; a storm that is worked off again
/// leaves no slope.
[[nodiscard]] bool sustains_load(const RunResult& run);

}  // namespace clamor::report
