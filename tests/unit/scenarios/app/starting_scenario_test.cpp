#include "scenarios/app/starting_scenario.hpp"

#include "scenarios/app/output_file.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/scenario_file.hpp"

#include <gtest/gtest.h>

namespace clamor::scenario {
namespace {

TEST(StartingScenario, PassesItsOwnCheckUnderAnyName) {
  for (const char* file : {"scenario.yaml", "my first (draft).yml", ".yaml", "a\"b.yaml"}) {
    const auto read = parse_scenario(starting_scenario(name_for(file)), file, ".");
    EXPECT_TRUE(read.value.has_value()) << (read.errors.empty() ? "" : read.errors[0]);
  }
}

TEST(OutputFile, SaysWhyItCannotBeWritten) {
  EXPECT_THROW(write_text_file("/", "x"), ConfigError);
  EXPECT_THROW(write_text_file("/nowhere/at/all.yaml", "x"), ConfigError);
}

}  // namespace
}  // namespace clamor::scenario
