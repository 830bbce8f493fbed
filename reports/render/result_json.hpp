#pragma once

#include "reports/model/crossover.hpp"
#include "reports/model/result.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

namespace clamor::report {

inline constexpr std::string_view result_schema = "clamor.result/1";
inline constexpr std::string_view crossover_schema = "clamor.crossover/1";
/// The name that such a file has beside the runs of its comparison.
inline constexpr std::string_view crossover_file = "crossover.json";

/// A result file that cannot be read: names the place and what was expected there.
class ResultFormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Writes a run as JSON of schema clamor.result/1: integers in `_ns`, operations by class,
/// histograms as sparse [bucket, count] pairs with their quantiles beside them.
[[nodiscard]] std::string write_result(const RunResult& run);

/// Reads what write_result wrote; unknown keys are ignored, missing ones are errors. `place` names
/// the source in errors. @throws ResultFormatError.
[[nodiscard]] RunResult read_result(std::string_view json, const std::string& place);

/// The same for the crossover of a comparison, of schema clamor.crossover/1.
[[nodiscard]] std::string write_crossover(const Crossover& crossover);
[[nodiscard]] Crossover read_crossover(std::string_view json, const std::string& place);

}  // namespace clamor::report
