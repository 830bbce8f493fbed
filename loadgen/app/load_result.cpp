#include "loadgen/app/load_result.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace clamor::loadgen {
namespace {

constexpr std::size_t findings_max = 20;

void add_histograms(const Recording& recording, const scenario::Plan& plan,
                    report::RunResult& result) {
  const auto put = [&result](const std::string& metric, const report::Tags& tags,
                             const Histogram& histogram) {
    if (histogram.count() > 0) {
      result.histograms[report::metric_key(metric, tags)].merge(histogram);
    }
  };
  for (std::uint32_t index = 0; index < recording.by_class.size(); ++index) {
    const std::string group{plan.class_name(index)};
    const Recording::ByClass& by_class = recording.by_class[index];
    for (std::size_t path = 0; path < delivery_path_names.size(); ++path) {
      const report::Tags tags{{"group", group}, {"path", std::string{delivery_path_names[path]}}};
      put("delivery_latency", tags, by_class.delivery[path]);
      put("delivery_service_time", tags, by_class.service[path]);
    }
    put("ack_latency", {{"group", group}}, by_class.ack);
  }
  put("catch_up_latency", {}, recording.catch_up);
  put("connect_time", {}, recording.connect);
  put("recovery_latency", {}, recording.recovery);
  put("offline_notice_latency", {}, recording.offline_notice);
}

void leave_open(report::RunResult& result, std::string why) {
  result.ledger_complete = false;
  if (!result.ledger_unknown_because.empty()) result.ledger_unknown_because += "; ";
  result.ledger_unknown_because += why;
}

}  // namespace

bool SeriesBuilder::add(const IntervalRecord& interval) {
  auto& [merged, count] = open_[interval.index];
  merged.index = interval.index;
  merged.merge(interval);
  if (++count < workers_) return false;
  completed_ = std::move(merged);
  open_.erase(interval.index);
  return true;
}

void SeriesBuilder::complete(const std::optional<ServerReading>& reading,
                             std::uint32_t server_cores) {
  report::SeriesPoint point;
  point.t_seconds = completed_.index + 1.0;
  point.connected = completed_.connected;
  point.sent_rate = static_cast<double>(completed_.sent);
  point.ack_rate = static_cast<double>(completed_.acknowledged);
  point.delivery_rate = static_cast<double>(completed_.delivered);
  point.delivery_p50_ns = completed_.delivery.quantile(0.5);
  point.delivery_p99_ns = completed_.delivery.quantile(0.99);
  point.generator_lag_ns = completed_.lag.max();
  point.marked = completed_.marked();
  if (reading) {
    point.server_rss_bytes = reading->resident_bytes;
    point.fan_out_lag = reading->fan_out_lag;
    if (before_ && reading->at > before_->at) {
      point.server_cpu_share = (reading->cpu_seconds - before_->cpu_seconds) /
                               to_seconds(reading->at - before_->at) / server_cores;
    }
  }
  before_ = reading;
  points_.push_back(point);
}

void add_parts(std::span<const std::filesystem::path> parts, const scenario::Plan& plan,
               std::vector<MessageId> starts, report::RunResult& result) {
  Verifier verifier{std::move(starts)};
  for (const auto& file : parts) read_notes(file, verifier);
  verifier.seal();

  Recording recording;
  std::set<std::string> noticed;
  std::uint64_t unsettled = 0;
  std::uint64_t unsynced = 0;
  for (const auto& file : parts) {
    const WorkerPart part = read_part(file, verifier);
    verifier.totals() += part.totals;
    recording.merge(part.recording);
    noticed.insert(part.findings.begin(), part.findings.end());
    unsettled += part.unsettled;
    unsynced += part.unsynced;
    result.generator.sessions_asked += part.asked;
    result.generator.sessions_opened += part.opened;
    result.generator.cpu_seconds += part.cpu_seconds;
  }
  result.ledger = verifier.totals();
  result.ledger_findings = verifier.findings();
  for (const std::string& finding : noticed) {
    if (result.ledger_findings.size() < findings_max) result.ledger_findings.push_back(finding);
  }
  if (unsettled > 0) {
    leave_open(result, fmt::format("{} sends were not acknowledged in the roll call", unsettled));
  }
  if (unsynced > 0) {
    leave_open(result, fmt::format("{} devices did not sync in the roll call", unsynced));
  }
  add_histograms(recording, plan, result);
  result.generator.workers = static_cast<std::uint32_t>(parts.size());
  result.generator.presence_notices = recording.presence_notices;
  result.generator.lag_p99_ns = recording.lag.quantile(0.99);
  result.generator.turn_p99_ns = recording.turn.quantile(0.99);
  result.generator.intervals = static_cast<std::uint32_t>(result.series.size());
  result.generator.intervals_marked = static_cast<std::uint32_t>(
      std::count_if(result.series.begin(), result.series.end(),
                    [](const report::SeriesPoint& point) { return point.marked; }));
}

}  // namespace clamor::loadgen
