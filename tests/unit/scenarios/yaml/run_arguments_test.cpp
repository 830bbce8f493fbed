#include "scenarios/yaml/run_arguments.hpp"

#include "scenarios/yaml/config_error.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <string>

namespace clamor::scenario {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string faults_of(const ArgumentReader& read) {
  try {
    read.throw_if_any();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(ParseDesign, KnowsTheNamesAndTheirKnobs) {
  EXPECT_EQ(parse_design("per_group", {})->design, QueueDesign::per_group);
  EXPECT_EQ(parse_design("hybrid", {})->threshold, DesignSpec{}.threshold);
  EXPECT_EQ(parse_design("hybrid(300)", {})->threshold, 300U);
  EXPECT_EQ(parse_design("adaptive", {})->window, DesignSpec{}.window);
  EXPECT_EQ(parse_design("adaptive(32)", {})->window, 32U);
  EXPECT_EQ(parse_design("adaptive(32)", {})->threshold, DesignSpec{}.threshold);
  for (const char* wrong :
       {"", "per_planet", "adaptive(3)", "adaptive(10001)", "hybrid(", "hybrid()", "hybrid(0)",
        "hybrid(3x)", "hybrid(-3)", "hybrid(4294967296)", "per_user(3)"}) {
    EXPECT_FALSE(parse_design(wrong, {})) << wrong;
  }
}

TEST(ParseDesign, ABareNameTakesTheScenariosThreshold) {
  Scenario scenario;
  scenario.designs = {{QueueDesign::per_user}, {QueueDesign::hybrid, 20}};
  EXPECT_EQ(parse_design("hybrid", scenario)->threshold, 20U);
  EXPECT_EQ(parse_design("hybrid(300)", scenario)->threshold, 300U);
}

TEST(ArgumentReader, TakesWhatIsMeantAndLeavesOutWhatWasNotGiven) {
  ArgumentReader read;
  EXPECT_EQ(read.scale("0.5"), 0.5);
  EXPECT_EQ(read.scale("1e3"), 1000);
  EXPECT_EQ(read.seed("18446744073709551615"), 18446744073709551615U);
  EXPECT_EQ(read.workers("3"), 3U);
  EXPECT_EQ(read.until("20s", 20s), 20s);
  EXPECT_EQ(read.words("--out", "there", "a folder"), "there");
  EXPECT_EQ(read.design_or_first("--design", {}, {}).design, QueueDesign::per_user);
  EXPECT_FALSE(read.scale({}) || read.seed({}) || read.workers({}) || read.until({}, 1s));
  EXPECT_EQ(faults_of(read), "");
}

TEST(ArgumentReader, RefusesEveryOtherNumberByTheNameOfItsOption) {
  for (const char* wrong : {"nan", "inf", "-inf", "0", "-1", "", "1x", "1e999"}) {
    ArgumentReader read;
    EXPECT_FALSE(read.scale(wrong)) << wrong;
    EXPECT_THAT(faults_of(read), HasSubstr("--scale: expected a number above 0"));
  }
  for (const char* wrong : {"-1", "18446744073709551616", "1.5", ""}) {
    ArgumentReader read;
    EXPECT_FALSE(read.seed(wrong)) << wrong;
    EXPECT_THAT(faults_of(read), HasSubstr("--seed: expected a whole number from 0"));
  }
  for (const char* wrong : {"0", "-1", "", "1025"}) {
    ArgumentReader read;
    EXPECT_FALSE(read.workers(wrong)) << wrong;
    EXPECT_THAT(faults_of(read), HasSubstr("--workers: expected a whole number from 1"));
  }
  for (const char* wrong : {"0s", "-1s", "20001ms", "", "soon", "20"}) {
    ArgumentReader read;
    EXPECT_FALSE(read.until(wrong, 20s)) << wrong;
    EXPECT_THAT(faults_of(read), HasSubstr("at most the scenario's 20s"));
  }
}

TEST(ArgumentReader, NamesEveryFaultAtOnce) {
  ArgumentReader read;
  (void)read.design("--designs", "per_usr", {});
  (void)read.scale("nan");
  (void)read.words("--out", "", "a folder");
  EXPECT_EQ(faults_of(read),
            "--designs: 'per_usr' is no queue design; expected per_user, per_member, per_group, "
            "hybrid, hybrid(MEMBERS), adaptive or adaptive(WINDOW); did you mean \"per_user\"?\n"
            "--scale: expected a number above 0, found 'nan'\n"
            "--out: expected a folder, found ''");
}

}  // namespace
}  // namespace clamor::scenario
