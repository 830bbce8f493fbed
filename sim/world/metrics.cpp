#include "sim/world/metrics.hpp"

#include <algorithm>

namespace clamor::sim {

Metrics::Metrics(std::uint32_t classes, std::int64_t duration_ns)
    : duration_ns_{duration_ns},
      delivery_(classes * path_names.size()),
      service_(classes * path_names.size()),
      ack_(classes),
      seconds_(static_cast<std::size_t>((duration_ns + 999'999'999) / 1'000'000'000)) {}

void Metrics::delivery_uncounted(std::int64_t at_ns) { count(&Second::uncounted, at_ns, 1); }

void Metrics::close_second(std::size_t index, std::uint64_t connected, std::uint64_t lag,
                           std::uint64_t resident_bytes) {
  Second& second = seconds_.at(index);
  second.connected = connected;
  second.lag = lag;
  second.resident_bytes = resident_bytes;
}

std::uint64_t Metrics::delivery_p99_ns(std::size_t second) const {
  return second < seconds_.size() ? seconds_[second].delivery.quantile(0.99) : 0;
}

std::map<std::string, Histogram> Metrics::histograms(
    const std::vector<std::string>& class_names) const {
  std::map<std::string, Histogram> out;
  const auto put = [&out](const std::string& key, const Histogram& histogram) {
    if (histogram.count() != 0) out[key].merge(histogram);
  };
  for (std::size_t i = 0; i < class_names.size(); ++i) {
    for (std::size_t path = 0; path < path_names.size(); ++path) {
      const std::map<std::string, std::string> tags{{"group", class_names[i]},
                                                    {"path", path_names[path]}};
      const std::size_t index = i * path_names.size() + path;
      put(report::metric_key("delivery_latency", tags), delivery_[index]);
      put(report::metric_key("delivery_service_time", tags), service_[index]);
    }
    put(report::metric_key("ack_latency", {{"group", class_names[i]}}), ack_[i]);
  }
  put("catch_up_latency", catch_up_);
  put("recovery_latency", recovery_);
  put("connect_time", connect_);
  put("offline_notice_latency", offline_notice_);
  return out;
}

std::vector<report::SeriesPoint> Metrics::series(double cores) const {
  std::vector<report::SeriesPoint> out;
  for (std::size_t i = 0; i < seconds_.size(); ++i) {
    const Second& second = seconds_[i];
    const std::int64_t end_ns =
        std::min(static_cast<std::int64_t>(i + 1) * 1'000'000'000, duration_ns_);
    const double length =
        static_cast<double>(end_ns - static_cast<std::int64_t>(i) * 1'000'000'000) * 1e-9;
    const auto rate = [length](std::uint64_t n) { return static_cast<double>(n) / length; };
    report::SeriesPoint point;
    point.t_seconds = static_cast<double>(end_ns) * 1e-9;
    point.connected = second.connected;
    point.sent_rate = rate(second.sent);
    point.ack_rate = rate(second.acked);
    point.delivery_rate = rate(second.delivery.count() + second.uncounted);
    point.delivery_p50_ns = second.delivery.quantile(0.5);
    point.delivery_p99_ns = second.delivery.quantile(0.99);
    point.server_cpu_share = static_cast<double>(second.busy_ns) * 1e-9 / (length * cores);
    point.server_rss_bytes = second.resident_bytes;
    point.fan_out_lag = second.lag;
    out.push_back(point);
  }
  return out;
}

}  // namespace clamor::sim
