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

TEST(Tidy, NoFileOfOursIsAboveSixHundredLines) {
  for (const char* top : {"server", "sim", "loadgen", "scenarios", "reports", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator{fs::path{CLAMOR_ROOT} / top}) {
      if (!entry.is_directory()) continue;
      std::map<std::string, int> lengths;
      for (const Line& line : lines_of(entry.path())) {
        ++lengths[line.where.substr(0, line.where.rfind(':'))];
      }
      for (const auto& [file, length] : lengths) EXPECT_LE(length, 600) << file << ": too long";
    }
  }
}

/// Our own documents: not what builds and package managers leave in the tree.
std::vector<fs::path> documents() {
  std::vector<fs::path> found;
  for (fs::recursive_directory_iterator it{CLAMOR_ROOT}, end; it != end; ++it) {
    const std::string name = it->path().filename().string();
    const bool foreign = name == "build" || name == "node_modules" || name == "clamor-results" ||
                         (name.starts_with('.') && name != ".ci");
    if (it->is_directory() && foreign) it.disable_recursion_pending();
    if (it->is_regular_file() && it->path().extension() == ".md") found.push_back(it->path());
  }
  return found;
}

TEST(Tidy, RelativeLinksInDocumentsLeadSomewhere) {
  static const std::regex link{R"(\]\(([^)#\s]+)(#[^)]*)?\))"};
  int links = 0;
  for (const fs::path& document : documents()) {
    std::ifstream in{document};
    int number = 0;
    for (std::string text; std::getline(in, text);) {
      ++number;
      for (std::sregex_iterator at{text.begin(), text.end(), link}, end; at != end; ++at) {
        const std::string target = (*at)[1];
        if (target.find(':') != std::string::npos) continue;  // http: and the like
        ++links;
        EXPECT_TRUE(fs::exists(document.parent_path() / target))
            << document.string() << ":" << number << ": " << target << " is not there";
      }
    }
  }
  EXPECT_GE(links, 3) << "the pattern finds no links";
}

}  // namespace
