#include "loadgen/app/scratch_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace clamor::loadgen {

ScratchFolder::ScratchFolder(std::string_view name) {
  std::error_code ec;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(ec);
  if (ec) {
    throw std::system_error{ec, "TMPDIR does not name a folder for temporary files"};
  }
  std::string pattern = (parent / name).string() + "-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) {
    throw std::system_error{errno, std::system_category(), "cannot make a folder " + pattern};
  }
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace clamor::loadgen
