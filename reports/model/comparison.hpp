#pragma once

#include "reports/model/interval.hpp"
#include "reports/model/measure.hpp"
#include "reports/model/result.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/model/trend.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::report {

/// One design under one engine, over its repetitions.
struct DesignFigures {
  DesignSpec design;
  std::vector<const RunResult*> runs;  ///< By repetition; owned by the caller of compare().
  bool meets_thresholds = true;        ///< In every repetition.
  bool sustained = true;               ///< Fan-out lag grew in none of them.
  std::string fails;                   ///< First reason not to be a candidate.
  std::array<Estimate, criteria.size()> costs;  ///< By criterion.
  std::vector<double> lag_growth;  ///< Of the fan-out lag, records a second, by repetition.

  /// @pre `criterion` is one of `criteria`.
  [[nodiscard]] const Estimate& cost(Figure criterion) const {
    const auto* at = std::find(criteria.begin(), criteria.end(), criterion);
    return costs.at(static_cast<std::size_t>(at - criteria.begin()));
  }
  [[nodiscard]] bool candidate() const { return meets_thresholds && sustained; }
};

/// The designs under one engine, and who wins there.
struct EngineComparison {
  Engine engine = Engine::live;
  std::vector<DesignFigures> designs;   ///< In the order of the runs.
  std::optional<std::size_t> winner;    ///< Index into designs.
  std::optional<Figure> decided_by;     ///< A criterion; with a winner over other candidates.
  std::vector<std::size_t> runners_up;  ///< Whom the winner left behind by that, no sooner.
  std::vector<std::size_t> tied;        ///< Two or more: nobody wins among these.
  std::vector<std::string> unequal;     ///< What they did not have alike: then nobody wins.
  bool interrupted = false;             ///< A run was: then nobody wins either.
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

/// A figure over repetitions.
[[nodiscard]] Estimate estimate_of(std::span<const RunResult* const> runs, Figure figure);

/// Smallest relative difference that counts where there are too few repetitions for intervals. Live
/// runs of one minute on a shared machine differ by up to 20 % with nothing changed; simulated ones
/// share every arrival, so only the model's rounding remains.
[[nodiscard]] constexpr double tie_tolerance(Engine engine) {
  return engine == Engine::live ? 0.20 : 0.02;
}

/// Whether two figures cannot be told apart: their intervals overlap, or, where one has none, they
/// differ by at most `tolerance` of the larger.
[[nodiscard]] bool tie(const Estimate& a, const Estimate& b, double tolerance);

/// Whether a is less than b and can be told apart from it: the one way in which costs are ranked.
[[nodiscard]] inline bool cheaper(const Estimate& a, const Estimate& b, double tolerance) {
  return a.median < b.median && !tie(a, b, tolerance);
}

/// Compares designs that ran the same plan. A design is a candidate where it meets every threshold
/// and sustains the load; among candidates the least cost wins: server CPU per user-hour, then
/// device bytes, then catch-up p99, each by the median of the repetitions. Where intervals overlap
/// it is a tie. Twins stand apart (twins.hpp). @pre `runs` outlive the result.
[[nodiscard]] Comparison compare_designs(std::span<const RunResult> runs);

/// The trend of the fan-out lag over the measured window, in records a second.
[[nodiscard]] Trend fan_out_lag_trend(const RunResult& run);

/// Whether the server kept up: its fan-out lag, whose trend that is, has no upward slope that
/// matters. It matters where the rise over the window is more than half a second's records; a storm
/// that is worked off again leaves no slope.
[[nodiscard]] bool sustains_load(const RunResult& run, const Trend& lag);

}  // namespace clamor::report
