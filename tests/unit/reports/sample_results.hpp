#pragma once

#include "reports/model/result.hpp"
#include "reports/model/thresholds.hpp"

#include <cmath>
#include <cstdint>
#include <string>

// Results as a run would leave them, shaped after the quickstart scenario: for tests of whatever
// reads results. Nothing here is measured.
namespace clamor::report::sample {

inline scenario::Threshold threshold(std::string metric, double percentile, double bound_ms,
                                     std::string text) {
  scenario::Threshold t;
  t.metric = std::move(metric);
  t.percentile = percentile;
  t.bound = bound_ms;
  t.text = std::move(text);
  return t;
}

inline Region region() {
  return {.groups = {{"direct", 10'000, 2, 0.79, 0.50},
                     {"quiet", 4'000, 5, 0.79, 0.28},
                     {"team", 60, 50, 0.79, 0.18},
                     {"hall", 1, 600, 0.79, 0.02},
                     {"archive", 1, 600, 0.09, 0.02}},
          .online = 0.77,
          .channels_per_user = 22.1,
          .reconnects_per_user_hour = 198,
          .messages_per_user_hour = 360};
}

/// Spreads `count` values round `median_ns`, with a tail.
inline Histogram latencies(std::uint64_t count, double median_ns) {
  Histogram h;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double u = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    h.record(static_cast<std::uint64_t>(median_ns * std::pow(u / (1 - u), 0.45)));
  }
  return h;
}

/// One clean run of `seconds`; a design without queue entries is the cheaper one.
inline RunResult run(Engine engine, QueueDesign design, std::uint32_t repetition = 1,
                     std::uint32_t repetitions = 1, int seconds = 20) {
  const bool entries = design != QueueDesign::per_group;
  const std::uint64_t times = engine == Engine::sim ? 500 : 1;
  RunResult r;
  r.scenario = "quickstart";
  r.description = "Groups of several kinds and a disconnect storm; compares the queue designs.";
  r.engine = engine;
  r.design.design = design;
  r.seed = 42;
  r.scale = static_cast<double>(times);
  r.repetition = repetition;
  r.repetitions = repetitions;
  r.durability = "os";
  r.ack_after = "log";
  r.payload = "reference";
  r.duration_seconds = seconds;
  r.wall_seconds = engine == Engine::live ? seconds + 9.5 : 12.25;
  r.deployment = {.servers = engine == Engine::live ? 1U : 55U,
                  .cores_per_server = 1,
                  .partitions = engine == Engine::live ? 4U : 256U,
                  .users = 2'000 * times,
                  .clients = 2'200 * times,
                  .channels = 14'062 * times};
  r.region = region();
  r.environment = {.clamor_version = "0.1.0",
                   .machine = "AMD EPYC, 2 cores",
                   .kernel = "Linux 6.1.0",
                   .started_utc = "2026-11-24T04:05:06Z",
                   .placement = "server on core 0, generator on core 1"};
  const auto n = static_cast<std::uint64_t>(seconds) * 200 * times;
  r.ledger = {.sent = n,
              .acknowledged = n,
              .resends = 12,
              .expected = 18 * n,
              .delivered = 18 * n,
              .gaps = 3,
              .redelivered = 17,
              .echoed = 41};
  r.ledger_complete = true;
  Operations& ops = r.operations;
  ops.records = n;
  ops.queue_entries = entries ? 25 * n : 0;
  ops.record_user_partition_pairs = entries ? 3 * n : 0;
  ops.expected_deliveries = 18 * n;
  ops.record_node_pairs = n;
  ops.live_deliveries = 14 * n;
  ops.catch_up_deliveries = 4 * n;
  ops.logins = 3'100 * times;
  ops.head_comparisons = 22 * ops.logins;
  ops.queue_scans = entries ? 900 * times : 0;
  ops.log_scans = entries ? 12 * times : 2'300 * times;
  ops.turns = 9'000 * times;
  ops.turn_ns = 8'000'000'000 * times;
  ops.frames_in = 6 * n;
  ops.bytes_in = 700 * n;
  ops.frames_out = 18 * n;
  ops.flushes = 11 * n;
  ops.bytes_out = 2'900 * n;
  ops.write_batches = n / 3;
  ops.log_bytes = 240 * n;
  ops.queue_batches = entries ? n / 4 : 0;
  ops.queue_bytes = entries ? 600 * n : 0;
  for (const GroupFacts& group : r.region.groups) {
    const auto count = static_cast<std::uint64_t>(4000 * group.message_share * group.members * 0.2);
    r.histograms[metric_key("delivery_latency", {{"group", group.name}, {"path", "live"}})] =
        latencies(count, entries ? 1.4e6 : 1.1e6);
    r.histograms[metric_key("delivery_latency", {{"group", group.name}, {"path", "catchup"}})] =
        latencies(count / 8, entries ? 1.1e7 : 1.5e7);
  }
  r.histograms["ack_latency"] = latencies(4000, entries ? 0.8e6 : 0.7e6);
  r.histograms["catch_up_latency"] = latencies(3000, entries ? 2.2e6 : 3.4e6);
  r.histograms["connect_time"] = latencies(3000, 0.9e6);
  for (int s = 1; s <= seconds; ++s) {
    const double storm = s > seconds / 2 && s < seconds / 2 + 5 ? 1.0 : 0.0;
    r.series.push_back({.t_seconds = static_cast<double>(s),
                        .connected = static_cast<std::uint64_t>((1700 - 380 * storm)) * times,
                        .sent_rate = 200.0 * static_cast<double>(times),
                        .ack_rate = 200.0 * static_cast<double>(times),
                        .delivery_rate = (3600 - 700 * storm) * static_cast<double>(times),
                        .delivery_p50_ns = static_cast<std::uint64_t>(1.2e6 + 2e6 * storm),
                        .delivery_p99_ns = static_cast<std::uint64_t>(9e6 + 6e7 * storm),
                        .server_cpu_share = 0.31 + 0.2 * storm + (entries ? 0.12 : 0),
                        .server_rss_bytes = 48'000'000,
                        .fan_out_lag = entries ? 14U : 0U,
                        .generator_lag_ns = 310'000});
  }
  r.marks = {{seconds / 2.0, "disconnect: 30 % of clients (reset)"}};
  r.server = {.cpu_seconds = (entries ? 8.2 : 4.1) * static_cast<double>(times) +
                             0.01 * repetition * (entries ? 1 : -1),
              .rss_max_bytes = 61'000'000,
              .device_write_bytes = (entries ? 9'400'000U : 2'100'000U) * times,
              .fan_out_lag_max = entries ? 220U : 0U};
  if (engine == Engine::live) {
    r.generator = {.workers = 1,
                   .sessions_asked = 2'200,
                   .sessions_opened = 2'200,
                   .cpu_seconds = 5.5,
                   .lag_p99_ns = 420'000,
                   .turn_p99_ns = 900'000,
                   .intervals = static_cast<std::uint32_t>(seconds),
                   .intervals_marked = 0};
  } else {
    r.sim = SimFacts{.events = 61'234'567,
                     .computed_recipients = 180'000'000,
                     .computed_heartbeats = 4'400'000,
                     .simulated_seconds = 20,
                     .cpu_seconds = 11.5,
                     .peak_rss_bytes = 900'000'000,
                     .calibration = "AMD EPYC, 2026-11-24"};
    r.result_hash = 0x1234'5678'9abc'def0;
  }
  r.thresholds = evaluate_thresholds({threshold("delivery_latency", 99, 250, "p(99)<250")}, r);
  return r;
}

}  // namespace clamor::report::sample
