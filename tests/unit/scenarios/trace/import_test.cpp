#include "scenarios/trace/import.hpp"

#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/scenario_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace clamor::scenario {
namespace {

using namespace std::chrono_literals;
using Kind = TraceEvent::Kind;

std::string traces() { return std::string{CLAMOR_ROOT} + "/scenarios/traces/"; }

std::string file_text(const std::string& path) {
  std::ifstream in{path};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

ImportedTrace imported(const std::string& text) {
  Parsed<ImportedTrace> trace = import_chat_log(text, "log");
  EXPECT_TRUE(trace.value.has_value()) << (trace.errors.empty() ? "" : trace.errors[0]);
  return trace.value ? std::move(*trace.value) : ImportedTrace{};
}

std::vector<Kind> kinds_of(const ImportedTrace& trace, std::uint32_t user) {
  std::vector<Kind> kinds;
  for (const TraceEvent& event : trace.trace.events) {
    if (event.user == user) kinds.push_back(event.kind);
  }
  return kinds;
}

/// Counts lines as grep -c would, apart from the importer's own parsing.
int count_lines(const std::string& text, const std::string& pattern) {
  const std::regex regex{pattern};
  std::istringstream in{text};
  int count = 0;
  for (std::string line; std::getline(in, line);) count += std::regex_search(line, regex) ? 1 : 0;
  return count;
}

TEST(TraceImport, SpreadsTheLinesOfAMinuteEvenlyOverIt) {
  const auto trace = imported("[10:00] <a> one\n[10:00] <b> two\n[10:01] <a> three\n");
  ASSERT_EQ(trace.trace.events.size(), 3U);
  EXPECT_EQ(trace.trace.events[0].at, 0s);
  EXPECT_EQ(trace.trace.events[1].at, 30s) << "two lines of a minute stand at 15 s and 45 s";
  EXPECT_EQ(trace.trace.events[2].at, 75s) << "one line of a minute stands at 30 s";
}

TEST(TraceImport, SpansMidnight) {
  const auto trace = imported("[23:59] <a> x\n[00:01] <a> y\n");
  EXPECT_EQ(trace.facts.span, 2min);
  const auto dated = imported("c 2018-12-31 [23:59:59] <a> x\nc 2019-01-01 [00:00:01] <a> y\n");
  EXPECT_EQ(dated.facts.span, 2s);
}

TEST(TraceImport, KeepsAStampThatFallsBackAtTheOneBefore) {
  const auto trace = imported("[10:05] <a> x\n[10:04] <a> y\n[10:06] <a> z\n");
  EXPECT_EQ(trace.facts.out_of_order, 1U);
  EXPECT_EQ(trace.facts.span, 75s);
}

TEST(TraceImport, JoinsAndLeavesAreSessions) {
  const auto trace = imported(
      "[10:00] <stays> hello\n"
      "=== comes [u@h]  has joined #c\n"
      "=== goes [u@h]  has left #c\n"
      "[10:01] <comes> hi\n"
      "=== stays [u@h]  has joined #c\n"
      "[10:02] <goes> back unseen\n"
      "=== comes [u@h] has quit [bye]\n"
      "=== comes [u@h]  has left #c\n");
  EXPECT_EQ(trace.trace.users, 3U);
  EXPECT_EQ(trace.trace.connected, (std::vector<std::uint32_t>{0, 2}))
      << "who speaks first or leaves first was connected, who joins first was not";
  EXPECT_EQ(kinds_of(trace, 0), (std::vector{Kind::send, Kind::disconnect, Kind::connect}))
      << "a join while connected reconnects";
  EXPECT_EQ(kinds_of(trace, 1), (std::vector{Kind::connect, Kind::send, Kind::disconnect}));
  EXPECT_EQ(kinds_of(trace, 2), (std::vector{Kind::disconnect, Kind::connect, Kind::send}));
  EXPECT_EQ(trace.facts.sessions, 5U);
  EXPECT_EQ(trace.facts.reconnects, 1U);
  EXPECT_EQ(trace.facts.implied_connects, 1U);
  EXPECT_EQ(trace.facts.ignored_leaves, 1U);
}

TEST(TraceImport, ARenameKeepsTheUserBackAndForth) {
  const auto trace = imported(
      "[10:00] <a> x\n=== a is now known as b\n[10:01] <b> y\n=== b is now known as a\n"
      "[10:02] <a> z\n[10:02] <c> b: hi\n");
  EXPECT_EQ(trace.trace.users, 2U);
  EXPECT_EQ(trace.facts.renames, 2U);
  EXPECT_EQ(kinds_of(trace, 0), (std::vector{Kind::send, Kind::send, Kind::send}));
  EXPECT_EQ(trace.trace.events.back().mentions, std::vector<std::uint32_t>{0});
}

TEST(TraceImport, FindsMentionsOfKnownNicks) {
  const auto trace = imported(
      "[10:00] <a> b: hi c, and @d (or b) but not abc, nor a\n"
      "[10:00] <b> e: nobody\n[10:00] <C> x\n[10:00]  * d waves at B!\n");
  ASSERT_EQ(trace.trace.events.size(), 4U);
  EXPECT_EQ(trace.trace.events[0].mentions, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_TRUE(trace.trace.events[1].mentions.empty());
  EXPECT_EQ(trace.trace.events[3].mentions, std::vector<std::uint32_t>{1});
  EXPECT_EQ(trace.trace.events[3].bytes, 11U) << "`* nick` is a message of what follows";
}

TEST(TraceImport, CountsWhatNobodyDid) {
  const auto trace = imported(
      "[10:00] <a> x\n=== mode/#c [+o] by a\n=== topic is set\nrubbish\n\n[10:00] -!- note\n");
  EXPECT_EQ(
      trace.facts.other_lines,
      (std::map<std::string, int>{
          {"mode change", 1}, {"other server line", 1}, {"blank", 1}, {"not understood", 2}}));
  EXPECT_EQ(trace.facts.messages, 1U);
}

TEST(TraceImport, RefusesWhatIsNoLog) {
  const Parsed<ImportedTrace> none = import_chat_log("hello\nworld\n", "x.log");
  EXPECT_FALSE(none.value.has_value());
  ASSERT_EQ(none.errors.size(), 1U);
  EXPECT_EQ(none.errors[0].substr(0, 39), "x.log: no line of a known format; expec");
  EXPECT_FALSE(import_chat_log("", "x.log").value.has_value());
  EXPECT_FALSE(import_chat_log("[10:00] rubbish\n", "x.log").value.has_value());
}

TEST(TraceImport, CountsTheUbuntuLogOf2006AsGrepDoes) {
  const std::string text = file_text(traces() + "ubuntu-2006-06-01.irc.log");
  const auto trace = imported(text);
  const TraceFacts& facts = trace.facts;
  EXPECT_EQ(facts.messages, count_lines(text, R"(^\[..:..\] ( \* |<))"));
  EXPECT_EQ(facts.joins, count_lines(text, "^=== .* has joined #"));
  EXPECT_EQ(facts.leaves, count_lines(text, "^=== .* has left #"));
  EXPECT_EQ(facts.renames, count_lines(text, "^=== .* is now known as "));
  EXPECT_EQ(facts.other_lines.at("mode change"), count_lines(text, "^=== mode/"));
  EXPECT_EQ(facts.lines, std::count(text.begin(), text.end(), '\n'));
  EXPECT_EQ(facts.messages, 1721U);
  EXPECT_EQ(facts.joins, 288U);
  EXPECT_EQ(facts.users, 398U);
  // 11:22 to 13:00: the span is what the stamps say, to a minute.
  EXPECT_NEAR(to_seconds(facts.span), 98 * 60, 60);
  std::size_t bytes = 0;
  for (const TraceEvent& event : trace.trace.events) bytes += event.bytes;
  std::istringstream in{text};
  std::size_t expected_bytes = 0;
  for (std::string line; std::getline(in, line);) {
    const std::size_t at = line.find("> ");
    if (line.size() < 9 || line[8] != '<' || at == std::string::npos) continue;
    const std::size_t last = line.find_last_not_of(' ');
    expected_bytes += std::max<std::size_t>(1, last < at + 2 ? 1 : last - at - 1);
  }
  EXPECT_NEAR(static_cast<double>(bytes), static_cast<double>(expected_bytes), 40);
}

TEST(TraceImport, CountsTheUbuntuLogOf2008AsGrepDoes) {
  const std::string text = file_text(traces() + "ubuntu-2008-04-27.irc.log");
  const TraceFacts facts = imported(text).facts;
  EXPECT_EQ(facts.messages, count_lines(text, R"(^\[..:..\] ( \* |<))"));
  EXPECT_EQ(facts.renames, count_lines(text, "^=== .* is now known as "));
  EXPECT_EQ(facts.messages, 1958U);
  EXPECT_EQ(facts.sessions, facts.users) << "nobody joins, so everybody is connected throughout";
}

TEST(TraceImport, CountsTheRustLogAsGrepDoes) {
  const std::string text = file_text(traces() + "rust.log");
  const TraceFacts facts = imported(text).facts;
  EXPECT_EQ(facts.messages, count_lines(text, R"(^\S+ \S+ \[..:..:..\] (\* |<))"));
  std::set<std::string> senders;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    static const std::regex sender{R"(^\S+ \S+ \[..:..:..\] (\* |<)(user\d+))"};
    if (std::regex_search(line, match, sender)) senders.insert(match[2]);
  }
  EXPECT_EQ(facts.users, senders.size());
  EXPECT_NEAR(to_seconds(facts.span), 26 * 3600 + 37 * 60 + 34, 1);
}

TEST(TraceImport, EveryTraceBecomesAScenarioWhosePlanSendsIt) {
  std::string folder_template =
      (std::filesystem::temp_directory_path() / "clamor-trace-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder_template.data()), nullptr);
  const std::filesystem::path folder = folder_template;
  for (const char* name : {"ubuntu-2006-06-01.irc", "ubuntu-2008-04-27.irc", "rust"}) {
    const auto trace = imported(file_text(traces() + name + ".log"));
    std::ofstream{folder / "t.events.csv"} << write_trace_file(trace.trace);
    for (const Replay& replay : {compressed_to(30s, trace), at_speed(1, trace)}) {
      std::ofstream{folder / "t.yaml"}
          << replay_scenario("t", name, "t.events.csv", replay, 2, trace);
      const Parsed<Scenario> read = read_scenario(folder / "t.yaml");
      ASSERT_TRUE(read.value.has_value()) << (read.errors.empty() ? "" : read.errors[0]);
      EXPECT_EQ(measured_duration(*read.value), replay.duration);
      const Plan plan{*read.value};
      EXPECT_EQ(plan.users(), 2 * trace.facts.users);
      EXPECT_EQ(plan.send_count(), 2U * trace.facts.messages);
      std::vector<Send> sends;
      for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends);
      ASSERT_EQ(sends.size(), plan.send_count());
      for (const Send& send : sends) {
        ASSERT_FALSE(plan.absent(plan.user_of(send.client), send.due));
      }
      const std::string effective = write_effective(*read.value);
      const auto again = parse_scenario(effective, "effective.yaml", "/nowhere");
      ASSERT_TRUE(again.value.has_value()) << effective;
      EXPECT_EQ(write_effective(*again.value), effective);
    }
    const auto back = read_trace_file(folder / "t.events.csv");
    ASSERT_TRUE(back.value.has_value());
    EXPECT_EQ(write_trace_file(*back.value), write_trace_file(trace.trace));
  }
  std::filesystem::remove_all(folder);
}

TEST(TraceImport, SizesTheSimulatedDeploymentByTheBusiestSecond) {
  // 3 users connected, then 4; the busiest second of the replay holds 2 sends to 3 others each.
  std::string text = "[10:00] <a> x\n[10:00] <b> x\n[10:00] <c> x\n";
  text += "=== d [u@h] has joined #c\n[10:30] <d> x\n[10:30] <a> x\n";
  const auto trace = imported(text);
  const std::string written = replay_scenario("t", "t.log", "e.csv", at_speed(60, trace), 2, trace);
  // 60,000 / 6 = 10,000 channels a server, but no more than 20,000 clients.
  EXPECT_NE(written.find("clients_per_server: 20000}"), std::string::npos) << written;
  EXPECT_NE(written.find("scale: 50000}"), std::string::npos) << "20 servers of 5,000, by 2 copies";
  const auto busy = imported(file_text(traces() + "ubuntu-2006-06-01.irc.log"));
  const std::string replay = replay_scenario("t", "t", "e", compressed_to(30s, busy), 1, busy);
  EXPECT_NE(replay.find("clients_per_server: 796}"), std::string::npos)
      << "two such channels, 196 times faster, are what a server should carry\n"
      << replay;
}

TEST(TraceFile, ReportsTheLinesThatAreWrong) {
  std::string folder_template =
      (std::filesystem::temp_directory_path() / "clamor-trace-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder_template.data()), nullptr);
  const std::filesystem::path folder = folder_template;
  const std::string path = folder / "e.csv";
  std::ofstream{path} << "seconds,user,event,bytes,mentions\n0,0,online,,\n0,2,online,,\n"
                         "5,0,send,10,\n4,0,send,10,\n6,0,sent,10,\n7,0,send,0,\n8,0,send,5,9\n"
                         "x,0,send,5,\n9,7,connect,,\n";
  const auto read = read_trace_file(path);
  std::string errors;
  for (const std::string& error : read.errors) errors += error.substr(path.size()) + "\n";
  EXPECT_EQ(errors,
            ":3:3: user 2; expected 1: users are numbered from 0, before the first event\n"
            ":5:1: earlier than the line before; expected ascending times\n"
            ":6:5: event \"sent\"; expected one of: online, offline, send, connect, disconnect; "
            "did you mean \"send\"?\n"
            ":7:10: bytes \"0\"; expected a whole number from 1 to 32768\n"
            ":8:12: mention \"9\"; expected a user below 1\n"
            ":9:1: time \"x\"; expected seconds from 0\n"
            ":10:3: user 7 has no row online or offline at the top; expected less than 1\n");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace clamor::scenario
