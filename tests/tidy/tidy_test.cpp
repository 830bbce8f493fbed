#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

// Checks what the compiler cannot see: that includes follow the edges CMake declares, that pure
// code does no I/O, and the house rules on width and length of files.
namespace {

namespace fs = std::filesystem;

struct Folder {
  bool pure = false;
  std::set<std::string> may_include;
};

std::map<std::string, Folder> read_edges() {
  std::map<std::string, Folder> folders;
  std::ifstream in{std::string{CLAMOR_BUILD} + "/edges.txt"};
  for (std::string line; std::getline(in, line);) {
    for (char& c : line) c = c == ';' ? ' ' : c;
    std::istringstream words{line};
    std::string name, pure, dep;
    words >> name >> pure;
    Folder& folder = folders[name];
    folder.pure = pure == "TRUE";
    folder.may_include.insert(name);
    while (words >> dep) folder.may_include.insert(dep);
  }
  return folders;
}

struct Line {
  std::string where;
  std::string text;
};

std::vector<Line> lines_of(const fs::path& folder) {
  std::vector<Line> lines;
  for (const auto& entry : fs::directory_iterator{folder}) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".hpp" && extension != ".cpp") continue;
    std::ifstream in{entry.path()};
    int number = 0;
    for (std::string text; std::getline(in, text);) {
      lines.push_back({entry.path().string() + ":" + std::to_string(++number), text});
    }
  }
  return lines;
}

TEST(Tidy, IncludesFollowTheDeclaredEdges) {
  static const std::regex own_include{R"(^#include "([a-z_/]+)/[a-z_0-9]+\.hpp")"};
  const auto folders = read_edges();
  ASSERT_GT(folders.size(), 10U) << "CMake wrote no edges";
  for (const auto& [name, folder] : folders) {
    for (const Line& line : lines_of(fs::path{CLAMOR_ROOT} / name)) {
      std::smatch match;
      if (std::regex_search(line.text, match, own_include)) {
        EXPECT_TRUE(folder.may_include.contains(match[1]))
            << line.where << ": " << match[1] << " is no declared dependency of " << name;
      }
    }
  }
}

TEST(Tidy, PureFoldersTouchNoSocketDiskClockThreadOrEnvironment) {
  static const std::array banned{"_clock::now", "random_device", "std::thread",  "std::mutex",
                                 "sleep_for",   "<boost/asio",   "<boost/beast", "<rocksdb/",
                                 "<fstream>",   "<filesystem>",  "std::rand",    "getenv",
                                 "<sys/",       "<unistd.h>",    "<yaml-cpp",    "<iostream>"};
  for (const auto& [name, folder] : read_edges()) {
    if (!folder.pure) continue;
    for (const Line& line : lines_of(fs::path{CLAMOR_ROOT} / name)) {
      for (const char* word : banned) {
        EXPECT_EQ(line.text.find(word), std::string::npos)
            << line.where << ": " << word << " in a pure folder";
      }
    }
  }
}

/// Characters, not bytes: UTF-8 continuation bytes do not count.
std::ptrdiff_t columns_of(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

TEST(Tidy, LinesFitAHundredColumnsAndNamesSaySomething) {
  static const std::regex empty_name{R"((utils?|helpers?|manager|common)\.(hpp|cpp)$)"};
  for (const char* top : {"server", "sim", "loadgen", "scenarios", "reports", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator{fs::path{CLAMOR_ROOT} / top}) {
      const std::string path = entry.path().string();
      EXPECT_FALSE(std::regex_search(path, empty_name)) << path << ": a name that says nothing";
      if (!entry.is_directory()) continue;
      for (const Line& line : lines_of(entry.path())) {
        EXPECT_LE(columns_of(line.text), 100) << line.where << ": longer than 100 columns";
      }
    }
  }
}

}  // namespace
