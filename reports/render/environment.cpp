#include "reports/render/environment.hpp"

#include <array>
#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <sys/utsname.h>
#include <thread>

namespace clamor::report {
namespace {

std::string cpu_model() {
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t at = line.find(": ");
    if (at != std::string::npos) return line.substr(at + 2);
  }
  return "unknown CPU";
}

}  // namespace

std::string utc_timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

Environment current_environment() {
  Environment environment;
  environment.clamor_version = clamor_version;
  environment.machine =
      fmt::format("{}, {} cores", cpu_model(), std::thread::hardware_concurrency());
  utsname kernel{};
  if (uname(&kernel) == 0) {
    environment.kernel = fmt::format("{} {}", kernel.sysname, kernel.release);
  }
  environment.started_utc = utc_timestamp();
  return environment;
}

std::string shell_command(std::span<const std::string> arguments) {
  std::string command;
  for (const std::string& argument : arguments) {
    if (!command.empty()) command += ' ';
    const bool plain =
        !argument.empty() && argument.find_first_not_of(
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789_-./,:=+@%") == std::string::npos;
    if (plain) {
      command += argument;
      continue;
    }
    command += '\'';
    for (const char c : argument) command += c == '\'' ? std::string{"'\\''"} : std::string{c};
    command += '\'';
  }
  return command;
}

}  // namespace clamor::report
