#pragma once

#include <filesystem>
#include <string>

namespace clamor::report {

/// A folder that takes results, made and tried before a run is spent on it. One in which nothing
/// was written goes again with this object. While this lives no other process gets the folder.
class ResultsFolder {
 public:
  /// Makes `part` of what --out names or, where `out` is empty, of
  /// clamor-results/<UTC time>-<scenario>. @throws scenario::ConfigError that names --out; also
  /// where another run writes to the folder.
  ResultsFolder(const std::filesystem::path& out, const std::string& scenario,
                const std::string& part = "");
  ResultsFolder(const ResultsFolder&) = delete;
  ResultsFolder& operator=(const ResultsFolder&) = delete;
  ~ResultsFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::filesystem::path made_from_;  ///< The topmost folder that was made; empty: none was.
  int lock_ = -1;                    ///< The folder, open: its lock goes with the process.
};

/// clamor-results/2026-11-24T05-22-43Z-quickstart: no colons, which other systems do not take.
[[nodiscard]] std::filesystem::path default_results_folder(const std::string& scenario);

}  // namespace clamor::report
