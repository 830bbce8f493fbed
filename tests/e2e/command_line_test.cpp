#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/wait.h>

// The built `clamor`, as a user meets it: what it prints where, and its exit codes.
namespace {

namespace fs = std::filesystem;

struct Result {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class CommandLine : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "clamor-cli-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Runs the command in the test's folder, to its end.
  Result clamor(const std::string& arguments) const {
    const std::string errors = folder_ / "stderr";
    const std::string command = "cd '" + folder_.string() + "' && '" CLAMOR_BINARY "' " +
                                arguments + " 2>'" + errors + "' </dev/null";
    Result result;
    FILE* pipe = popen(command.c_str(), "r");
    std::array<char, 4096> buffer{};
    for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      result.out.append(buffer.data(), n);
    }
    result.exit_code = WEXITSTATUS(pclose(pipe));
    result.err = read(errors);
    return result;
  }

  static std::string read(const fs::path& path) {
    std::ifstream in{path};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path folder_;
};

TEST_F(CommandLine, AloneShowsHelpWithExamples) {
  const Result result = clamor("");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("Usage: clamor [OPTIONS]"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("Examples:"), std::string::npos);
  EXPECT_EQ(result.err, "");
}

TEST_F(CommandLine, EveryCommandHasHelp) {
  const std::string help = clamor("--help").out;
  std::istringstream lines{help.substr(help.find("Subcommands:"))};
  std::string line;
  int commands = 0;
  for (std::getline(lines, line); std::getline(lines, line) && line.starts_with("  ");) {
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    if (name.empty()) continue;  // a description's second line
    const Result result = clamor(name + " --help");
    EXPECT_EQ(result.exit_code, 0) << name;
    EXPECT_NE(result.out.find("Usage: clamor " + name), std::string::npos) << result.out;
    ++commands;
  }
  EXPECT_GE(commands, 3);
}

TEST_F(CommandLine, AMistypedCommandIsToldTheNearest) {
  const Result top = clamor("scenaro check x.yaml");
  EXPECT_EQ(top.exit_code, 104);
  EXPECT_NE(top.err.find("did you mean \"scenario\"?"), std::string::npos) << top.err;
  const Result nested = clamor("scenario chek x.yaml");
  EXPECT_EQ(nested.exit_code, 104);
  EXPECT_NE(nested.err.find("did you mean \"check\"?"), std::string::npos) << nested.err;
  EXPECT_EQ(nested.out, "");
}

TEST_F(CommandLine, AWrongOptionNamesTheCommandAndItsHelp) {
  const Result result = clamor("scenario check quickstart --efective");
  EXPECT_EQ(result.exit_code, 104);
  EXPECT_EQ(result.err,
            "clamor scenario check: The following argument was not expected: --efective\n"
            "`clamor scenario check --help` shows its options\n");
  EXPECT_EQ(clamor("trace import x.log").exit_code, 104) << "--output is required";
}

TEST_F(CommandLine, LoadSimAndCompareRefuseTheSameArgumentsInTheSameWords) {
  for (const char* command : {"load", "sim", "compare"}) {
    const auto refusal = [&](const std::string& arguments) {
      const Result result = clamor(std::string{command} + " quickstart " + arguments);
      EXPECT_EQ(result.exit_code, 104) << command << " " << arguments << ": " << result.err;
      EXPECT_EQ(result.out, "");
      return result.err;
    };
    EXPECT_EQ(refusal("--scale nan"), "--scale: expected a number above 0, found 'nan'\n");
    EXPECT_EQ(refusal("--scale inf"), "--scale: expected a number above 0, found 'inf'\n");
    EXPECT_EQ(refusal("--scale 0"), "--scale: expected a number above 0, found '0'\n");
    EXPECT_EQ(refusal("--out ''"), "--out: expected a folder, found ''\n");
    EXPECT_EQ(refusal("--seed -1"),
              "--seed: expected a whole number from 0 to 18446744073709551615, found '-1'\n");
    EXPECT_EQ(refusal("--out stderr/x").find("--out stderr/x: "), 0U);
    const std::string design = std::string{command} == "compare" ? "--designs" : "--design";
    EXPECT_NE(refusal(design + " ''").find("'' is no queue design"), std::string::npos);
    if (std::string{command} == "sim") continue;
    EXPECT_EQ(refusal("--workers 0").find("--workers: expected a whole number from 1"), 0U);
    EXPECT_EQ(refusal("--workers -1").find("--workers: expected a whole number from 1"), 0U);
  }
  EXPECT_EQ(clamor("load quickstart --target ws://127.0.0.1:1 --secret ''").err,
            "--secret: expected the secret of the target's tokens, found ''\n");
  EXPECT_FALSE(fs::exists(folder_ / "clamor-results")) << "nothing ran";
}

TEST_F(CommandLine, OutputThatIsLostIsAnError) {
  const Result result = clamor("scenario list >/dev/full");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "clamor: cannot write to standard output: No space left on device\n");
}

TEST_F(CommandLine, AScaleThatLeavesNoMessageIsRefused) {
  for (const char* command : {"load", "sim"}) {
    const Result result = clamor(std::string{command} + " quickstart --scale 0.00001");
    EXPECT_EQ(result.exit_code, 104) << command;
    EXPECT_NE(result.err.find("makes no message; use a larger scale"), std::string::npos)
        << result.err;
  }
}

TEST_F(CommandLine, CalibrateFindsOutBeforeItMeasuresThatItCannotWrite) {
  const Result result = clamor("calibrate --out nowhere/costs.yaml");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "clamor: cannot write nowhere/costs.yaml: No such file or directory\n");
}

TEST_F(CommandLine, InterruptedCalibrateLeavesNothing) {
  const Result result = clamor(
      "calibrate --quick --out costs.yaml 2>said & pid=$!; "
      "for i in $(seq 500); do grep -qs calibrating '" +
      (folder_ / "said").string() + "' && break; sleep 0.02; done; kill -INT $pid; wait $pid");
  EXPECT_EQ(result.exit_code, 105);
  const std::string said = read(folder_ / "said");
  EXPECT_NE(said.find("interrupted; costs.yaml was not written"), std::string::npos) << said;
  EXPECT_FALSE(fs::exists(folder_ / "costs.yaml"));
}

TEST_F(CommandLine, CheckReportsEveryFaultOfEveryFile) {
  std::ofstream{folder_ / "a.yaml"} << "name: a\npopulation: {users: none}\n";
  std::ofstream{folder_ / "b.yaml"} << "";
  const Result result = clamor("scenario check a.yaml quickstart b.yaml quikstart");
  EXPECT_EQ(result.exit_code, 104);
  EXPECT_EQ(result.err,
            "a.yaml:1:1: the scenario lacks \"scenarios\"\n"
            "a.yaml:2:21: users is \"none\"; expected a whole number from 1 to 2000000000\n"
            "b.yaml:1:1: the file is empty\n"
            "quikstart: no such file; expected a scenario file or one of: busy-team, "
            "large-group, notice-boards, quickstart, reconnect-storm, server-loss; did you mean "
            "\"quickstart\"?\n");
  EXPECT_NE(result.out.find("quickstart: ok: 2000 users, 2200 clients"), std::string::npos);
}

TEST_F(CommandLine, ListsStartsAndChecksScenarios) {
  EXPECT_NE(clamor("scenario list").out.find("reconnect-storm"), std::string::npos);
  EXPECT_EQ(clamor("scenario init mine.yaml").exit_code, 0);
  EXPECT_EQ(clamor("scenario check mine.yaml").exit_code, 0);
  const Result again = clamor("scenario init mine.yaml");
  EXPECT_EQ(again.exit_code, 104) << "a file must not be replaced silently";
  EXPECT_NE(again.err.find("--force"), std::string::npos);
  const Result effective = clamor("scenario check --effective mine.yaml");
  std::ofstream{folder_ / "effective.yaml"} << effective.out;
  EXPECT_EQ(clamor("scenario check --effective effective.yaml").out, effective.out);
}

TEST_F(CommandLine, ImportsATraceThatChecksAndMoves) {
  const std::string log = CLAMOR_ROOT "/scenarios/traces/ubuntu-2006-06-01.irc.log";
  const Result imported = clamor("trace import '" + log + "' --output irc.yaml --copies 3");
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_NE(imported.out.find("1721, with"), std::string::npos) << imported.out;
  EXPECT_NE(imported.out.find("54 mode change"), std::string::npos);
  EXPECT_NE(imported.out.find("196 times faster, 3 channels"), std::string::npos);
  const Result again = clamor("trace import '" + log + "' --output irc.yaml");
  EXPECT_EQ(again.exit_code, 104) << "files must not be replaced silently";
  EXPECT_NE(again.err.find("irc.events.csv: exists already"), std::string::npos) << again.err;
  EXPECT_EQ(clamor("trace import '" + log + "' -o irc.yaml --copies 3 --force").exit_code, 0);
  // The pair of files may be moved together: the scenario names its events relatively.
  fs::create_directory(folder_ / "elsewhere");
  fs::rename(folder_ / "irc.yaml", folder_ / "elsewhere/irc.yaml");
  fs::rename(folder_ / "irc.events.csv", folder_ / "elsewhere/irc.events.csv");
  const Result checked = clamor("scenario check elsewhere/irc.yaml");
  EXPECT_NE(checked.out.find("1194 users, 1194 clients, 3 channels, 5163 messages in 30s"),
            std::string::npos)
      << checked.out << checked.err;
  std::ofstream{folder_ / "own.log"} << "[10:00] <a> hello\n[10:01] <b> hi\n";
  const Result itself = clamor("trace import own.log -o own.log --force");
  EXPECT_EQ(itself.exit_code, 104);
  EXPECT_NE(itself.err.find("is the log itself"), std::string::npos) << itself.err;
  EXPECT_EQ(fs::file_size(folder_ / "own.log"), 33U);
  std::ofstream{folder_ / "alone.log"} << "[10:00] <a> hello\n";
  const Result alone = clamor("trace import alone.log -o alone.yaml");
  EXPECT_EQ(alone.exit_code, 104);
  EXPECT_NE(alone.err.find("two users or more"), std::string::npos) << alone.err;
  const Result no_log = clamor("trace import '" CLAMOR_ROOT "/main.cpp' -o x.yaml");
  EXPECT_EQ(no_log.exit_code, 104);
  EXPECT_NE(no_log.err.find("no line of a known format"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "x.yaml"));
}

}  // namespace
