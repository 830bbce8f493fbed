#pragma once

#include <filesystem>
#include <string_view>

namespace clamor::loadgen {

/// A folder for one run's files under the system's temporary one, removed with what is in it.
class ScratchFolder {
 public:
  /// `name` is what its name begins with. Throws std::system_error.
  explicit ScratchFolder(std::string_view name);
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace clamor::loadgen
