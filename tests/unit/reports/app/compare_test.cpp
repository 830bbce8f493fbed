#include "reports/app/compare.hpp"

#include "reports/render/progress.hpp"
#include "reports/render/run_files.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <set>

namespace clamor::report {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string faults_of(const CompareOptions& options) {
  try {
    static_cast<void>(plan_jobs(options, {}));
  } catch (const scenario::ConfigError& error) {
    return error.what();
  }
  return "";
}

scenario::Scenario scenario_with(std::vector<QueueDesign> designs) {
  scenario::Scenario scenario;
  scenario.seed = 42;
  scenario.simulate_scale = 500;
  scenario.designs.clear();
  for (const QueueDesign design : designs) scenario.designs.push_back({design});
  return scenario;
}

TEST(PlanJobs, RunsLiveFirstAndTheSimulationAtItsScale) {
  const auto jobs = plan_jobs({}, scenario_with({QueueDesign::per_user, QueueDesign::per_group}));
  ASSERT_EQ(jobs.size(), 6U);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(jobs[i].engine, i < 2 ? Engine::live : Engine::sim);
    EXPECT_EQ(jobs[i].scale, i < 4 ? 1 : 500);
    EXPECT_EQ(jobs[i].twin, i == 2 || i == 3) << "the simulator's error is measured where both run";
    EXPECT_EQ(jobs[i].seed, 42U);
  }
  std::set<std::string> folders;
  for (const Job& job : jobs) folders.insert(job.folder);
  EXPECT_EQ(folders, (std::set<std::string>{"per_user-live", "per_group-live", "per_user-twin",
                                            "per_group-twin", "per_user-sim", "per_group-sim"}));
}

TEST(PlanJobs, NeedsNoTwinsWhereTheSimulationHasTheLivePopulationOrNoneIsWanted) {
  scenario::Scenario scenario = scenario_with({QueueDesign::per_user, QueueDesign::per_group});
  scenario.simulate_scale = 1;
  EXPECT_EQ(plan_jobs({}, scenario).size(), 4U);
  scenario.simulate_scale = 500;
  CompareOptions options;
  options.engines = {"sim"};
  EXPECT_EQ(plan_jobs(options, scenario).size(), 2U);
}

TEST(PlanJobs, DrawsTheOrderAnewForEachRepetitionFromTheSeed) {
  CompareOptions options;
  options.repetitions = 12;
  options.engines = {"live"};
  const auto scenario =
      scenario_with({QueueDesign::per_user, QueueDesign::per_member, QueueDesign::per_group});
  const auto jobs = plan_jobs(options, scenario);
  ASSERT_EQ(jobs.size(), 36U);
  std::set<QueueDesign> first;
  for (std::size_t r = 0; r < 12; ++r) {
    std::set<QueueDesign> designs;
    for (std::size_t i = 0; i < 3; ++i) {
      designs.insert(jobs[3 * r + i].design.design);
      EXPECT_EQ(jobs[3 * r + i].repetition, r + 1);
      EXPECT_EQ(jobs[3 * r + i].seed, 42 + r);
    }
    EXPECT_EQ(designs.size(), 3U);
    first.insert(jobs[3 * r].design.design);
  }
  EXPECT_EQ(first.size(), 3U) << "every design comes first some time";
  const auto again = plan_jobs(options, scenario);
  for (std::size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(jobs[i].folder, again[i].folder);
}

TEST(PlanJobs, ABareHybridHasTheScenariosThreshold) {
  CompareOptions options;
  options.designs = {"hybrid", "per_user"};
  options.engines = {"live"};
  scenario::Scenario scenario = scenario_with({QueueDesign::per_user});
  scenario.designs.push_back({QueueDesign::hybrid, 20});
  std::set<std::string> folders;
  for (const Job& job : plan_jobs(options, scenario)) folders.insert(job.folder);
  EXPECT_EQ(folders, (std::set<std::string>{"hybrid(20)-live", "per_user-live"}));
  options.designs = {"hybrid", "hybrid(20)"};
  EXPECT_THROW(static_cast<void>(plan_jobs(options, scenario)), scenario::ConfigError);
}

TEST(PlanJobs, NamesEveryFaultOfTheOptions) {
  CompareOptions options;
  options.designs = {"per_user", "per_user", "per_planet"};
  options.engines = {"life"};
  options.repetitions = 0;
  options.scale = -1;
  const std::string faults = faults_of(options);
  for (const char* part : {"'per_user' stands there twice", "'per_planet' is no queue design",
                           "--engine: 'life' is no engine", "--repetitions", "--scale"}) {
    EXPECT_THAT(faults, HasSubstr(part));
  }
}

TEST(ReproducingCommand, NamesWhatWasChosenAndAlwaysTheSeed) {
  CompareOptions options;
  options.scenario = "my file.yaml";
  options.designs = {"per_user", "hybrid(300)"};
  options.repetitions = 3;
  options.scale = 0.5;
  EXPECT_EQ(reproducing_command(options, plan_jobs(options, scenario_with({}))),
            "clamor compare 'my file.yaml' --designs 'per_user,hybrid(300)' --repetitions 3 "
            "--scale 0.5 --seed 42");
}

class Compare : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (fs::temp_directory_path() / "clamor-compare-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    out_ = folder;
    options_.scenario = "quickstart";
    options_.out = out_ / "results";
    options_.designs = {"per_user", "per_group"};
    engines_.live = [this](const loadgen::LoadOptions& load) {
      ++live_;
      RunResult run = sample::run(Engine::live, load.design.design);
      run.seed = load.seed.value();
      return run;
    };
    engines_.simulate = [this](const sim::SimOptions& simulation) {
      ++simulated_;
      EXPECT_TRUE(simulation.scale == 500 || simulation.scale == 1);
      RunResult run = sample::run(Engine::sim, simulation.design.design);
      run.scale = simulation.scale.value();
      return run;
    };
  }
  void TearDown() override { fs::remove_all(out_); }

  int run(const std::function<bool()>& interrupted = [] { return false; }) {
    ProgressLine progress{sink_.get(), true};
    return compare(options_, engines_, progress, interrupted);
  }

  fs::path out_;
  CompareOptions options_;
  Engines engines_;
  int live_ = 0;
  int simulated_ = 0;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> sink_{std::tmpfile(), std::fclose};
};

TEST_F(Compare, LeavesAFolderForEachRunAndOneReport) {
  EXPECT_EQ(run(), 0);
  for (const char* folder : {"per_user-live", "per_group-live", "per_user-sim", "per_group-sim"}) {
    for (const char* file : {"result.json", "series.csv", "scenario.yaml"}) {
      EXPECT_TRUE(fs::exists(options_.out / folder / file)) << folder << "/" << file;
    }
    const RunResult result = read_result_file(options_.out / folder);
    EXPECT_EQ(result.environment.command,
              "clamor compare quickstart --designs per_user,per_group --seed 42");
  }
  for (const char* file : {"report.html", "report.md", "junit.xml"}) {
    EXPECT_TRUE(fs::exists(options_.out / file)) << file;
  }
  const auto simulated = scenario::load_scenario(options_.out / "per_user-sim" / "scenario.yaml");
  EXPECT_EQ(simulated.population.users, 1'000'000U);
  EXPECT_EQ(simulated.simulate_scale, 1) << "it is scaled already";
}

TEST_F(Compare, RefusesAFolderThatCannotBeMadeBeforeAnythingRuns) {
  std::ofstream{out_ / "file"} << "in the way";
  options_.out = out_ / "file" / "results";
  try {
    run();
    FAIL() << "a folder under a file";
  } catch (const scenario::ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--out " + options_.out.string()));
  }
  EXPECT_EQ(live_ + simulated_, 0);
}

TEST_F(Compare, FailsWith99WhenAnyRunFailsAThreshold) {
  engines_.simulate = [](const sim::SimOptions& simulation) {
    RunResult run = sample::run(Engine::sim, simulation.design.design);
    run.thresholds.front().passed = false;
    return run;
  };
  EXPECT_EQ(run(), 99);
}

TEST_F(Compare, PassesWhateverATwinPredicts) {
  engines_.simulate = [](const sim::SimOptions& simulation) {
    RunResult run = sample::run(Engine::sim, simulation.design.design);
    run.scale = simulation.scale.value();
    run.thresholds.front().passed = run.scale != 1;
    return run;
  };
  EXPECT_EQ(run(), 0);
  EXPECT_TRUE(read_result_file(options_.out / "per_user-twin").twin);
}

TEST_F(Compare, SaysWith120ThatTheGeneratorWasTheLimit) {
  engines_.live = [](const loadgen::LoadOptions& load) {
    RunResult run = sample::run(Engine::live, load.design.design);
    run.generator.intervals_marked = 2;
    return run;
  };
  EXPECT_EQ(run(), 120);
}

TEST_F(Compare, ReportsWhatRanBeforeALoadWorkerDied) {
  const auto live = engines_.live;
  engines_.live = [&](const loadgen::LoadOptions& load) {
    if (live_ == 1) throw loadgen::LoadError{"load worker 1 of 1 ended with signal 9"};
    return live(load);
  };
  EXPECT_THROW(run(), loadgen::LoadError);
  EXPECT_EQ(simulated_, 0);
  EXPECT_TRUE(fs::exists(options_.out / "report.html"));
}

TEST_F(Compare, ReportsWhatRanThoughASimulationOrTheSearchForACrossoverFails) {
  const auto simulate = engines_.simulate;
  for (const int runs : {1, 4}) {  // all six runs were made before the search
    live_ = simulated_ = 0;
    options_.out = out_ / std::to_string(runs);
    engines_.simulate = [&, runs](const sim::SimOptions& simulation) {
      if (simulated_ == runs) throw scenario::ScaleError{"too small"};
      return simulate(simulation);
    };
    EXPECT_THROW(run(), scenario::ScaleError);
    EXPECT_EQ(simulated_, runs);
    EXPECT_TRUE(fs::exists(options_.out / "report.html"));
  }
}

TEST_F(Compare, StopsWhenInterruptedAndStillReportsWhatRan) {
  EXPECT_EQ(run([&] { return live_ == 1; }), 105);
  EXPECT_EQ(live_, 1);
  EXPECT_EQ(simulated_, 0);
  EXPECT_TRUE(fs::exists(options_.out / "report.html"));
}

}  // namespace
}  // namespace clamor::report
