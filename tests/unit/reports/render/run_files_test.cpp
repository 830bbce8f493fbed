#include "reports/render/run_files.hpp"

#include "reports/render/result_json.hpp"
#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <sys/stat.h>
#include <system_error>

namespace clamor::report {
namespace {

namespace fs = std::filesystem;

TEST(RunFiles, ReadsARunsFolderAndNamesAFileThatIsNotThere) {
  std::string folder = (fs::temp_directory_path() / "clamor-result-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const RunResult run = sample::run(Engine::live, QueueDesign::per_group);
  write_run_folder(folder, run);
  EXPECT_TRUE(fs::exists(fs::path{folder} / "series.csv"));
  EXPECT_EQ(write_result(read_result_file(folder)), write_result(run));
  EXPECT_THROW(static_cast<void>(read_result_file(fs::path{folder} / "none.json")),
               ResultFormatError);
  fs::remove_all(folder);
}

TEST(RunFiles, NeverReplaceWhatIsNoRegularFileAndFollowALink) {
  std::string made = (fs::temp_directory_path() / "clamor-result-XXXXXX").string();
  ASSERT_NE(mkdtemp(made.data()), nullptr);
  const fs::path folder = made;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(write_file(folder / "pipe", "x"), std::system_error);
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  fs::create_directory(folder / "inner");
  EXPECT_THROW(write_file(folder / "inner", "x"), std::system_error);
  EXPECT_TRUE(fs::is_directory(folder / "inner"));
  write_file(folder / "file", "before");
  fs::create_symlink(folder / "file", folder / "link");
  write_file(folder / "link", "after");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(fs::file_size(folder / "file"), 5U);
  EXPECT_FALSE(fs::exists(folder / "file.partial"));
  fs::remove_all(folder);
}

TEST(SeriesCsv, HasAHeaderAndOneLineASecondOfTheSameWidth) {
  const RunResult run = sample::run(Engine::live, QueueDesign::per_user);
  const std::string csv = series_csv(run);
  std::size_t lines = 0;
  std::istringstream in{csv};
  for (std::string line; std::getline(in, line); ++lines) {
    EXPECT_EQ(std::ranges::count(line, ','), 11) << line;
  }
  EXPECT_EQ(lines, run.series.size() + 1);
  EXPECT_TRUE(csv.starts_with("t_seconds,connected,"));
}

}  // namespace
}  // namespace clamor::report
