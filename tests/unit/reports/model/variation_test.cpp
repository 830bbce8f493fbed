#include "reports/model/variation.hpp"

#include "reports/model/region.hpp"
#include "scenarios/model/plan.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace clamor::report {
namespace {

using namespace std::chrono_literals;
using scenario::Away;
using scenario::Scenario;

Scenario sample_scenario() {
  Scenario s;
  s.population.users = 3'000;
  s.population.contacts = 4;
  s.population.away = {{Away::Kind::repeating, 0.4, 4s, {}, 20s}, {Away::Kind::once, 0.2, 6s, 20s}};
  s.groups = {{"team", 300, 20}, {"hall", 4, 400, 0.95}};
  s.faults = {{.at = 30s, .share = 0.2}};
  scenario::Workload chat;
  chat.rate = 50;
  chat.duration = 60s;
  chat.mix = {{"direct", 0.5}, {"team", 0.4}, {"hall", 0.1}};
  s.workloads = {chat};
  return s;
}

Region region(const Scenario& scenario) { return region_of(scenario::Plan{scenario}); }

Region varied(Axis axis, double factor) {
  const auto scenario = vary(sample_scenario(), axis, factor);
  EXPECT_TRUE(scenario);
  return region(*scenario);
}

TEST(Variation, OfGroupSizeKeepsHowManyChannelsAUserHas) {
  const Region here = region(sample_scenario());
  for (const double factor : {0.5, 2.0, 4.0}) {
    const Region there = varied(Axis::group_size, factor);
    EXPECT_EQ(there.groups[1].members, 20 * factor);
    EXPECT_EQ(there.groups[2].members, 400 * factor);
    EXPECT_EQ(there.groups[0].members, 2U) << "contacts are two";
    EXPECT_NEAR(there.channels_per_user, here.channels_per_user, 0.02);
    EXPECT_NEAR(there.messages_per_user_hour, here.messages_per_user_hour, 1.5);
  }
  EXPECT_EQ(varied(Axis::group_size, 16).groups[2].members, 3'000U) << "not above the population";
}

TEST(Variation, OfReconnectsKeepsWhoIsOnline) {
  const Region here = region(sample_scenario());
  for (const double factor : {0.5, 2.0}) {
    const Region there = varied(Axis::reconnects, factor);
    EXPECT_NEAR(there.reconnects_per_user_hour / here.reconnects_per_user_hour, factor,
                0.15 * factor);
    EXPECT_NEAR(there.online, here.online, 0.02);
  }
}

TEST(Variation, OfTimeAwayKeepsTheReturns) {
  const Region here = region(sample_scenario());
  const Region longer = varied(Axis::away, 2);
  EXPECT_NEAR((1 - longer.online) / (1 - here.online), 2, 0.2);
  EXPECT_NEAR(longer.reconnects_per_user_hour / here.reconnects_per_user_hour, 1, 0.1);
  const Region shorter = varied(Axis::away, 0.5);
  EXPECT_NEAR((1 - shorter.online) / (1 - here.online), 0.5, 0.05);
  EXPECT_LT(varied(Axis::away, 64).online, here.online) << "however far it is stretched";
}

TEST(Variation, OfChannelsAndMessagesMultipliesThese) {
  const Region here = region(sample_scenario());
  EXPECT_NEAR(varied(Axis::channels, 2).channels_per_user / here.channels_per_user, 2, 0.01);
  EXPECT_NEAR(varied(Axis::messages, 0.5).messages_per_user_hour / here.messages_per_user_hour, 0.5,
              0.05);
}

TEST(Variation, SaysWhereThereIsNothingToMultiply) {
  Scenario s = sample_scenario();
  s.population.away.clear();
  s.faults.clear();
  EXPECT_FALSE(vary(s, Axis::reconnects, 2));
  s.groups.clear();
  EXPECT_FALSE(vary(s, Axis::away, 2));
  EXPECT_FALSE(vary(s, Axis::group_size, 2));
  EXPECT_TRUE(vary(s, Axis::channels, 2)) << "contacts";
  s.workloads.front().executor = scenario::Workload::Executor::trace;
  EXPECT_FALSE(vary(s, Axis::messages, 2)) << "a replay is what it is";
}

}  // namespace
}  // namespace clamor::report
