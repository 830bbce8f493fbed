#include "reports/app/crossover_search.hpp"

#include "reports/model/region.hpp"
#include "reports/render/result_json.hpp"
#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>

namespace clamor::report {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

CrossoverOptions options() {
  CrossoverOptions options;
  options.scenario.population.users = 4'000;
  options.scenario.groups = {{"team", 200, 20}};
  scenario::Workload chat;
  chat.rate = 100;
  chat.duration = 60s;
  chat.mix = {{"team", 1.0}};
  options.scenario.workloads = {chat};
  options.designs = {{QueueDesign::per_user}, {QueueDesign::per_group}};
  options.longest = 1h;  // a slow machine must not end it
  return options;
}

/// A world in which per_user costs the same at any group size, and per_group its members.
RunResult simulate(const sim::SimOptions& simulation, std::uint32_t even_at) {
  RunResult run = sample::run(Engine::sim, simulation.design.design);
  const double members = simulation.scenario.groups.front().members;
  run.server.cpu_seconds = simulation.design.design == QueueDesign::per_user ? even_at : members;
  run.region = region_of(scenario::Plan{sim::scenario_of(simulation)});
  run.deployment.users = 2'000;
  return run;
}

Crossover searched(const CrossoverOptions& options, std::uint32_t even_at, int* runs = nullptr) {
  return search_crossover(
      options,
      [&](const sim::SimOptions& simulation) {
        if (runs != nullptr) ++*runs;
        EXPECT_EQ(simulation.scale, 0.5) << "2,000 of 4,000 users";
        return simulate(simulation, even_at);
      },
      [](double, const std::string&) {}, [] { return false; });
}

TEST(CrossoverSearch, FindsTheNearestPointWhereTheWinnerChangesAndStopsThere) {
  const Crossover crossover = searched(options(), 60);
  EXPECT_EQ(crossover.here, std::vector<std::string>{"per_group"});
  EXPECT_THAT(crossover_text(crossover, crossover.here),
              HasSubstr("Nearest crossover: at groups of 80 members (group size × 4) per_user wins "
                        "(simulated, 2,000 users,"));
  for (const CrossoverPoint& point : crossover.points) EXPECT_LE(point.factor, 4);
}

TEST(CrossoverSearch, SaysThatNothingChangesWithinTheGrid) {
  const Crossover crossover = searched(options(), 1'000'000);
  EXPECT_FALSE(crossover.cut_short);
  EXPECT_THAT(crossover_text(crossover, crossover.here),
              HasSubstr("No crossover found: with group size ÷ 16 to × 16, channels a user ÷ 16 to "
                        "× 16 and messages ÷ 16 to × 16, one at a time, still per_group wins "
                        "(simulated"));
  EXPECT_THAT(crossover_text(crossover, {"per_user"}), HasSubstr("not as in the large simulation"));
}

TEST(CrossoverSearch, EndsWhenItsTimeIsOver) {
  CrossoverOptions no_time = options();
  no_time.longest = 0s;
  int runs = 0;
  const Crossover crossover = searched(no_time, 60, &runs);
  EXPECT_TRUE(crossover.cut_short);
  EXPECT_THAT(crossover.points, IsEmpty());
  EXPECT_EQ(runs, 0);
  EXPECT_THAT(crossover_text(crossover, {}), HasSubstr("the time for it was over"));
}

TEST(CrossoverSearch, PassesOverPointsThatDoNotMove) {
  CrossoverOptions all_in_one = options();
  all_in_one.scenario.groups = {{"team", 1, 4'000}};
  for (const CrossoverPoint& point : searched(all_in_one, 1'000'000).points) {
    EXPECT_FALSE(point.axis == Axis::group_size && point.factor > 1) << "no group is larger";
  }
}

TEST(CrossoverSearch, ATieThatGainsADesignIsNoCrossover) {
  Crossover crossover;
  crossover.users = 2'000;
  crossover.here = {"per_group"};
  crossover.points = {{Axis::group_size, 2, "40", {"per_group", "per_user"}},
                      {Axis::group_size, 4, "80", {"per_user"}}};
  EXPECT_THAT(
      crossover_text(crossover, {}),
      HasSubstr("Nearest crossover: at groups of 80 members (group size × 4) per_user wins"));
  crossover.points.pop_back();
  EXPECT_THAT(crossover_text(crossover, {}),
              HasSubstr("No crossover found: with group size × 1 to × 2, one at a time, still "
                        "per_group wins, but for ties that gain or lose a design at 1 point"));
  EXPECT_TRUE(others_win({"a"}, {}));
  EXPECT_TRUE(others_win({}, {"a"}));
  EXPECT_FALSE(others_win({}, {}));
  EXPECT_FALSE(others_win({"a", "b"}, {"a", "c"}));
}

TEST(CrossoverSearch, PassesOverPointsOfWhichNoWorldCanBeMade) {
  CrossoverOptions rare = options();
  rare.scenario.workloads.push_back(rare.scenario.workloads.front());
  rare.scenario.workloads.back().rate = 3.0 / 60;  // at half the population one message is left
  const Crossover crossover = searched(rare, 1'000'000);
  EXPECT_GT(crossover.points.size(), 8U) << "the others were looked at";
  for (const CrossoverPoint& point : crossover.points) {
    EXPECT_FALSE(point.axis == Axis::messages && point.factor < 1) << "it would send nothing";
  }
}

TEST(CrossoverSearch, SaysWhereTheScenarioItselfCannotBeScaledDown) {
  CrossoverOptions rare = options();
  rare.scenario.workloads.front().rate = 1.0 / 60;
  int runs = 0;
  const Crossover crossover = searched(rare, 60, &runs);
  EXPECT_EQ(runs, 0);
  EXPECT_THAT(crossover.points, IsEmpty());
  EXPECT_THAT(crossover_text(crossover, {"per_user"}),
              HasSubstr("cannot be simulated at so small a population"));
}

TEST(CrossoverSearch, PassesOverWhatTheSimulatorRefuses) {
  const auto nothing = [](double, const std::string&) {};
  const Crossover crossover = search_crossover(
      options(),
      [](const sim::SimOptions& simulation) {
        const scenario::GroupClass& group = simulation.scenario.groups.front();
        if (group.members > 20) throw scenario::ConfigError{{"more than this machine has"}};
        return simulate(simulation, 1'000'000);
      },
      nothing, [] { return false; });
  EXPECT_GT(crossover.points.size(), 8U);
  for (const CrossoverPoint& point : crossover.points) {
    EXPECT_FALSE(point.axis == Axis::group_size && point.factor > 1);
  }
}

TEST(CrossoverSearch, LeavesAFileThatReadsAsItWasWritten) {
  const Crossover crossover = searched(options(), 60);
  const std::string text = write_crossover(crossover);
  EXPECT_EQ(write_crossover(read_crossover(text, "here")), text);
  EXPECT_THROW(static_cast<void>(read_result(text, "here")), ResultFormatError);
  EXPECT_THROW(static_cast<void>(read_crossover("{}", "here")), ResultFormatError);
}

}  // namespace
}  // namespace clamor::report
