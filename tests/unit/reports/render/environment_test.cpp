#include "reports/render/environment.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <vector>

namespace clamor::report {
namespace {

TEST(Environment, DescribesThisMachineAndMoment) {
  const Environment environment = current_environment();
  EXPECT_THAT(environment.machine, testing::MatchesRegex(".+, [0-9]+ cores"));
  EXPECT_THAT(environment.kernel, testing::StartsWith("Linux "));
  EXPECT_THAT(environment.started_utc, testing::MatchesRegex("20..-..-..T..:..:..Z"));
}

TEST(ShellCommand, QuotesWhatAShellWouldTakeApart) {
  const std::vector<std::string> arguments{"clamor", "compare", "my file.yaml",
                                           "it's",   "",        "--seed=4"};
  EXPECT_EQ(shell_command(arguments), "clamor compare 'my file.yaml' 'it'\\''s' '' --seed=4");
}

}  // namespace
}  // namespace clamor::report
