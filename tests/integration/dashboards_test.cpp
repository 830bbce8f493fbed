// Whether the files in dashboards/ are well-formed and speak of metrics that a server really has.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

const std::string prometheus_folder = std::string{CLAMOR_ROOT} + "/dashboards/prometheus/";
const std::string rules_file = prometheus_folder + "clamor.rules.yml";
const std::string dashboard_file =
    std::string{CLAMOR_ROOT} + "/dashboards/grafana/clamor-server.json";

std::string text_of(const std::string& path) {
  std::ifstream in{path};
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>{in}, {}};
}

void expect_promtool_passes(std::vector<std::string> arguments) {
  const TemporaryDirectory directory;
  arguments.insert(arguments.begin(), {"/usr/bin/env", "promtool"});
  ChildProcess promtool{arguments, directory / "promtool.log"};
  std::string out;
  for (std::string line = promtool.read_line(); !line.empty(); line = promtool.read_line()) {
    out += line + "\n";
  }
  EXPECT_EQ(promtool.wait(), 0) << arguments[2] << ' ' << arguments[3] << ":\n"
                                << out << promtool.log();
}

std::set<std::string> all_matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator match{text.begin(), text.end(), pattern}, end; match != end; ++match) {
    found.insert((*match)[match->size() - 1]);
  }
  return found;
}

/// Metrics that queries name: the server's own, `clamor_...`, not what the rules derive.
std::set<std::string> metrics_named_in(const std::string& queries) {
  return all_matches(queries, std::regex{R"(\b(clamor_[a-z0-9_]+))"});
}

/// Series that rules derive, `clamor:...`.
std::set<std::string> series_named_in(const std::string& queries) {
  return all_matches(queries, std::regex{R"(\b(clamor:[a-z0-9_:]+))"});
}

/// All `expr` and `query` texts anywhere in the dashboard.
void collect_queries(const nlohmann::json& node, std::string& out) {
  if (node.is_object()) {
    for (const auto& [key, value] : node.items()) {
      if ((key == "expr" || key == "query") && value.is_string()) {
        out += value.get<std::string>() + "\n";
      } else {
        collect_queries(value, out);
      }
    }
  } else if (node.is_array()) {
    for (const auto& value : node) collect_queries(value, out);
  }
}

std::string dashboard_queries() {
  std::string queries;
  collect_queries(nlohmann::json::parse(text_of(dashboard_file)), queries);
  return queries;
}

/// Without comments and group names, which name no metric.
std::string rule_queries() {
  std::istringstream lines{text_of(rules_file)};
  std::string queries;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("- name:") == std::string::npos) queries += line.substr(0, line.find('#')) + "\n";
  }
  return queries;
}

void expect_all_in(const std::set<std::string>& named, const std::set<std::string>& existing,
                   const std::string& where) {
  EXPECT_GT(named.size(), 2U) << where << " names next to nothing: was it read?";
  for (const std::string& name : named) {
    EXPECT_TRUE(existing.contains(name)) << where << " names " << name << ", which does not exist";
  }
}

TEST(Dashboards, PromtoolAcceptsScrapeConfigurationAndRules) {
  expect_promtool_passes({"check", "config", prometheus_folder + "prometheus.yml"});
  expect_promtool_passes({"check", "rules", rules_file});
}

// Method: Grafana's variables filled in, each query becomes a rule that promtool parses.
TEST(Dashboards, EveryQueryOfTheDashboardIsValidPromql) {
  const TemporaryDirectory directory;
  const std::string path = directory / "queries.yml";
  nlohmann::json rules;  // JSON is YAML
  std::istringstream queries{dashboard_queries()};
  for (std::string query; std::getline(queries, query);) {
    if (query == "prometheus" || query.rfind("label_values(", 0) == 0) continue;  // Grafana's own
    query = std::regex_replace(query, std::regex{R"(\$__rate_interval)"}, "1m");
    query = std::regex_replace(query, std::regex{R"(\$instance)"}, ".*");
    EXPECT_EQ(query.find('$'), std::string::npos) << "an unknown variable: " << query;
    rules.push_back({{"record", "query:" + std::to_string(rules.size())}, {"expr", query}});
  }
  EXPECT_GT(rules.size(), 30U);
  nlohmann::json group{{"name", "dashboard"}, {"rules", rules}};
  std::ofstream{path} << nlohmann::json{{"groups", {group}}};
  expect_promtool_passes({"check", "rules", path});
}

TEST(Dashboards, AlertsFireWhenTheyShouldAndOnlyThen) {
  expect_promtool_passes({"test", "rules", prometheus_folder + "clamor.rules.test.yml"});
}

TEST(Dashboards, EveryMetricNamedIsExportedByARunningServer) {
  ServerProcess server{"design: per_user\n"};
  const std::string metrics = TestClient::get(server.port(), "/metrics");
  const std::set<std::string> exported =
      all_matches(metrics, std::regex{R"((?:^|\n)(clamor_[a-z0-9_]+)(?=[ {]))"});
  expect_all_in(metrics_named_in(dashboard_queries()), exported, dashboard_file);
  expect_all_in(metrics_named_in(rule_queries()), exported, rules_file);
  EXPECT_EQ(server.stop(), 0);
}

TEST(Dashboards, EverySeriesThatTheDashboardTakesFromTheRulesIsRecorded) {
  const std::set<std::string> recorded =
      all_matches(rule_queries(), std::regex{R"(record: (clamor:[a-z0-9_:]+))"});
  expect_all_in(series_named_in(dashboard_queries()), recorded, dashboard_file);
  expect_all_in(series_named_in(rule_queries()), recorded, rules_file);
}

}  // namespace
}  // namespace clamor::test
