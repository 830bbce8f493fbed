#include "reports/model/wording.hpp"
#include "reports/render/document.hpp"
#include "reports/render/report.hpp"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace clamor::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array curve_metrics{"delivery_latency", "catch_up_latency", "recovery_latency",
                                   "ack_latency", "connect_time"};
constexpr int points_a_decade = 16;
constexpr int decades = 6;  // to the 99.9999th percentile

/// x = 1 / (1 - q) on a logarithmic axis, as HdrHistogram's plots have it: 10 is p90, 100 is p99.
Json curve_positions() {
  Json x = Json::array();
  for (int i = 0; i <= points_a_decade * decades; ++i) {
    x.push_back(std::pow(10.0, static_cast<double>(i) / points_a_decade));
  }
  return x;
}

/// Latency in ms at each position; null above what the count can resolve.
Json curve(const Histogram& h) {
  Json y = Json::array();
  for (int i = 0; i <= points_a_decade * decades; ++i) {
    const double x = std::pow(10.0, static_cast<double>(i) / points_a_decade);
    if (h.count() == 0 || x > static_cast<double>(h.count())) {
      y.push_back(nullptr);
    } else {
      y.push_back(static_cast<double>(h.quantile(1 - 1 / x)) / 1e6);
    }
  }
  return y;
}

template <class Member>
Json column(const RunResult& run, Member member, double factor = 1) {
  Json values = Json::array();
  for (const SeriesPoint& point : run.series) {
    values.push_back(static_cast<double>(point.*member) * factor);
  }
  return values;
}

Json series(const RunResult& run) {
  Json marked = Json::array();
  for (const SeriesPoint& point : run.series) marked.push_back(point.marked);
  return {{"t", column(run, &SeriesPoint::t_seconds)},
          {"p99_ms", column(run, &SeriesPoint::delivery_p99_ns, 1e-6)},
          {"connected", column(run, &SeriesPoint::connected)},
          {"deliveries", column(run, &SeriesPoint::delivery_rate)},
          {"cpu", column(run, &SeriesPoint::server_cpu_share, 100)},
          {"lag", column(run, &SeriesPoint::fan_out_lag)},
          {"marked", std::move(marked)}};
}

}  // namespace

std::string chart_data(std::span<const RunResult> runs) {
  const Comparison comparison = compare_designs(runs);
  std::vector<std::string> designs;
  const std::vector<Arm> arms = arms_of(comparison, designs);
  Json list = Json::array();
  for (const Arm& arm : arms) {
    Json curves = Json::object();
    for (const char* metric : curve_metrics) {
      const Histogram h = merged_histogram(arm, metric);
      if (h.count() > 0) curves[metric] = curve(h);
    }
    Json marks = Json::array();
    for (const auto& [t, what] : arm.first().marks) marks.push_back({{"t", t}, {"what", what}});
    list.push_back({{"design", arm.design},
                    {"engine", arm.engine == Engine::live ? "live" : "sim"},
                    {"heading", engine_heading(arm)},
                    {"curves", std::move(curves)},
                    {"series", series(arm.first())},
                    {"marks", std::move(marks)}});
  }
  const Json data{{"designs", designs}, {"positions", curve_positions()}, {"arms", list}};
  // names come from users: bytes that are not UTF-8 must not stop the report
  return data.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace clamor::report
