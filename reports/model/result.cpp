#include "reports/model/result.hpp"

#include <algorithm>
#include <set>

namespace clamor::report {

bool ran_to_its_end(const RunResult& run) { return !run.interrupted && run.ledger_complete; }

bool ran_whole_plan(const RunResult& run) {
  return ran_to_its_end(run) && run.ledger.indeterminate == 0 && run.ledger.not_sent == 0;
}

std::string metric_key(const std::string& metric, const Tags& tags) {
  if (tags.empty()) return metric;
  std::string key = metric + "{";
  for (const auto& [name, value] : tags) {
    if (key.back() != '{') key += ',';
    key += name + ":" + value;
  }
  return key + "}";
}

std::pair<std::string, Tags> parse_metric_key(const std::string& key) {
  const std::size_t brace = key.find('{');
  std::pair<std::string, Tags> parsed{key.substr(0, brace), {}};
  if (brace == std::string::npos) return parsed;
  const std::size_t end = key.ends_with('}') ? key.size() - 1 : key.size();
  for (std::size_t at = brace + 1; at < end;) {
    const std::size_t next = std::min(key.find(',', at), end);
    const std::size_t colon = std::min(key.find(':', at), next);
    parsed.second[key.substr(at, colon - at)] =
        colon < next ? key.substr(colon + 1, next - colon - 1) : "";
    at = next + 1;
  }
  return parsed;
}

Histogram select_histogram(const RunResult& run, const std::string& metric, const Tags& filter) {
  using Names = std::set<std::string>;
  std::map<std::pair<std::size_t, Names>, Histogram> by_names;  // the smallest set comes first
  for (const auto& [key, histogram] : run.histograms) {
    if (!key.starts_with(metric)) continue;
    const auto [key_metric, tags] = parse_metric_key(key);
    if (key_metric != metric) continue;
    Names names;
    for (const auto& tag : tags) names.insert(tag.first);
    if (!std::ranges::all_of(filter, [&](const auto& tag) { return names.contains(tag.first); })) {
      continue;
    }
    Histogram& merged = by_names[{names.size(), names}];
    const bool matches = std::ranges::all_of(
        filter, [&](const auto& tag) { return tags.at(tag.first) == tag.second; });
    if (matches) merged.merge(histogram);
  }
  return by_names.empty() ? Histogram{} : by_names.begin()->second;
}

}  // namespace clamor::report
