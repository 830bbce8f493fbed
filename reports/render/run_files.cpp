#include "reports/render/run_files.hpp"

#include "reports/render/result_json.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <system_error>

namespace clamor::report {

RunResult read_result_file(const std::filesystem::path& path) {
  const std::filesystem::path file =
      std::filesystem::is_directory(path) ? path / "result.json" : path;
  std::ifstream in{file, std::ios::binary};
  if (!in) throw ResultFormatError{file.string() + ": cannot be read; expected a result.json"};
  std::ostringstream text;
  text << in.rdbuf();
  return read_result(text.str(), file.string());
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path partial = path.string() + ".partial";
  std::ofstream out{partial, std::ios::binary | std::ios::trunc};
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  if (!out) {
    throw std::system_error{errno, std::generic_category(), "cannot write " + path.string()};
  }
  std::filesystem::rename(partial, path);
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
