#include "server/app/metrics.hpp"

#include "server/protocol/codec.hpp"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <fstream>
#include <sstream>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace clamor::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using protocol::RefusalCode;

std::string_view name_of(RefusalCode code) {
  switch (code) {
    case RefusalCode::malformed:
      return "malformed";
    case RefusalCode::not_logged_in:
      return "not_logged_in";
    case RefusalCode::bad_token:
      return "bad_token";
    case RefusalCode::unsupported_version:
      return "unsupported_version";
    case RefusalCode::already_logged_in:
      return "already_logged_in";
    case RefusalCode::no_such_channel:
      return "no_such_channel";
    case RefusalCode::not_member:
      return "not_member";
    case RefusalCode::already_member:
      return "already_member";
    case RefusalCode::channel_exists:
      return "channel_exists";
    case RefusalCode::body_too_large:
      return "body_too_large";
    case RefusalCode::group_too_large:
      return "group_too_large";
    case RefusalCode::client_message_id_gap:
      return "client_message_id_gap";
    case RefusalCode::client_message_id_too_old:
      return "client_message_id_too_old";
    case RefusalCode::too_many_pending:
      return "too_many_pending";
    case RefusalCode::overloaded:
      return "overloaded";
    case RefusalCode::shutting_down:
      return "shutting_down";
    case RefusalCode::store_failed:
      return "store_failed";
    case RefusalCode::unavailable:
      return "unavailable";
    case RefusalCode::no_such_message:
      return "no_such_message";
    case RefusalCode::not_allowed:
      return "not_allowed";
    case RefusalCode::too_many_edits:
      return "too_many_edits";
    case RefusalCode::too_many_mentions:
      return "too_many_mentions";
    case RefusalCode::too_many_channels:
      return "too_many_channels";
    case RefusalCode::too_many_subscriptions:
      return "too_many_subscriptions";
    case RefusalCode::too_many_requests:
      return "too_many_requests";
    case RefusalCode::wrong_password:
      return "wrong_password";
  }
  return "";
}

/// Builds families one after the other.
class Families {
 public:
  Families& counter(std::string name, std::string help, double value) {
    begin_counter(std::move(name), std::move(help));
    families_.back().metric.emplace_back().counter.value = value;
    return *this;
  }
  Families& gauge(std::string name, std::string help, double value) {
    families_.push_back({std::move(name), std::move(help), MetricType::Gauge, {}});
    families_.back().metric.emplace_back().gauge.value = value;
    return *this;
  }
  void begin_counter(std::string name, std::string help) {
    families_.push_back({std::move(name), std::move(help), MetricType::Counter, {}});
  }
  void begin_gauge(std::string name, std::string help) {
    families_.push_back({std::move(name), std::move(help), MetricType::Gauge, {}});
  }
  /// Adds a sample to the gauge that was begun last.
  void labelled_gauge(std::string_view label, std::string_view of, double value) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label.push_back({std::string{label}, std::string{of}});
    metric.gauge.value = value;
  }
  /// Adds a sample to the family that was begun last.
  void labelled(std::string_view label, std::string_view of, std::uint64_t value) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    if (!label.empty()) metric.label.push_back({std::string{label}, std::string{of}});
    metric.counter.value = static_cast<double>(value);
  }
  void info(std::string name, std::string help, std::vector<ClientMetric::Label> labels) {
    families_.push_back({std::move(name), std::move(help), MetricType::Gauge, {}});
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    metric.gauge.value = 1;
  }
  [[nodiscard]] std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

double number(std::uint64_t value) { return static_cast<double>(value); }

void add_operations(const Operations& operations, Families& out) {
  for (const OperationCounter& counter : operation_counters) {
    // A server sees devices only once they log in; the plan knows how many deliveries are owed.
    if (counter.member == &Operations::expected_deliveries) continue;
    out.counter("clamor_" + std::string{counter.name} + "_total",
                "Operation counted by the server (" + std::string{name_of(counter.counter_class)} +
                    "); see server/base/operations.hpp.",
                number(operations.*counter.member));
  }
}

void add_incidents(const NodeMetrics& metrics, Families& out) {
  const Incidents& incidents = metrics.incidents;
  out.begin_counter("clamor_refused_total", "Requests refused, by code.");
  for (std::size_t i = 1; i < incidents.refused.size(); ++i) {
    out.labelled("code", name_of(static_cast<RefusalCode>(i)), incidents.refused[i]);
  }
  out.begin_counter("clamor_malformed_total", "Messages that did not decode, by error.");
  for (std::size_t i = 1; i < incidents.malformed.size(); ++i) {
    out.labelled("error", protocol::name_of(static_cast<protocol::DecodeError>(i)),
                 incidents.malformed[i]);
  }
  out.begin_counter("clamor_logins_accepted_total", "Logins accepted, by what proved the user.");
  out.labelled("by", "login_token", incidents.token_logins);
  out.labelled("by", "resume_token", incidents.resumed_logins);
  out.begin_counter("clamor_passwords_checked_total", "Passwords that were checked, by verdict.");
  out.labelled("verdict", "right", incidents.passwords_right);
  out.labelled("verdict", "wrong", incidents.passwords_wrong);
  out.counter("clamor_accounts_set_total", "Accounts set or removed by an operator.",
              number(incidents.accounts_set))
      .counter("clamor_password_cpu_seconds_total", "CPU time of hashing passwords.",
               metrics.password_seconds);
  out.counter("clamor_sessions_superseded_total", "Sessions closed by a newer login of the device.",
              number(incidents.superseded))
      .counter("clamor_catch_up_overflows_total",
               "Catch-ups that went another round: too much came in meanwhile.",
               number(incidents.catch_up_overflows))
      .counter("clamor_fell_behind_total",
               "Live sessions that catch up: their clients read slower than they are sent to.",
               number(incidents.fell_behind))
      .counter("clamor_catch_up_failures_total", "Catch-ups ended by a store that cannot be read.",
               number(incidents.catch_up_failures))
      .counter("clamor_append_failures_total", "Log batches that failed.",
               number(incidents.append_failures))
      .counter("clamor_queue_write_failures_total", "Queue batches that failed; tried again.",
               number(incidents.queue_write_failures))
      .counter("clamor_rebuilds_total", "Rebuilds of the state from the log after a failed append.",
               number(incidents.rebuilds))
      .counter("clamor_fan_out_redone_records_total",
               "Records whose durable fan-out was planned anew at the start or by a rebuild.",
               number(incidents.fan_out_redone_records))
      .counter("clamor_repairs_total", "Gaps of live fan-out that were read from a channel's log.",
               number(incidents.repairs))
      .counter("clamor_devices_expired_total",
               "Devices silent for too long: queues do not wait for them, the log serves them.",
               number(incidents.devices_expired))
      .counter("clamor_queues_expired_total",
               "Users whose queues were dropped, longer than their bound: the log serves them.",
               number(incidents.queues_expired))
      .counter("clamor_expired_deliveries_total",
               "Records of which devices were told that they can have them no more.",
               number(incidents.expired_deliveries))
      .counter("clamor_log_records_trimmed_total", "Records that retention let go of the log.",
               number(incidents.log_records_trimmed))
      .counter("clamor_log_trims_total",
               "Beginnings of channels' logs that a checkpoint stands for since.",
               number(incidents.log_trims))
      .counter("clamor_log_trim_failures_total", "Trims of logs that failed; tried again.",
               number(incidents.log_trim_failures))
      .counter("clamor_pages_total", "Catch-up pages sent.", number(incidents.pages))
      .counter("clamor_typing_dropped_total",
               "Typing notices that came too soon after another one of the session.",
               number(incidents.typing_dropped))
      .counter("clamor_presence_put_off_total",
               "Presence notices to sessions that could not take them: the latest follow.",
               number(incidents.presence_put_off))
      .counter("clamor_presence_not_watched_total",
               "Subscriptions passed over: too many sessions of the node watch the user.",
               number(incidents.presence_not_watched))
      .counter("clamor_reads_dropped_total",
               "Read cursors beyond the rate of requests, or what other nodes keep up with.",
               number(incidents.reads_dropped));
}

/// Counters of one name follow one another: labels make one family of them.
void add_gateway(const gateway::GatewayCounters& counters, Families& out) {
  std::string_view family;
  for (const gateway::NamedCounter& counter : gateway::named(counters)) {
    if (counter.name != family) {
      out.begin_counter("clamor_gateway_" + std::string{counter.name} + "_total",
                        "Counted at the sockets; see server/gateway/counters.hpp.");
      family = counter.name;
    }
    out.labelled(counter.label, counter.label_value, counter.value);
  }
}

void add_bus(const NodeMetrics& metrics, Families& out) {
  out.counter("clamor_bus_messages_sent_total", "Messages sent to other nodes that were up.",
              number(metrics.bus_messages_sent))
      .counter("clamor_bus_messages_received_total", "Messages received from other nodes.",
               number(metrics.bus_messages_received));
}

void add_gauges(const NodeMetrics& metrics, Families& out) {
  out.gauge("clamor_connections", "Sockets past the WebSocket handshake.",
            number(metrics.connections))
      .gauge("clamor_sessions", "Sessions logged in.", number(metrics.sessions))
      .gauge("clamor_channels", "Channels known.", number(metrics.channels))
      .gauge("clamor_commits_pending", "Commits not durable yet.", number(metrics.commits_pending))
      .gauge("clamor_commit_queue_bytes", "Memory of commits not durable yet.",
             number(metrics.commit_queue_bytes))
      .gauge("clamor_fan_out_lag_records", "Durable records whose queue entries are not applied.",
             number(metrics.fan_out_lag_records))
      .gauge("clamor_fan_out_lag_entries", "Planned queue entries in memory, not applied yet.",
             number(metrics.fan_out_lag_entries))
      .gauge("clamor_queue_writer_backlog", "Commits whose queue entries are not applied.",
             number(metrics.queue_writer_backlog))
      .gauge("clamor_pages_due", "Sessions that wait for a catch-up page.",
             number(metrics.pages_due))
      .gauge("clamor_presence_rows", "Users whose presence this owner keeps: who is watched.",
             number(metrics.presence_rows))
      .gauge("clamor_presence_looks", "Absences of such users that are to be looked at again.",
             number(metrics.presence_looks))
      .gauge("clamor_presence_due",
             "Sessions that are still to be told who is there, and what they ask for.",
             number(metrics.presence_due))
      .gauge("clamor_passwords_waiting", "Passwords that wait to be hashed, or are being hashed.",
             number(metrics.passwords_waiting))
      .gauge("clamor_nodes_up", "Nodes of the deployment that this one reaches, itself included.",
             number(metrics.nodes_up))
      .gauge("clamor_store_block_cache_bytes", "Memory budget of the store's block cache.",
             number(metrics.block_cache_bytes))
      .gauge("clamor_store_write_buffers_bytes",
             "Memory budget of the store's write buffers, all column families together.",
             number(metrics.write_buffers_bytes))
      .gauge("clamor_store_failed", "1 while the log cannot be appended to.",
             metrics.store_failed ? 1 : 0)
      .gauge("clamor_store_writes_stopped",
             "1 while RocksDB holds writes back until its flushes or compactions catch up.",
             metrics.store_writes_stopped ? 1 : 0);
}

/// Every queue of the node, so that what grows can be seen, and that nothing grows without bound.
void add_queues(const NodeMetrics& metrics, Families& out) {
  const gateway::GatewayQueues& queues = metrics.queues;
  out.gauge("clamor_gateway_accept_queue", "Connections that are not accepted yet.",
            number(queues.accept))
      .gauge("clamor_gateway_handshakes", "Connections before or without a WebSocket handshake.",
             number(queues.handshakes))
      .gauge("clamor_gateway_tls_handshakes", "TLS handshakes under way.",
             number(queues.tls_handshakes))
      .gauge("clamor_gateway_sockets", "Sockets of sessions, closing ones included.",
             number(queues.sockets))
      .gauge("clamor_gateway_partial_messages", "Sessions that have sent part of a message.",
             number(queues.partial))
      .gauge("clamor_gateway_output_bytes", "Bytes that wait for the sockets of sessions.",
             number(queues.output_bytes))
      .gauge("clamor_gateway_output_bytes_most", "The same of the session with most.",
             number(queues.output_bytes_most))
      .gauge("clamor_gateway_late_pongs", "Pongs that wait for clients that read too slowly.",
             number(queues.late_pongs))
      .gauge("clamor_logins_waiting", "Sessions without a login, or whose login is not answered.",
             number(metrics.logins_waiting))
      .gauge("clamor_catch_up_held_frames", "Frames that wait for the last pages of catch-ups.",
             number(metrics.catch_up_held))
      .gauge("clamor_catch_up_held_frames_most", "The same of the session with most.",
             number(metrics.catch_up_held_most))
      .gauge("clamor_acks_held", "Acks that wait for records of their channels.",
             number(metrics.acks_held))
      .gauge("clamor_acks_due", "Acks that wait for queue entries.", number(metrics.acks_due))
      .gauge("clamor_bus_inbox_messages", "Messages of nodes of this process, not taken yet.",
             number(metrics.bus_inbox_messages))
      .gauge("clamor_bus_backlog_messages",
             "Messages that wait for the node of this process for which most do.",
             number(metrics.bus_backlog.messages))
      .gauge("clamor_bus_backlog_bytes", "Bytes that wait for the link for which most do.",
             number(metrics.bus_backlog.bytes));
  out.begin_gauge("clamor_rate_buckets", "Users and addresses with less than their full burst.");
  out.labelled_gauge("of", "sends", number(metrics.send_buckets));
  out.labelled_gauge("of", "requests", number(metrics.request_buckets));
  out.labelled_gauge("of", "connections", number(queues.connection_buckets));
}

void add_load(const NodeMetrics& metrics, Families& out) {
  out.begin_gauge(
      "clamor_queue_age_seconds",
      "How long the oldest of what waits has waited, as the last turn began: input that "
      "is not read, commits that are not durable, what came as the turn before began.");
  out.labelled_gauge("queue", "input", to_seconds(metrics.age.input));
  out.labelled_gauge("queue", "committer", to_seconds(metrics.age.committer));
  out.labelled_gauge("queue", "turn", to_seconds(metrics.age.turn));
  out.begin_gauge("clamor_admission_closed", "1 while the class is turned away for load.");
  for (std::size_t i = 0; i < core::message_class_count; ++i) {
    out.labelled_gauge("class", core::name_of(static_cast<core::MessageClass>(i)),
                       metrics.admission.gates[i].closed ? 1 : 0);
  }
}

void add_process(const ProcessUsage& usage, Families& out) {
  out.counter("clamor_process_cpu_seconds_total", "CPU time of all threads.", usage.cpu_seconds)
      .gauge("clamor_process_resident_bytes", "Resident memory.", number(usage.resident_bytes))
      .gauge("clamor_process_id", "Process: nodes in one have the same process metrics.",
             static_cast<double>(getpid()))
      .counter("clamor_process_written_bytes_total",
               "Bytes this process caused to be written to devices.", number(usage.written_bytes));
}

/// One scrape, as prometheus-cpp sees it.
class Scrape final : public prometheus::Collectable {
 public:
  explicit Scrape(const NodeMetrics& metrics) : metrics_{metrics} {}

  [[nodiscard]] std::vector<MetricFamily> Collect() const override {
    Families families;
    families.info(
        "clamor_build_info", "The server's version and mode of operation.",
        {{"version", "0.1.0"}, {"design", metrics_.design}, {"durability", metrics_.durability}});
    add_operations(metrics_.operations, families);
    add_incidents(metrics_, families);
    add_gateway(metrics_.gateway, families);
    add_bus(metrics_, families);
    add_gauges(metrics_, families);
    add_queues(metrics_, families);
    add_load(metrics_, families);
    add_process(process_usage(), families);
    return families.take();
  }

 private:
  const NodeMetrics& metrics_;
};

}  // namespace

std::string render_metrics(const NodeMetrics& metrics) {
  std::ostringstream out;
  prometheus::TextSerializer{}.Serialize(out, Scrape{metrics}.Collect());
  return std::move(out).str();
}

ProcessUsage process_usage() {
  ProcessUsage usage;
  rusage resources{};
  if (getrusage(RUSAGE_SELF, &resources) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    usage.cpu_seconds = seconds(resources.ru_utime) + seconds(resources.ru_stime);
  }
  std::uint64_t pages_total = 0;
  std::uint64_t pages_resident = 0;
  std::ifstream memory{"/proc/self/statm"};
  if (memory >> pages_total >> pages_resident) {
    usage.resident_bytes = pages_resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  std::ifstream io{"/proc/self/io"};
  std::string key;
  std::uint64_t value = 0;
  while (io >> key >> value) {
    if (key == "write_bytes:") usage.written_bytes = value;
  }
  return usage;
}

}  // namespace clamor::server
