#include "server/log/log.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace clamor::log {
namespace {

using namespace std::chrono_literals;

const std::array<Field, 3> fields{
    {{"error", "No space\nleft \"here\""}, {"peer", "10.0.0.1:7200"}, {"term", std::uint64_t{7}}}};
const Line line{.unix_ms = 1'795'863'600'007,
                .level = Level::warning,
                .node = NodeId{3},
                .what = "append failed",
                .fields = fields,
                .left_out = 12};

TEST(LogLine, IsOneLineOfKeysAndValuesQuotedWhereTheyMustBe) {
  EXPECT_EQ(print(line, Format::text),
            "time=2026-11-28T11:00:00.007Z level=warning node=3 what=\"append failed\" "
            "error=\"No space\\nleft \\\"here\\\"\" peer=10.0.0.1:7200 term=7 left_out=12\n");
  EXPECT_EQ(print({.unix_ms = 0, .what = "stopping", .fields = {}}, Format::text),
            "time=1970-01-01T00:00:00.000Z level=info what=stopping\n");
}

TEST(LogLine, AsJsonHasTheSameKeysAndIsValidWhateverBytesAValueHas) {
  const auto read = nlohmann::ordered_json::parse(print(line, Format::json));
  EXPECT_EQ(read.dump(),
            R"({"time":"2026-11-28T11:00:00.007Z","level":"warning","node":3,)"
            R"("what":"append failed","error":"No space\nleft \"here\"","peer":"10.0.0.1:7200",)"
            R"("term":7,"left_out":12})");
  const std::array<Field, 1> bytes{{{"path", "\xC3\xA9t\xE9\x01"}}};
  const auto odd = nlohmann::json::parse(print({.what = "opened", .fields = bytes}, Format::json));
  EXPECT_EQ(odd["path"], "\xC3\xA9t\xEF\xBF\xBD\x01");
}

TEST(LogRepeats, FiveOfAKindAreWrittenInTenSecondsAndTheRestIsCounted) {
  Repeats repeats;
  const Instant begin{1h};
  for (std::uint32_t i = 0; i < Repeats::burst; ++i) {
    EXPECT_EQ(repeats.admit("append failed", begin + i * 1s), 0U);
  }
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(repeats.admit("append failed", begin + 9s));
  EXPECT_EQ(repeats.admit("node down", begin + 9s), 0U) << "another kind has its own bound";
  EXPECT_EQ(repeats.admit("append failed", begin + 10s), 1000U);
  EXPECT_EQ(repeats.admit("append failed", begin + 10s), 0U);
}

TEST(LogRepeats, OfMoreKindsThanItKeepsTheOldestIsForgotten) {
  Repeats repeats;
  std::array<std::string, 40> kinds;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    kinds[i] = "kind " + std::to_string(i);
    EXPECT_EQ(repeats.admit(kinds[i], Instant{1h} + i * 1ms), 0U);
  }
  for (std::uint32_t i = 1; i < Repeats::burst; ++i) (void)repeats.admit(kinds[39], Instant{1h});
  EXPECT_FALSE(repeats.admit(kinds[39], Instant{1h}));
  for (std::uint32_t i = 0; i < Repeats::burst; ++i) {
    EXPECT_TRUE(repeats.admit(kinds[0], Instant{1h} + 1s)) << "it was forgotten";
  }
}

}  // namespace
}  // namespace clamor::log
