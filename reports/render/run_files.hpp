#pragma once

#include "reports/model/crossover.hpp"
#include "reports/model/result.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace clamor::report {

/// Reads a result file, or the `result.json` of a run's folder.
/// @throws ResultFormatError (result_json.hpp).
[[nodiscard]] RunResult read_result_file(const std::filesystem::path& path);

/// Reads the crossover.json that a comparison left. @throws ResultFormatError.
[[nodiscard]] Crossover read_crossover_file(const std::filesystem::path& path);

/// Writes `text` to `path`, whole or not at all (by rename). A link is followed.
/// @throws std::system_error; also where `path` is a device, a pipe or a folder, which stay.
void write_file(const std::filesystem::path& path, std::string_view text);

/// Throws what write_file() would throw for `path`, before the work whose result it is to hold.
void expect_writable(const std::filesystem::path& path);

/// A run's series as CSV, one line a second, a header first, units in the names.
[[nodiscard]] std::string series_csv(const RunResult& run);

/// Writes what one run leaves behind, result.json and series.csv, into `folder` (made if absent).
/// @throws std::system_error.
void write_run_folder(const std::filesystem::path& folder, const RunResult& run);

}  // namespace clamor::report
