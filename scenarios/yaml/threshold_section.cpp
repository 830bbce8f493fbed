#include "scenarios/model/metric.hpp"
#include "scenarios/yaml/sections.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

// `thresholds:` of a file, in k6's syntax.
namespace clamor::scenario {

namespace {

using Aggregate = Threshold::Aggregate;

std::string aggregates_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::latency:
      return "p(N), avg, min, med, max or count, in milliseconds, such as p(99)<250";
    case MetricKind::counter:
      return "count or rate, such as count==0";
    case MetricKind::share:
      return "rate, such as rate>=0.999";
  }
  return "";
}

bool fits(MetricKind kind, Aggregate aggregate) {
  switch (kind) {
    case MetricKind::latency:
      return aggregate != Aggregate::rate;
    case MetricKind::counter:
      return aggregate == Aggregate::count || aggregate == Aggregate::rate;
    case MetricKind::share:
      return aggregate == Aggregate::rate;
  }
  return false;
}

/// Whether no value of the metric satisfies it: none is negative, and no share is above 1.
bool never_holds(const Threshold& threshold, MetricKind kind) {
  const double most = kind == MetricKind::share ? 1 : std::numeric_limits<double>::infinity();
  switch (threshold.comparison) {
    case Threshold::Comparison::lt:
      return threshold.bound <= 0;
    case Threshold::Comparison::le:
      return threshold.bound < 0;
    case Threshold::Comparison::gt:
      return threshold.bound >= most;
    case Threshold::Comparison::ge:
      return threshold.bound > most;
    case Threshold::Comparison::eq:
      return threshold.bound < 0 || threshold.bound > most;
    case Threshold::Comparison::ne:
      return false;
  }
  return false;
}

/// `p(99)<2s` as it should be: `p(99)<2000`; empty where the bound is no duration.
std::string in_milliseconds(const std::string& expression) {
  const std::size_t bound = expression.find_last_of("<>= ") + 1;  // npos + 1 is 0
  const auto duration = parse_duration(std::string_view{expression}.substr(bound));
  if (!duration) return "";
  const double ms = static_cast<double>(duration->count()) / 1e6;
  const std::string meant = expression.substr(0, bound) + fmt::format("{:.12g}", ms);
  const auto parsed = parse_threshold(meant);
  return parsed && fits(MetricKind::latency, parsed->aggregate) ? meant : "";
}

/// Reads the `{tag:value,...}` of a sub-metric; `text` is what stands between the braces.
bool read_tags(Faults& faults, const Node::Key& key, std::string_view text,
               const Scenario& scenario, Threshold& threshold) {
  static const std::vector<std::string> tags{"group", "path"};
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = pair.find(':');
    const std::string tag{pair.substr(0, std::min(colon, pair.size()))};
    const std::string value{colon < pair.size() ? pair.substr(colon + 1) : ""};
    if (tag != "group" && tag != "path") {
      faults.add(key.place, fmt::format("{}: unknown tag \"{}\"; expected one of: {}{}", key.name,
                                        tag, listed(tags), did_you_mean(tag, tags)));
      return false;
    }
    const std::vector<std::string> values =
        tag == "group" ? class_names(scenario)
                       : std::vector<std::string>(path_tags.begin(), path_tags.end());
    if (std::find(values.begin(), values.end(), value) == values.end()) {
      faults.add(key.place, fmt::format("{}: {} \"{}\"; expected one of: {}{}", key.name, tag,
                                        value, listed(values), did_you_mean(value, values)));
      return false;
    }
    threshold.tags[tag] = value;
  }
  return true;
}

/// Reads `metric{tag:value}`; nullptr if there is no such metric.
const MetricInfo* read_metric(Faults& faults, const Node::Key& key, const Scenario& scenario,
                              Threshold& threshold) {
  const std::size_t brace = key.name.find('{');
  threshold.metric = key.name.substr(0, brace);
  const auto& metrics = threshold_metrics();
  const auto metric = std::find_if(metrics.begin(), metrics.end(), [&](const MetricInfo& one) {
    return one.name == threshold.metric;
  });
  if (metric == metrics.end()) {
    std::vector<std::string> names;
    for (const MetricInfo& one : metrics) names.push_back(one.name);
    const std::string meant = did_you_mean(threshold.metric, names);
    faults.add(key.place,
               fmt::format("unknown metric \"{}\"{}", threshold.metric,
                           meant.empty() ? "; expected one of: " + listed(names) : meant));
    return nullptr;
  }
  if (brace == std::string::npos) return &*metric;
  if (metric->kind != MetricKind::latency || !key.name.ends_with('}')) {
    faults.add(key.place, fmt::format("\"{}\"; expected tags on a latency only, such as "
                                      "delivery_latency{{group:direct}}",
                                      key.name));
    return nullptr;
  }
  const std::string_view inner{key.name.data() + brace + 1, key.name.size() - brace - 2};
  return read_tags(faults, key, inner, scenario, threshold) ? &*metric : nullptr;
}

void read_expression(Faults& faults, const Node& node, const MetricInfo& metric,
                     const Threshold& base, Scenario& scenario) {
  if (node.kind == Node::Kind::map) {
    const bool aborting = node.keys.size() > 1;
    faults.add(node.place, aborting ? "abortOnFail is not supported yet; expected the expression "
                                      "alone, such as 'p(99)<250'"
                                    : "a mapping; expected an expression, such as 'p(99)<250'");
    return;
  }
  const auto parsed = node.kind == Node::Kind::scalar ? parse_threshold(node.scalar) : std::nullopt;
  const std::string meant =
      metric.kind == MetricKind::latency && !parsed ? in_milliseconds(node.scalar) : "";
  if (!meant.empty()) {
    faults.add(node.place, fmt::format("threshold of {} is {}; expected bare milliseconds: {}",
                                       metric.name, described(node), meant));
    return;
  }
  if (!parsed || !fits(metric.kind, parsed->aggregate)) {
    faults.add(node.place, fmt::format("threshold of {} is {}; expected {}", metric.name,
                                       described(node), aggregates_of(metric.kind)));
    return;
  }
  if (never_holds(*parsed, metric.kind)) {
    faults.add(node.place,
               fmt::format("threshold of {} is {}, which can never hold; expected a bound that "
                           "the {} can meet",
                           metric.name, described(node),
                           metric.kind == MetricKind::latency ? "latency" : "metric"));
    return;
  }
  Threshold threshold = *parsed;
  threshold.metric = base.metric;
  threshold.tags = base.tags;
  threshold.text = node.scalar;
  scenario.thresholds.push_back(std::move(threshold));
}

}  // namespace

void read_thresholds(Faults& faults, MapReader& root, Scenario& scenario) {
  const Node* node = root.find("thresholds");
  if (node == nullptr) return;
  MapReader map{faults, *node, "thresholds"};
  for (std::size_t i = 0; i < node->keys.size(); ++i) {
    Threshold base;
    const MetricInfo* metric = read_metric(faults, node->keys[i], scenario, base);
    if (metric == nullptr) continue;
    const Node& value = node->items[i];
    if (value.kind != Node::Kind::sequence) {
      faults.add(value.place, fmt::format("thresholds of {} are {}; expected a list, such as "
                                          "['p(99)<250']",
                                          node->keys[i].name, described(value)));
      continue;
    }
    for (const Node& item : value.items) read_expression(faults, item, *metric, base, scenario);
  }
}

}  // namespace clamor::scenario
