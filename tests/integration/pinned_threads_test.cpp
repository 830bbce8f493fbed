// Which cores the I/O threads of nodes run on.

#include "tests/integration/server_process.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace clamor::test {
namespace {

std::string first_line(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::string line;
  std::getline(in, line);
  return line;
}

/// The cores that the threads of that name may run on, as the kernel writes them: `0-1`, `0`.
std::multiset<std::string> cores_of(pid_t process, const std::string& thread) {
  std::multiset<std::string> cores;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator{tasks}) {
    if (first_line(task.path() / "comm") != thread) continue;
    std::ifstream status{task.path() / "status"};
    const std::string key = "Cpus_allowed_list:\t";
    for (std::string line; std::getline(status, line);) {
      if (line.rfind(key, 0) == 0) cores.insert(line.substr(key.size()));
    }
  }
  return cores;
}

TEST(PinnedThreads, EachNodeHasACoreOfItsOwnAndNothingElseIsBound) {
  ServerProcess server{"durability: os\nthreads: pinned\n", 0, 2};
  const pid_t pid = server.process().pid();
  // A thread binds itself once it runs, which may be after the gateway listens.
  const auto bound = [pid](const std::string& thread) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    auto cores = cores_of(pid, thread);
    while (cores.size() == 1 && cores.begin()->find_first_of("-,") != std::string::npos &&
           std::chrono::steady_clock::now() < until) {
      cores = cores_of(pid, thread);
    }
    return cores;
  };
  const std::multiset<std::string> first = bound("node-0");
  const std::multiset<std::string> second = bound("node-1");
  ASSERT_EQ(first.size(), 1);
  ASSERT_EQ(second.size(), 1);
  for (const std::string& core : {*first.begin(), *second.begin()}) {
    EXPECT_EQ(core.find_first_not_of("0123456789"), std::string::npos) << core;
  }
  EXPECT_NE(*first.begin(), *second.begin());
  for (const std::string& cores : cores_of(pid, "clamor")) {
    EXPECT_NE(cores.find_first_of("-,"), std::string::npos) << cores;
  }
  EXPECT_EQ(server.stop(), 0);
}

TEST(PinnedThreads, MoreNodesThanCoresAreRefused) {
  const TemporaryDirectory directory;
  const std::string config = directory / "serve.yaml";
  std::ofstream{config} << "listen: 127.0.0.1:0\ndata: " << (directory / "data")
                        << "\nsecret: " << test_secret << "\nnodes: 2\nthreads: pinned\n";
  ChildProcess process{{"/usr/bin/taskset", "-c", "0", CLAMOR_BINARY, "serve", "--config", config},
                       directory / "log"};
  EXPECT_EQ(process.wait(), 104);
  EXPECT_NE(process.log().find("hosts 2 nodes and may use 1 cores"), std::string::npos)
      << process.log();
}

}  // namespace
}  // namespace clamor::test
