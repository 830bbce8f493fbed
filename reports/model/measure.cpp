#include "reports/model/measure.hpp"

#include "server/base/assert.hpp"

namespace clamor::report {
namespace {

double to_double(std::uint64_t n) { return static_cast<double>(n); }

double per(double value, double of) { return of > 0 ? value / of : 0; }

double user_hours(const RunResult& run) {
  return to_double(run.deployment.users) * run.duration_seconds / 3600;
}

double quantile(const RunResult& run, const char* metric, double q) {
  return to_double(select_histogram(run, metric).quantile(q));
}

constexpr std::array all{
    Measure{Figure::server_cpu, "Server CPU per user-hour", "CPU-s/user-h", Quantity::cpu_seconds,
            Best::least,
            [](const RunResult& r) { return per(r.server.cpu_seconds, user_hours(r)); }},
    Measure{Figure::device_bytes, "Written to disk per user-hour", "disk/user-h", Quantity::bytes,
            Best::least,
            [](const RunResult& r) {
              return per(to_double(r.server.device_write_bytes), user_hours(r));
            }},
    Measure{Figure::catch_up_p50, "Catch-up after a reconnect, p50", "catch-up p50", Quantity::ns,
            Best::least, [](const RunResult& r) { return quantile(r, "catch_up_latency", 0.5); }},
    Measure{Figure::catch_up_p99, "Catch-up after a reconnect, p99", "catch-up p99", Quantity::ns,
            Best::least, [](const RunResult& r) { return quantile(r, "catch_up_latency", 0.99); }},
    Measure{Figure::recovery_p99, "From a fault to all current again, p99", "recovery p99",
            Quantity::ns, Best::least,
            [](const RunResult& r) { return quantile(r, "recovery_latency", 0.99); }},
    Measure{Figure::delivery_p50, "Delivery latency, p50", "delivery p50", Quantity::ns,
            Best::least, [](const RunResult& r) { return quantile(r, "delivery_latency", 0.5); }},
    Measure{Figure::delivery_p99, "Delivery latency, p99", "delivery p99", Quantity::ns,
            Best::least, [](const RunResult& r) { return quantile(r, "delivery_latency", 0.99); }},
    Measure{Figure::ack_p50, "Acknowledgement latency, p50", "ack p50", Quantity::ns, Best::least,
            [](const RunResult& r) { return quantile(r, "ack_latency", 0.5); }},
    Measure{Figure::ack_p99, "Acknowledgement latency, p99", "ack p99", Quantity::ns, Best::least,
            [](const RunResult& r) { return quantile(r, "ack_latency", 0.99); }},
    Measure{Figure::deliveries_per_cpu_second, "Deliveries per server CPU-second",
            "deliveries/CPU-s", Quantity::count, Best::most,
            [](const RunResult& r) {
              return per(to_double(r.operations.live_deliveries + r.operations.catch_up_deliveries),
                         r.server.cpu_seconds);
            }},
    Measure{Figure::entries_per_message, "Queue entries per message", "entries/message",
            Quantity::count, Best::neither,
            [](const RunResult& r) {
              const std::uint64_t sent = r.operations.records - r.operations.mode_records;
              return per(to_double(r.operations.queue_entries), to_double(sent));
            }},
    Measure{Figure::fan_out_lag, "Fan-out lag at most, records", "fan-out lag", Quantity::count,
            Best::neither, [](const RunResult& r) { return to_double(r.server.fan_out_lag_max); }},
};

}  // namespace

std::span<const Measure> measures() { return all; }

const Measure& measure_of(Figure figure) {
  const Measure& measure = all.at(static_cast<std::size_t>(figure));
  CLAMOR_ASSERT(measure.figure == figure);
  return measure;
}

double value_of(const RunResult& run, Figure figure) { return measure_of(figure).value(run); }

}  // namespace clamor::report
