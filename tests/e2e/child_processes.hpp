#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/types.h>

namespace clamor::test {

/// A child of this process whose command line holds `word`, or 0.
inline pid_t child_called(const std::string& word) {
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream children{task.path() / "children"};
    for (pid_t pid = 0; children >> pid;) {
      std::ifstream command{"/proc/" + std::to_string(pid) + "/cmdline"};
      std::string text{std::istreambuf_iterator<char>{command}, {}};
      if (text.find(word) != std::string::npos) return pid;
    }
  }
  return 0;
}

}  // namespace clamor::test
