#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::scenario {

/// What a metric measures; decides which aggregates a threshold may use.
enum class MetricKind : std::uint8_t {
  latency,  ///< Histogram of ns; thresholds speak milliseconds: avg, min, med, max, p(N), count.
  counter,  ///< count; rate is per second of the measured window.
  share,    ///< rate in [0, 1].
};

struct MetricInfo {
  std::string name;
  MetricKind kind = MetricKind::counter;
};

inline constexpr std::array latency_metrics{"delivery_latency",      "ack_latency",
                                            "catch_up_latency",      "recovery_latency",
                                            "delivery_service_time", "connect_time",
                                            "offline_notice_latency"};
/// Values of the latencies' tag `path`; the tag `group` takes a channel class.
inline constexpr std::array path_tags{"live", "catchup", "outbox", "repair"};

/// Lists every metric a threshold can name: latencies, ledger and operation counters, `reach`
/// (delivered / expected) and `sessions_opened` (opened / asked; live only).
[[nodiscard]] const std::vector<MetricInfo>& threshold_metrics();

}  // namespace clamor::scenario
