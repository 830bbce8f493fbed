#include "tests/integration/server_process.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <iterator>
#include <regex>
#include <string>
#include <sys/wait.h>
#include <thread>

// `clamor sim` as a user meets it: figures, files, timelines, refusals.
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* hamlet = R"(name: hamlet
population: {users: 60, contacts: 2}
groups:
  - {name: square, count: 2, members: 20}
designs: [per_group, per_user]
scenarios:
  chat: {executor: constant-arrival-rate, rate: 20, duration: 3s, mix: {direct: 0.5, square: 0.5}}
faults:
  - {at: 1s, kind: disconnect, target: clients, share: 0.3, mode: reset}
simulate: {scale: 10}
)";

struct Result {
  int exit_code = -1;
  std::string out;
};

class SimCommand : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "clamor-sim-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::ofstream{folder_ / "hamlet.yaml"} << hamlet;
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Runs `clamor sim ARGUMENTS` in the test's folder; both outputs together.
  Result sim(const std::string& arguments) const {
    const std::string command = "cd '" + folder_.string() + "' && '" CLAMOR_BINARY "' sim " +
                                arguments + " 2>&1 </dev/null";
    Result result;
    FILE* pipe = popen(command.c_str(), "r");
    std::array<char, 4096> buffer{};
    for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      result.out.append(buffer.data(), n);
    }
    result.exit_code = WEXITSTATUS(pclose(pipe));
    return result;
  }

  static std::string hash_in(const std::string& out) {
    std::smatch match;
    return std::regex_search(out, match, std::regex{"result hash ([0-9a-f]{16})"}) ? match[1].str()
                                                                                   : "none";
  }

  fs::path folder_;
};

TEST_F(SimCommand, PrintsItsSpeedAndLeavesTheSameResultForTheSameSeed) {
  const Result result = sim("hamlet.yaml --out out");
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_THAT(result.out, AllOf(HasSubstr("simulated 600 clients"), HasSubstr("M events/s"),
                                HasSubstr("simulated seconds per CPU-second"),
                                HasSubstr("peak memory"), HasSubstr("per_group")));
  EXPECT_TRUE(fs::exists(folder_ / "out/per_group-sim/result.json"));
  EXPECT_TRUE(fs::exists(folder_ / "out/per_group-sim/series.csv"));
  EXPECT_TRUE(fs::exists(folder_ / "out/per_group-sim/scenario.yaml"));
  ASSERT_NE(hash_in(result.out), "none");
  EXPECT_EQ(hash_in(sim("hamlet.yaml --out again").out), hash_in(result.out));
  EXPECT_NE(hash_in(sim("hamlet.yaml --seed 2 --out other").out), hash_in(result.out));
}

TEST_F(SimCommand, PrintsTheTimelineOfAUserAndOfAChannel) {
  const Result user = sim("hamlet.yaml --scale 1 --trace-user 7 --out out");
  EXPECT_THAT(user.out, AllOf(HasSubstr("user 7 client"), HasSubstr("is acknowledged number 1")));
  const Result channel = sim("hamlet.yaml --scale 1 --trace-channel 61 --out out");
  EXPECT_THAT(channel.out, HasSubstr("of channel 61 in the log"));
}

TEST_F(SimCommand, RefusesWhatItCannotMeanAndSaysWhatItExpected) {
  const auto refusal = [this](const std::string& arguments) {
    const Result result = sim(arguments);
    EXPECT_EQ(result.exit_code, 104) << arguments << ": " << result.out;
    return result.out;
  };
  EXPECT_THAT(refusal("hamlet.yaml --design per_tribe"), HasSubstr("per_member"));
  EXPECT_THAT(refusal("hamlet.yaml --until soon"), HasSubstr("1m30s"));
  EXPECT_THAT(refusal("hamlet.yaml --until 4s"), HasSubstr("at most the scenario's 3s"));
  EXPECT_THAT(refusal("hamlet.yaml --calibration ."),
              HasSubstr("--calibration: .: is a directory"));
  EXPECT_THAT(refusal("hamlet.yaml --calibration hamlet.yaml"),
              HasSubstr("--calibration: hamlet.yaml:1:1: no calibration"));
  EXPECT_THAT(refusal("hamlet.yaml --scale 3e6"), HasSubstr("holds at most 100000000"));
  EXPECT_THAT(refusal("hamlet.yaml --trace-user 600"), HasSubstr("from 0 to 599"));
  EXPECT_THAT(refusal("hamlet.yaml --trace-channel 100000"), HasSubstr("channel from 0 to"));
  EXPECT_THAT(refusal("hamlet.yaml --calibration nowhere.yaml"), HasSubstr("nowhere.yaml"));
  EXPECT_THAT(refusal("hamlet.yaml --scale 1e9"), HasSubstr("scale"));
  EXPECT_THAT(refusal("hamlet.yaml --scale -1"), HasSubstr("--scale"));
}

TEST_F(SimCommand, EndsPromptlyWhileItLaysOutALargePopulation) {
  clamor::test::ChildProcess large{
      {CLAMOR_BINARY, "sim", folder_ / "hamlet.yaml", "--scale", "50000", "--out", folder_ / "out"},
      folder_ / "log"};
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (large.log().find("laying out") == std::string::npos) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << large.log();
    std::this_thread::sleep_for(std::chrono::milliseconds{2});  // a log file tells of no change
  }
  large.signal(SIGTERM);
  EXPECT_EQ(large.wait(), 105);
  EXPECT_THAT(large.log(), HasSubstr("interrupted before the simulation began"));
}

}  // namespace
