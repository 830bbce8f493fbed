#pragma once

#include "reports/model/result.hpp"
#include "server/base/histogram.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace clamor::sim {

/// How a record reached a device; the tag `path` of delivery_latency.
enum class Path : std::uint8_t { live, catchup, outbox, repair };
inline constexpr std::array<const char*, 4> path_names{"live", "catchup", "outbox", "repair"};

/// Latencies and the time series of one run. Integer arithmetic; a few hundred KB.
class Metrics {
 public:
  Metrics(std::uint32_t classes, std::int64_t duration_ns);

  /// A delivery that completed at `at_ns`. It counts towards delivery_latency only in or after the
  /// measured window as the caller decides; the series takes what falls into the window.
  void delivery(std::uint32_t channel_class, Path path, std::int64_t start_ns, std::int64_t sent_ns,
                std::int64_t at_ns) {
    const auto latency = static_cast<std::uint64_t>(at_ns - start_ns);
    const std::size_t index = channel_class * path_names.size() + static_cast<std::size_t>(path);
    delivery_[index].record(latency);
    service_[index].record(static_cast<std::uint64_t>(at_ns - std::max(start_ns, sent_ns)));
    const auto second = static_cast<std::size_t>(at_ns / 1'000'000'000);
    if (second < seconds_.size()) seconds_[second].delivery.record(latency);
  }
  /// A delivery without a latency (the roll call's).
  void delivery_uncounted(std::int64_t at_ns);
  void sent(std::int64_t at_ns) { count(&Second::sent, at_ns, 1); }
  void acked(std::uint32_t channel_class, std::int64_t due_ns, std::int64_t at_ns) {
    ack_[channel_class].record(static_cast<std::uint64_t>(at_ns - due_ns));
    count(&Second::acked, at_ns, 1);
  }
  void caught_up(std::int64_t latency_ns) {
    catch_up_.record(static_cast<std::uint64_t>(latency_ns));
  }
  /// All positions of a client are current again, so long after a fault cut it off.
  void recovered(std::int64_t latency_ns) {
    recovery_.record(static_cast<std::uint64_t>(latency_ns));
  }
  /// A client was told that a user is offline, so long after the user left.
  void offline_told(std::int64_t latency_ns) {
    offline_notice_.record(static_cast<std::uint64_t>(latency_ns));
  }
  void connected(std::int64_t latency_ns) {
    connect_.record(static_cast<std::uint64_t>(latency_ns));
  }
  void busy(std::int64_t at_ns, std::int64_t busy_ns) {
    count(&Second::busy_ns, at_ns, static_cast<std::uint64_t>(busy_ns));
  }
  /// Closes second `index` with the gauges at its end; `lag` is the worst server's.
  void close_second(std::size_t index, std::uint64_t connected, std::uint64_t lag,
                    std::uint64_t resident_bytes);

  /// p99 of the deliveries of a closed second.
  [[nodiscard]] std::uint64_t delivery_p99_ns(std::size_t second) const;
  /// Histograms under the names and tags of report::RunResult.
  [[nodiscard]] std::map<std::string, Histogram> histograms(
      const std::vector<std::string>& class_names) const;
  /// `cores`: of all servers together.
  [[nodiscard]] std::vector<report::SeriesPoint> series(double cores) const;

 private:
  struct Second {
    Histogram delivery;
    std::uint64_t sent = 0;
    std::uint64_t acked = 0;
    std::uint64_t uncounted = 0;
    std::uint64_t busy_ns = 0;
    std::uint64_t connected = 0;
    std::uint64_t lag = 0;
    std::uint64_t resident_bytes = 0;
  };
  void count(std::uint64_t Second::*member, std::int64_t at_ns, std::uint64_t by) {
    const auto second = static_cast<std::size_t>(at_ns / 1'000'000'000);
    if (second < seconds_.size()) seconds_[second].*member += by;
  }

  std::int64_t duration_ns_;
  std::vector<Histogram> delivery_;  ///< [class][path]
  std::vector<Histogram> service_;   ///< [class][path]
  std::vector<Histogram> ack_;       ///< [class]
  Histogram catch_up_;
  Histogram connect_;
  Histogram recovery_;
  Histogram offline_notice_;
  std::vector<Second> seconds_;
};

}  // namespace clamor::sim
