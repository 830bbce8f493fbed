#include "tests/bench/queues/load.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <sys/resource.h>

namespace clamor::bench {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

std::span<const std::byte> QueueLoad::body(std::uint64_t message) const {
  static const std::vector<std::byte> noise = [] {
    std::mt19937_64 random{1};
    std::vector<std::byte> bytes(std::size_t{1} << 20U);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
  }();
  return std::span{noise}.subspan(message * 8191 % (noise.size() - body_bytes), body_bytes);
}

std::vector<UserId> QueueLoad::members_of(std::uint64_t channel) const {
  std::vector<UserId> found;
  for (std::uint64_t i = 0; i < members; ++i) {
    found.push_back({1 + (channel * users / channels + i) % users});
  }
  std::sort(found.begin(), found.end());
  return found;
}

Usage Usage::now() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  Usage usage{.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime)};
  std::ifstream io{"/proc/self/io"};
  std::string name;
  double value = 0;
  while (io >> name >> value) {
    if (name == "write_bytes:") usage.device_bytes = value;
  }
  return usage;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = std::filesystem::temp_directory_path() / "clamor-queues-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

}  // namespace clamor::bench
