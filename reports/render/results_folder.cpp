#include "reports/render/results_folder.hpp"

#include "reports/render/environment.hpp"
#include "scenarios/yaml/config_error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace clamor::report {
namespace {

namespace fs = std::filesystem;

fs::path topmost_missing(fs::path folder) {
  std::error_code ignored;
  fs::path missing;
  while (!folder.empty() && !fs::exists(folder, ignored)) {
    missing = folder;
    folder = folder.parent_path();
  }
  return missing;
}

/// Permissions alone do not tell: root has all of them, and /proc takes no file.
std::error_code try_to_write(const fs::path& folder) {
  std::string file = (folder / ".trying-XXXXXX").string();
  const int fd = mkstemp(file.data());
  if (fd < 0) return {errno, std::generic_category()};
  close(fd);
  unlink(file.c_str());
  return {};
}

}  // namespace

fs::path default_results_folder(const std::string& scenario) {
  std::string stamp = utc_timestamp();
  std::replace(stamp.begin(), stamp.end(), ':', '-');
  return fs::path{"clamor-results"} / (stamp + "-" + scenario);
}

ResultsFolder::ResultsFolder(const fs::path& out, const std::string& scenario,
                             const std::string& part)
    : path_{out.empty() ? default_results_folder(scenario) : out} {
  if (!part.empty()) path_ /= part;
  path_ = path_.lexically_normal();
  made_from_ = topmost_missing(path_);
  std::error_code error;
  fs::create_directories(path_, error);
  if (!error && !fs::is_directory(path_)) error = std::make_error_code(std::errc::not_a_directory);
  if (!error) error = try_to_write(path_);
  if (!error) {
    lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
    // Some file systems know no locks: two runs on one folder are then the user's affair.
    if (errno != EWOULDBLOCK) return;
    close(lock_);
    throw scenario::ConfigError{{fmt::format(
        "--out{}: another clamor is writing to {}; expected a folder of its own for each run",
        out.empty() ? "" : " " + out.string(), path_.string())}};
  }
  throw scenario::ConfigError{{fmt::format(
      "--out{}: results cannot be written to {}: {}; expected a folder that can be made and "
      "written to",
      out.empty() ? "" : " " + out.string(), path_.string(), error.message())}};
}

ResultsFolder::~ResultsFolder() {
  if (lock_ >= 0) close(lock_);
  if (made_from_.empty()) return;
  std::error_code error;
  for (fs::path folder = path_;; folder = folder.parent_path()) {
    if (!fs::remove(folder, error) || folder == made_from_) return;  // not empty: it stays
  }
}

}  // namespace clamor::report
