#include "reports/render/results_folder.hpp"

#include "scenarios/yaml/config_error.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>

namespace clamor::report {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class ResultsFolders : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "clamor-folder-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(ResultsFolders, AreMadeAndGoAgainWhereNothingWasWritten) {
  {
    const ResultsFolder results{folder_ / "a" / "b", "tiny", "per_user-live"};
    EXPECT_EQ(results.path(), folder_ / "a" / "b" / "per_user-live");
    EXPECT_TRUE(fs::is_empty(results.path()));
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(ResultsFolders, BelongToOneRunAtATime) {
  const fs::path out = folder_ / "a";
  {
    const ResultsFolder first{out, "tiny"};
    try {
      const ResultsFolder second{out, "tiny"};
      ADD_FAILURE() << "two runs have one folder";
    } catch (const scenario::ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("another clamor is writing to " + out.string()));
    }
  }
  EXPECT_NO_THROW((ResultsFolder{out, "tiny"})) << "afterwards it is free";
}

TEST_F(ResultsFolders, StayWithWhatIsInThem) {
  { std::ofstream{ResultsFolder{folder_ / "a", "tiny"}.path() / "gone"} << "1"; }
  {
    const ResultsFolder results{folder_ / "a" / "b", "tiny"};
    std::ofstream{results.path() / "result.json"} << "{}";
  }
  EXPECT_TRUE(fs::exists(folder_ / "a" / "b" / "result.json"));
  { const ResultsFolder again{folder_ / "a", "tiny"}; }
  EXPECT_TRUE(fs::exists(folder_ / "a" / "b" / "result.json"));
}

TEST_F(ResultsFolders, ThatCannotBeAreRefusedByTheNameOfTheOption) {
  std::ofstream{folder_ / "file"} << "in the way";
  for (const fs::path& out :
       {folder_ / "file", folder_ / "file" / "below", fs::path{"/proc/x"}, fs::path{"/proc"}}) {
    try {
      const ResultsFolder results{out, "tiny"};
      FAIL() << out;
    } catch (const scenario::ConfigError& error) {
      EXPECT_THAT(error.what(),
                  AllOf(HasSubstr("--out " + out.string()), HasSubstr("expected a folder")));
    }
  }
}

TEST(DefaultResultsFolder, NamesTheMomentAndTheScenario) {
  EXPECT_THAT(default_results_folder("quickstart").string(),
              testing::MatchesRegex("clamor-results/20..-..-..T..-..-..Z-quickstart"));
}

}  // namespace
}  // namespace clamor::report
