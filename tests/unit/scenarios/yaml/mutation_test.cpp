#include "scenarios/yaml/catalogue.hpp"
#include "scenarios/yaml/scenario_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <regex>
#include <string>

namespace clamor::scenario {
namespace {

/// Mutations that people make (a line lost, doubled, moved in; a value swapped) and that a broken
/// disk makes (a byte changed, the end cut off).
class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_{seed} {}

  std::string mutate(std::string text, std::string& kind) {
    switch (below(8)) {
      case 0:
        kind = "byte changed";
        text[below(text.size())] = static_cast<char>(below(256));
        break;
      case 1:
        kind = "cut off";
        text.resize(below(text.size()));
        break;
      case 2:
        kind = "line lost";
        text.erase(line_start(text), 30);
        break;
      case 3: {
        kind = "line doubled";
        const std::size_t at = line_start(text);
        text.insert(at, text.substr(at, text.find('\n', at) - at + 1));
        break;
      }
      case 4:
        kind = "indented";
        text.insert(line_start(text), std::string(1 + below(4), ' '));
        break;
      case 5:
        kind = "word put in";
        text.insert(below(text.size()), words[below(words.size())]);
        break;
      case 6: {
        kind = "span moved";
        const std::size_t from = below(text.size());
        const std::string span = text.substr(from, below(40));
        text.insert(below(text.size()), span);
        break;
      }
      default: {
        kind = "number changed";
        const std::size_t at = text.find_first_of("0123456789", below(text.size()));
        if (at != std::string::npos) text.replace(at, 1, words[below(words.size())]);
      }
    }
    return text;
  }

 private:
  const std::vector<std::string> words{"-1",   "0",  "1e309", "99999999999999999999",
                                       "nan",  "~",  "null",  "[",
                                       "]",    "{",  "}",     ": ",
                                       "- ",   "&a", "*a",    "!!int",
                                       "'",    "\"", "#",     "|",
                                       ">",    "?",  "%",     "\t",
                                       "\n",   "5h", "true",  "per_user",
                                       "trace"};

  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
  std::size_t line_start(const std::string& text) {
    const std::size_t at = text.find('\n', below(text.size()));
    return at == std::string::npos ? 0 : std::min(at + 1, text.size() - 1);
  }

  std::mt19937_64 random_;
};

// Whatever stands in a file: it reads, or it is refused with places; never a crash or an exception.
TEST(ScenarioFile, AMutatedQuickstartReadsOrSaysWhereItIsWrong) {
  const auto quickstart =
      std::find_if(catalogue().begin(), catalogue().end(),
                   [](const CatalogueEntry& entry) { return entry.name == "quickstart"; });
  ASSERT_NE(quickstart, catalogue().end());
  static const std::regex placed{R"(^s\.yaml:[1-9]\d*:[1-9]\d*: [\s\S]+)"};
  std::map<std::string, int> read;
  std::map<std::string, int> refused;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    Mutator mutator{seed};
    std::string text{quickstart->text};
    std::string kind;
    for (std::uint64_t i = 0; i <= seed % 3; ++i) text = mutator.mutate(text, kind);
    const Parsed<Scenario> parsed = parse_scenario(text, "s.yaml", "/nowhere");
    if (parsed.value) {
      ++read[kind];
      const auto again = parse_scenario(write_effective(*parsed.value), "s.yaml", "/nowhere");
      ASSERT_TRUE(again.value.has_value()) << "seed " << seed << "\n" << again.errors[0];
      continue;
    }
    ++refused[kind];
    ASSERT_FALSE(parsed.errors.empty()) << "seed " << seed;
    for (const std::string& error : parsed.errors) {
      ASSERT_TRUE(std::regex_match(error, placed)) << "seed " << seed << ": " << error;
    }
  }
  for (const auto& [kind, count] : refused) {
    std::printf("%-16s refused %4d, read %4d\n", kind.c_str(), count, read[kind]);
  }
  EXPECT_EQ(refused.size(), 8U) << "a kind of mutation never occurred";
}

}  // namespace
}  // namespace clamor::scenario
