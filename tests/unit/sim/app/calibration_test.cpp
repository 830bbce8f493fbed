#include "sim/app/calibration.hpp"

#include "scenarios/yaml/config_error.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <stdexcept>
#include <string>

namespace clamor::sim {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string error_of(const std::string& yaml) {
  try {
    static_cast<void>(parse_calibration(yaml, "costs.yaml"));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Calibration, TheBuiltInFileNamesItsMachineAndHasEveryCoefficient) {
  const Calibration calibration = default_calibration();
  EXPECT_FALSE(calibration.machine.empty());
  EXPECT_FALSE(calibration.date.empty());
  EXPECT_EQ(calibration.path, "loopback");
  EXPECT_GT(calibration.costs.flush_ns, 0);
}

TEST(Calibration, WhatIsWrittenIsReadBackTheSame) {
  Calibration calibration = default_calibration();
  calibration.costs.flush_ns = 6312.5;
  calibration.residuals[5] = 0.031;
  calibration.machine = "a \"quoted\" machine";
  const Calibration again = parse_calibration(to_yaml(calibration), "written");
  EXPECT_EQ(again.machine, calibration.machine);
  EXPECT_EQ(again.residuals, calibration.residuals);
  for (const CostCoefficient& one : cost_coefficients) {
    EXPECT_DOUBLE_EQ(again.costs.*one.member, calibration.costs.*one.member) << one.name;
  }
}

TEST(Calibration, ReportsEveryErrorWithItsPlace) {
  std::string yaml = to_yaml(default_calibration());
  const auto replace = [&yaml](const std::string& from, const std::string& to) {
    const auto at = yaml.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    yaml.replace(at, from.size(), to);
  };
  replace("  turn_ns: {value: ", "  turn_ns: {value: -1");
  replace("  post_ns:", "  posts_ns:");
  const std::string error = error_of(yaml);
  EXPECT_THAT(error,
              AllOf(HasSubstr("costs.yaml:"), HasSubstr("at least 0"),
                    HasSubstr("`posts_ns` is no coefficient"), HasSubstr("`post_ns` is missing")));
}

TEST(Calibration, RefusesTextThatIsNoCalibration) {
  EXPECT_THAT(error_of("[1, 2]"), HasSubstr("clamor.calibration/1"));
  EXPECT_THAT(error_of("format: [\n"), HasSubstr("costs.yaml:"));
  EXPECT_THAT(error_of(""), HasSubstr("expected a map"));
}

TEST(Calibration, AnotherFileIsRefusedInOneSentence) {
  EXPECT_EQ(error_of("name: quickstart\nseed: 1\n"),
            "costs.yaml:1:1: no calibration; expected `format: clamor.calibration/1`, as `clamor "
            "calibrate` writes it");
}

TEST(Calibration, AsAnArgumentNamesTheOptionAndTheFile) {
  EXPECT_EQ(calibration_argument("").date, default_calibration().date);
  try {
    static_cast<void>(calibration_argument("/tmp"));
    FAIL() << "a folder";
  } catch (const scenario::ConfigError& error) {
    EXPECT_STREQ(error.what(), "--calibration: /tmp: is a directory; expected a file");
  }
}

}  // namespace
}  // namespace clamor::sim
