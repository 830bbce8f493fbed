#include "reports/render/run_files.hpp"

#include "reports/render/result_json.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <system_error>

namespace clamor::report {

namespace {

std::string text_of(const std::filesystem::path& file, const char* expected) {
  errno = 0;
  std::ifstream in{file, std::ios::binary};
  if (!in) {
    const std::string why = errno == 0 ? "" : ": " + std::generic_category().message(errno);
    throw ResultFormatError{file.string() + ": cannot be read" + why + "; expected " + expected};
  }
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

RunResult read_result_file(const std::filesystem::path& path) {
  std::error_code ec;
  const bool folder = std::filesystem::is_directory(path, ec);
  const std::filesystem::path file = folder ? path / "result.json" : path;
  return read_result(
      text_of(file, folder ? "the folder of one run" : "a result.json or its folder"),
      file.string());
}

Crossover read_crossover_file(const std::filesystem::path& path) {
  return read_crossover(text_of(path, "a crossover.json"), path.string());
}

namespace {

/// The file that a rename may replace: never a device, a pipe or a folder, nor a link instead of
/// the file that it leads to.
std::filesystem::path replaceable(const std::filesystem::path& path) {
  std::error_code ec;
  const std::filesystem::file_status status = std::filesystem::status(path, ec);
  if (!std::filesystem::exists(status)) return path;
  if (!std::filesystem::is_regular_file(status)) {
    throw std::system_error{std::make_error_code(std::errc::operation_not_permitted),
                            "cannot write " + path.string() +
                                ", which is no regular file; expected a file or a new name"};
  }
  return std::filesystem::canonical(path);
}

/// `out` has been written to: throws where that failed, and leaves no partial file then.
void expect_written(const std::ofstream& out, const std::filesystem::path& partial,
                    const std::filesystem::path& path) {
  if (out) return;
  const int why = errno == 0 ? EIO : errno;
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  throw std::system_error{why, std::generic_category(), "cannot write " + path.string()};
}

}  // namespace

void expect_writable(const std::filesystem::path& path) {
  const std::filesystem::path partial = replaceable(path).string() + ".partial";
  errno = 0;
  std::ofstream out{partial, std::ios::binary | std::ios::trunc};
  expect_written(out, partial, path);
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path target = replaceable(path);
  const std::filesystem::path partial = target.string() + ".partial";
  errno = 0;
  std::ofstream out{partial, std::ios::binary | std::ios::trunc};
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  expect_written(out, partial, path);
  std::filesystem::rename(partial, target);
}

std::string series_csv(const RunResult& run) {
  std::string csv =
      "t_seconds,connected,sent_rate,ack_rate,delivery_rate,delivery_p50_ns,delivery_p99_ns,"
      "server_cpu_share,server_rss_bytes,fan_out_lag_records,generator_lag_ns,marked\n";
  for (const SeriesPoint& p : run.series) {
    csv += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", p.t_seconds, p.connected,
                       p.sent_rate, p.ack_rate, p.delivery_rate, p.delivery_p50_ns,
                       p.delivery_p99_ns, p.server_cpu_share, p.server_rss_bytes, p.fan_out_lag,
                       p.generator_lag_ns, p.marked ? 1 : 0);
  }
  return csv;
}

void write_run_folder(const std::filesystem::path& folder, const RunResult& run) {
  std::filesystem::create_directories(folder);
  write_file(folder / "result.json", write_result(run));
  write_file(folder / "series.csv", series_csv(run));
}

}  // namespace clamor::report
