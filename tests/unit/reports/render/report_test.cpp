#include "reports/render/report.hpp"

#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace clamor::report {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<RunResult> four_runs() {
  std::vector<RunResult> runs{sample::run(Engine::live, QueueDesign::per_user),
                              sample::run(Engine::live, QueueDesign::per_group),
                              sample::run(Engine::sim, QueueDesign::per_user),
                              sample::run(Engine::sim, QueueDesign::per_group)};
  for (RunResult& run : runs) run.environment.command = "clamor compare quickstart.yaml --seed 42";
  return runs;
}

/// What a reader without JavaScript sees: the page less its scripts and styles.
std::string without_scripts(std::string html) {
  for (const std::string name : {"script", "style"}) {
    for (std::size_t at = 0; (at = html.find("<" + name, at)) != std::string::npos;) {
      const std::size_t end = html.find("</" + name + ">", at);
      html.erase(at, end == std::string::npos ? end : end + name.size() + 3 - at);
    }
  }
  return html;
}

std::string script_data(const std::string& html) {
  const std::size_t begin = html.find('>', html.find("id=data")) + 1;
  return html.substr(begin, html.find("</script>", begin) - begin);
}

std::size_t count_of(const std::string& text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++n;
  return n;
}

/// Names of elements that are opened but not closed, or the other way round.
std::multiset<std::string> unbalanced(const std::string& markup) {
  static const std::set<std::string> empty_elements{"meta", "link", "br", "!doctype", "?xml"};
  std::multiset<std::string> open;
  std::multiset<std::string> wrong;
  for (std::size_t at = 0; (at = markup.find('<', at)) != std::string::npos; ++at) {
    const std::size_t end = markup.find('>', at);
    std::string tag = markup.substr(at + 1, end - at - 1);
    if (tag.ends_with('/')) continue;
    const bool closing = tag.starts_with('/');
    if (closing) tag.erase(0, 1);
    tag.resize(std::min(tag.size(), tag.find_first_of(" \n")));
    if (empty_elements.contains(tag)) continue;
    if (!closing) {
      open.insert(tag);
    } else if (const auto found = open.find(tag); found != open.end()) {
      open.erase(found);
    } else {
      wrong.insert(tag);
    }
  }
  wrong.merge(open);
  return wrong;
}

TEST(HtmlReport, TellsTheVerdictItsRegionAndThatItRestsOnOneRepetition) {
  const std::string page = without_scripts(html_report(four_runs()));
  EXPECT_THAT(page, HasSubstr("<h1><code>per_group</code> wins, live and simulated</h1>"));
  EXPECT_THAT(page, HasSubstr("This holds for groups of 2–600 members"));
  EXPECT_THAT(page, HasSubstr("One repetition"));
  EXPECT_THAT(page, HasSubstr("clamor compare quickstart.yaml --seed 42"));
  EXPECT_THAT(page, HasSubstr("1,000,000"));
  EXPECT_THAT(page, HasSubstr("2,000 users"));
}

TEST(HtmlReport, KeepsEveryTableReadableWithoutJavaScript) {
  const std::string page = without_scripts(html_report(four_runs()));
  for (const char* id : {"designs", "groups", "latency", "time", "operations", "ledger", "scales",
                         "health", "reproduce"}) {
    EXPECT_THAT(page, HasSubstr("<section id=\"" + std::string{id} + "\">"));
  }
  for (const char* figure :
       {"queue_entries", "Server CPU per user-hour", "hall", "p99.9", "double_accepted",
        "Events a CPU-second", "Sessions opened of asked"}) {
    EXPECT_THAT(page, HasSubstr(figure));
  }
  EXPECT_EQ(count_of(page, "<table>"), 11U);
  EXPECT_TRUE(unbalanced(page).empty()) << *unbalanced(page).begin();
}

TEST(HtmlReport, RequestsNothingFromElsewhere) {
  const std::string html = html_report(four_runs());
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const char* reference : {"src=", "@import", "url(", "fetch(", "XMLHttpRequest"}) {
    EXPECT_THAT(html, Not(HasSubstr(reference))) << reference;
  }
  EXPECT_EQ(count_of(html, "<link "), 1U);  // the empty icon, or browsers ask for one
  EXPECT_THAT(html, HasSubstr("<link rel=icon href=\"data:,\">"));
  EXPECT_THAT(html, HasSubstr("var uPlot="));
}

TEST(HtmlReport, ShowsHostileNamesAsText) {
  const std::string hostile = "</script><script>alert('x')</script>&\"<b>";
  std::vector<RunResult> runs = four_runs();
  for (RunResult& run : runs) {
    run.scenario = run.description = run.environment.machine = hostile;
    run.environment.command = hostile;
    run.region.groups[0].name = hostile;
    run.marks[0].second = hostile;
    run.thresholds[0].metric = hostile;
  }
  const std::string html = html_report(runs);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("<b>")));
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(&#39;x&#39;)"));
  EXPECT_EQ(count_of(html, "<script"), 3U);
  const auto data = nlohmann::json::parse(script_data(html));
  EXPECT_EQ(data["arms"][0]["marks"][0]["what"], hostile);
}

TEST(MarkdownReport, SaysWhatTheStoresBeganWith) {
  std::vector<RunResult> runs = four_runs();
  EXPECT_THAT(markdown_report(runs), HasSubstr("The stores began empty"));
  for (RunResult& run : runs) {
    run.prefill.records = run.engine == Engine::live ? 50'000 : 25'000'000;
    if (run.design.design == QueueDesign::per_user) {
      run.prefill.queue_entries = 20 * run.prefill.records;
    }
    if (run.engine == Engine::live) run.prefill.bytes = 12U << 20U;
  }
  const std::string page = markdown_report(runs);
  EXPECT_THAT(page,
              HasSubstr("The stores began with 50,000 messages, which every device held. "
                        "Queue entries written for them (and bytes of log and queues): per_user "
                        "1,000,000 (12 MiB) and per_group none (12 MiB)."));
  EXPECT_THAT(page, HasSubstr("The channels began with 25,000,000 messages"));
  EXPECT_THAT(page, Not(HasSubstr("began empty")));
  runs[1].prefill.records = 0;
  EXPECT_THAT(markdown_report(runs), HasSubstr("cannot be compared"));
}

TEST(HtmlReport, CallsAFailureAFailure) {
  std::vector<RunResult> runs = four_runs();
  runs[0].ledger.lost = 3;
  runs[0].thresholds = evaluate_thresholds({}, runs[0]);
  const std::string page = without_scripts(html_report(runs));
  EXPECT_THAT(page, HasSubstr("✗ a threshold failed"));
  EXPECT_THAT(page, HasSubstr("✗ 3"));
  EXPECT_THAT(page, Not(HasSubstr("every run met every threshold")));
}

TEST(HtmlReport, PaintsItsBadgeAsTheWorstRunEndedTwinsLeftOut) {
  std::vector<RunResult> runs = four_runs();
  runs.push_back(sample::run(Engine::sim, QueueDesign::per_user));
  runs.back().twin = true;
  runs.back().thresholds[0].passed = false;
  EXPECT_THAT(html_report(runs), HasSubstr("<p class=\"badge good\">✓ every run met"));
  runs[0].generator.intervals_marked = 19;
  EXPECT_THAT(html_report(runs), HasSubstr("<p class=\"badge bad\">✗ the load generator was"));
  runs[1].thresholds[0].passed = false;
  EXPECT_THAT(html_report(runs), HasSubstr("<p class=\"badge bad\">✗ a threshold failed"));
  runs.back().interrupted = true;
  EXPECT_THAT(html_report(runs), HasSubstr("<p class=\"badge bad\">✗ interrupted"));
}

TEST(HtmlReport, ClaimsNothingForARunWhoseServerWasKilled) {
  std::vector<RunResult> runs = four_runs();
  const std::string before = markdown_report(runs);
  runs[0].server.cpu_seconds = 0;  // nobody could ask it
  runs[0].server.device_write_bytes = 0;
  runs[0].ledger_complete = false;
  runs[0].ledger_unknown_because = "the server ended with signal 9 (Killed) during the run";
  const std::string after = markdown_report(runs);
  const auto row = [](const std::string& text, std::string_view name) {
    const std::size_t at = text.find(name);
    return text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_THAT(row(before, "Server CPU per user-hour"), Not(HasSubstr("unknown")));
  EXPECT_THAT(row(after, "Server CPU per user-hour"), HasSubstr("unknown"));
  EXPECT_THAT(row(after, "Server CPU per user-hour"), Not(HasSubstr("| 0 s")));
}

TEST(ChartData, HoldsEveryArmWithCurvesSeriesAndFaults) {
  const auto data = nlohmann::json::parse(chart_data(four_runs()));
  EXPECT_EQ(data["designs"], (std::vector<std::string>{"per_user", "per_group"}));
  ASSERT_EQ(data["arms"].size(), 4U);
  for (const auto& arm : data["arms"]) {
    EXPECT_EQ(arm["series"]["t"].size(), 20U);
    EXPECT_EQ(arm["series"]["p99_ms"].size(), 20U);
    EXPECT_EQ(arm["marks"].size(), 1U);
    const auto& curve = arm["curves"]["delivery_latency"];
    EXPECT_EQ(curve.size(), data["positions"].size());
    EXPECT_TRUE(curve.back().is_null());  // 30,000 values say nothing about p99.9999
    double last = 0;
    for (const auto& y : curve) {
      if (y.is_null()) continue;
      EXPECT_GE(y.get<double>(), last);
      last = y.get<double>();
    }
  }
}

TEST(ChartData, SurvivesTextThatIsNotUtf8) {
  std::vector<RunResult> runs = four_runs();
  runs[0].marks[0].second = "caf\xe9";
  EXPECT_TRUE(nlohmann::json::accept(chart_data(runs)));
}

TEST(MarkdownReport, HasTheSameTablesWithEveryRowAsWideAsItsHeader) {
  std::vector<RunResult> runs = four_runs();
  for (RunResult& run : runs) run.region.groups[0].name = "a|b";
  const std::string text = markdown_report(runs);
  EXPECT_THAT(text, HasSubstr("# quickstart: per_group wins, live and simulated"));
  EXPECT_THAT(text, HasSubstr("`a\\|b`"));
  std::istringstream in{text};
  std::ptrdiff_t width = 0;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("|")) {
      width = 0;
      continue;
    }
    const auto bars =
        std::ranges::count(line, '|') - static_cast<std::ptrdiff_t>(count_of(line, "\\|"));
    if (width == 0) width = bars;
    EXPECT_EQ(bars, width) << line;
  }
}

TEST(JunitReport, IsWellFormedAndCountsFailuresAndErrors) {
  std::vector<RunResult> runs = four_runs();
  runs[0].scenario = "a<b & \"c\"";
  runs[0].ledger.lost = 3;
  runs[0].thresholds = evaluate_thresholds({}, runs[0]);
  runs[1].generator.intervals_marked = 19;
  const std::string xml = junit_report(runs);
  EXPECT_TRUE(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
  EXPECT_TRUE(unbalanced(xml).empty()) << xml;
  EXPECT_THAT(xml, HasSubstr("failures=\"1\" errors=\"1\">\n  <testsuite"));
  EXPECT_THAT(xml, HasSubstr("name=\"a&lt;b &amp; &quot;c&quot;.per_user.live\""));
  EXPECT_THAT(xml,
              HasSubstr("<failure message=\"observed 3\">lost count==0: observed 3</failure>"));
  EXPECT_THAT(xml, HasSubstr("<error message=\"generator saturated\"/>"));
}

TEST(EscapeMarkup, DropsWhatXmlForbids) {
  EXPECT_EQ(escape_markup(std::string_view{"a\0b\x1b[0m<", 8}), "ab[0m&lt;");
}

}  // namespace
}  // namespace clamor::report
