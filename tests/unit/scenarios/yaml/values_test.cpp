#include "scenarios/yaml/values.hpp"

#include <gtest/gtest.h>

#include <array>
#include <rapidcheck.h>

namespace clamor::scenario {
namespace {

TEST(Duration, ReadsEveryUnitAndItsSums) {
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("2us3ns"), 2003ns);
  EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Duration, SaysOfATooLongOneThatItIsOne) {
  EXPECT_EQ(parse_duration("99999999999h"), Duration::max());
}

TEST(Duration, RefusesWhatIsNone) {
  for (const char* text :
       {"", "5", "s", "5 s", "-5s", "5s ", "30m1h", "5s5s", "1e9s", "5x", "..5s", "infs"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, WritesWhatReadsBackExactly) {
  EXPECT_EQ(format_duration(90min), "1h30m");
  EXPECT_EQ(format_duration(12s), "12s");
  EXPECT_EQ(format_duration(500ms), "500ms");
  EXPECT_TRUE(rc::check([] {
    const Duration d{*rc::gen::inRange<std::int64_t>(0, 8'000'000'000'000'000)};
    RC_ASSERT(parse_duration(format_duration(d)) == d);
  }));
}

TEST(ThresholdExpression, ReadsTheSyntaxOfK6) {
  using Aggregate = Threshold::Aggregate;
  using Comparison = Threshold::Comparison;
  const auto p = parse_threshold("p(99.9) <= 250.5");
  ASSERT_TRUE(p.has_value());
  EXPECT_EQ(p->aggregate, Aggregate::percentile);
  EXPECT_DOUBLE_EQ(p->percentile, 99.9);
  EXPECT_EQ(p->comparison, Comparison::le);
  EXPECT_DOUBLE_EQ(p->bound, 250.5);
  EXPECT_EQ(parse_threshold("count==0")->comparison, Comparison::eq);
  EXPECT_EQ(parse_threshold("count===0")->comparison, Comparison::eq);
  EXPECT_EQ(parse_threshold("rate>0.99")->aggregate, Aggregate::rate);
  EXPECT_EQ(parse_threshold("med!=3")->comparison, Comparison::ne);
  EXPECT_EQ(parse_threshold(" max < 9 ")->aggregate, Aggregate::max);
}

TEST(ThresholdExpression, RefusesWhatIsNone) {
  for (const char* text :
       {"", "p99<250", "p()<250", "p(101)<250", "p(99<250", "p(99)250", "p(99)<", "p(99)<250ms",
        "p(99)<250 x", "average<3", "count=0", "count<nan", "count<>3", "p(9.9.9)<1"}) {
    EXPECT_FALSE(parse_threshold(text).has_value()) << text;
  }
}

TEST(Nearest, FindsASlipButNoOtherWord) {
  const std::array<std::string, 3> words{"population", "groups", "seed"};
  EXPECT_EQ(nearest("popluation", words), "population");
  EXPECT_EQ(nearest("group", words), "groups");
  EXPECT_EQ(nearest("sed", words), "seed");
  EXPECT_EQ(nearest("usr", std::vector<std::string>{"devices", "users"}), "users");
  EXPECT_EQ(nearest("cnt", std::vector<std::string>{"count", "members"}), "count");
  EXPECT_EQ(nearest("u", std::vector<std::string>{"devices", "users"}), "");
  EXPECT_EQ(nearest("thresholds", words), "");
}

}  // namespace
}  // namespace clamor::scenario
