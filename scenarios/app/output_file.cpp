#include "scenarios/app/output_file.hpp"

#include "scenarios/yaml/config_error.hpp"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace clamor::scenario {

void write_text_file(const std::string& path, const std::string& text) {
  const auto refuse = [&path](const std::string& why) -> ConfigError {
    return ConfigError{{path + ": cannot be written: " + why}};
  };
  std::error_code ec;
  const std::filesystem::path folder = std::filesystem::path{path}.parent_path();
  if (std::filesystem::is_directory(path, ec)) throw refuse("is a directory; expected a file");
  if (!folder.empty() && !std::filesystem::is_directory(folder, ec)) {
    throw refuse("no such folder as " + folder.string());
  }
  errno = 0;
  std::ofstream out{path, std::ios::binary | std::ios::trunc};
  out << text;
  out.close();
  if (!out) throw refuse(std::strerror(errno));
}

std::string name_for(const std::string& path) {
  std::string name = std::filesystem::path{path}.stem().string().substr(0, 64);
  for (char& c : name) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
    if (!fits) c = '-';
  }
  return name.empty() ? "scenario" : name;
}

}  // namespace clamor::scenario
