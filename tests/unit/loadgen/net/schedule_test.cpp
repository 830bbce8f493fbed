#include "loadgen/net/schedule.hpp"

#include "loadgen/net/recorder.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

scenario::Scenario small_scenario() {
  scenario::Scenario scenario;
  scenario.name = "schedule";
  scenario.seed = 3;
  scenario.population.users = 40;
  scenario.population.devices = {{1, 0.5}, {2, 0.5}};
  scenario.population.contacts = 2;
  scenario.population.away = {{scenario::Away::Kind::repeating, 0.5, 1s, {}, 3s}};
  scenario.groups = {{"team", 3, 10, 1.0}};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 50;
  chat.duration = 9s;
  chat.mix = {{"team", 0.5}, {"direct", 0.5}};
  scenario.workloads = {chat};
  scenario.faults = {{.at = 4s, .share = 0.5}};
  return scenario;
}

/// Everything a block's schedule brings, in order.
std::vector<PlannedEvent> all_of(const scenario::Plan& plan, std::uint32_t first,
                                 std::uint32_t last) {
  Schedule schedule{plan, first, last};
  std::vector<PlannedEvent> events;
  while (auto event = schedule.take(Instant::max())) events.push_back(*event);
  return events;
}

TEST(Schedule, BringsEverySendOfThePlanExactlyOnceHoweverClientsAreDivided) {
  const scenario::Plan plan{small_scenario()};
  std::set<std::uint64_t> ordinals;
  std::uint64_t sends = 0;
  for (const auto& [first, last] :
       {std::pair{0U, plan.clients() / 3}, std::pair{plan.clients() / 3, plan.clients()}}) {
    for (const PlannedEvent& event : all_of(plan, first, last)) {
      if (event.kind != PlannedEvent::Kind::send) continue;
      EXPECT_GE(event.send.client, first);
      EXPECT_LT(event.send.client, last);
      ordinals.insert(event.send.ordinal);
      ++sends;
    }
  }
  EXPECT_EQ(sends, plan.send_count());
  EXPECT_EQ(ordinals.size(), plan.send_count());
}

TEST(Schedule, AscendsInTimeAndLetsNobodySendWhileAway) {
  const scenario::Plan plan{small_scenario()};
  std::vector<bool> away(plan.clients());
  for (std::uint32_t c = 0; c < plan.clients(); ++c) {
    away[c] = !Schedule::connects_at_start(plan, c);
  }
  Instant last{};
  std::uint64_t leaves = 0;
  std::uint64_t faults = 0;
  for (const PlannedEvent& event : all_of(plan, 0, plan.clients())) {
    EXPECT_GE(event.at, last);
    last = event.at;
    switch (event.kind) {
      case PlannedEvent::Kind::leave:
        EXPECT_FALSE(away[event.client]);
        away[event.client] = true;
        ++leaves;
        break;
      case PlannedEvent::Kind::come_back:
        EXPECT_TRUE(away[event.client]);
        away[event.client] = false;
        break;
      case PlannedEvent::Kind::fault:
        EXPECT_EQ(event.at, Instant{4s});
        ++faults;
        break;
      case PlannedEvent::Kind::typing:
      case PlannedEvent::Kind::send:
        EXPECT_FALSE(away[event.send.client]);
        break;
    }
  }
  EXPECT_GT(leaves, 0U);
  EXPECT_EQ(faults, 1U);
}

TEST(Schedule, HandsOutOnlyWhatIsDue) {
  const scenario::Plan plan{small_scenario()};
  Schedule schedule{plan, 0, plan.clients()};
  const Instant first = schedule.next_at();
  EXPECT_FALSE(schedule.take(first - 1ns));
  EXPECT_TRUE(schedule.take(first));
}

TEST(QuietPoints, StandBetweenSendsDeparturesReturnsAndEachFault) {
  scenario::Scenario scenario = small_scenario();
  scenario.faults = {{.at = 4s, .share = 0.5}, {.at = 4001ms, .share = 0.5}};
  const scenario::Plan plan{scenario};
  const std::vector<PlannedEvent> events = all_of(plan, 0, plan.clients());
  const std::vector<Instant> points = quiet_points(plan);
  ASSERT_FALSE(points.empty());
  EXPECT_LT(points.size(), events.size() / 2) << "sends that follow one another stay together";
  std::size_t passed = 0;
  for (std::size_t i = 1; i < events.size(); ++i) {
    const PlannedEvent& before = events[i - 1];
    const PlannedEvent& event = events[i];
    const bool at_one = passed < points.size() && points[passed] == event.at;
    if (at_one && before.at < event.at) ++passed;
    if (before.at == event.at) continue;
    const bool alike = before.kind == event.kind && event.kind != PlannedEvent::Kind::fault;
    EXPECT_EQ(at_one, !alike) << "at " << to_seconds(event.at.time_since_epoch());
  }
  EXPECT_EQ(passed, points.size());
}

TEST(IntervalRecord, IsMarkedByLateSendsOrALongTurn) {
  IntervalRecord interval;
  for (int n = 0; n < 1000; ++n) interval.lag.record(1'000'000);
  EXPECT_FALSE(interval.marked());
  IntervalRecord late = interval;
  for (int n = 0; n < 20; ++n) late.lag.record(30'000'000);
  EXPECT_TRUE(late.marked());
  interval.turn_max_ns = 51'000'000;
  EXPECT_TRUE(interval.marked());
}

TEST(Schedule, NoticesComeSoLongBeforeTheTextsOfTheirClients) {
  scenario::Scenario scenario = small_scenario();
  scenario.population.typing = 700ms;
  scenario.workloads[0].kinds = {0.5, 0.1, 0.2, 0.1, 0.1};
  scenario.workloads[0].kinds_after = 1s;
  const scenario::Plan plan{scenario};
  std::map<std::pair<Instant, std::uint32_t>, int> due;
  std::size_t notices = 0;
  Instant before{};
  for (const PlannedEvent& event : all_of(plan, 0, plan.clients())) {
    EXPECT_GE(event.at, before) << "in order of time";
    before = event.at;
    if (event.kind == PlannedEvent::Kind::typing) {
      EXPECT_TRUE(scenario::is_typed(event.send.kind));
      EXPECT_EQ(event.at, event.send.due - 700ms);
      ++due[{event.send.due, event.client}];
      ++notices;
    }
    if (event.kind != PlannedEvent::Kind::send || !scenario::is_typed(event.send.kind)) continue;
    if (event.at < Instant{700ms}) continue;
    EXPECT_EQ(--due[std::pair(event.at, event.client)], 0) << "a text without its notice";
  }
  EXPECT_GT(notices, 50U);
}

}  // namespace
}  // namespace clamor::loadgen
