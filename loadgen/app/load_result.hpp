#pragma once

#include "loadgen/app/part_file.hpp"
#include "loadgen/app/scrape.hpp"
#include "loadgen/net/recorder.hpp"
#include "reports/model/result.hpp"
#include "scenarios/model/plan.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace clamor::loadgen {

/// What the server was seen to use at one moment of the measured window.
struct ServerReading {
  Instant at;
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t fan_out_lag = 0;
};

/// Builds the run's time series second by second, as the workers' intervals come in.
class SeriesBuilder {
 public:
  explicit SeriesBuilder(std::uint32_t workers) : workers_{workers} {}
  /// Adds one worker's interval. True where it was the last one of its second: the server is read
  /// then, and complete() called.
  bool add(const IntervalRecord& interval);
  /// Closes the second that add() completed, with the server's reading if there is one.
  void complete(const std::optional<ServerReading>& reading, std::uint32_t server_cores);

  [[nodiscard]] const std::vector<report::SeriesPoint>& points() const { return points_; }

 private:
  std::uint32_t workers_;
  std::map<std::uint32_t, std::pair<IntervalRecord, std::uint32_t>> open_;  ///< By index; how many.
  IntervalRecord completed_;
  std::optional<ServerReading> before_;
  std::vector<report::SeriesPoint> points_;
};

/// Reads the workers' parts, judges all rows by all notes, and fills in ledger, findings,
/// histograms and generator of `result`. `ledger_complete` stays as it is, but turns false where
/// parts are missing or did not drain. `starts`: what every row held from the start, by channel;
/// empty: 1.
void add_parts(std::span<const std::filesystem::path> parts, const scenario::Plan& plan,
               std::vector<MessageId> starts, report::RunResult& result);

}  // namespace clamor::loadgen
