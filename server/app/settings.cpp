#include "server/app/settings.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/design.hpp"
#include "scenarios/yaml/document.hpp"
#include "scenarios/yaml/reader.hpp"
#include "scenarios/yaml/values.hpp"
#include "server/base/hash.hpp"
#include "server/core/limits.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <utility>
#include <vector>

namespace clamor::server {
namespace {

using scenario::ConfigError;
using scenario::Faults;
using scenario::MapReader;
using scenario::Node;

constexpr std::uint32_t u32_max = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20U;

/// Text as a double-quoted YAML scalar.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::string tls_text(const Settings& settings) {
  if (!settings.tls) return "# tls: not set, connections are plain";
  return fmt::format("tls: {{certificate: {}, key: {}}}", quoted(settings.tls->certificate),
                     quoted(settings.tls->key));
}

void read_heartbeat(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "heartbeat"};
  map.read_duration("interval", settings.heartbeat_interval, 1ms, 24h);
  map.read_duration("offline_after", settings.offline_after, 1ms, 24h);
  map.read_duration("offline_delay", settings.offline_delay, Duration{}, 24h);
  map.finish();
  if (settings.offline_after <= settings.heartbeat_interval) {
    map.fault("offline_after",
              "offline_after must be longer than interval, or every idle session "
              "is closed between two heartbeats");
  }
}

void read_tls(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "tls"};
  tls::CertificateFiles files;
  for (const auto& [key, file] :
       {std::pair{"certificate", &files.certificate}, std::pair{"key", &files.key}}) {
    if (map.require(key) != nullptr) map.read_text(key, *file);
  }
  map.finish();
  settings.tls = files;
}

void read_login(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "login"};
  map.read_duration("resume_for", settings.resume_for, 1s, 24h * 366);
  map.finish();
}

void read_passwords(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "passwords"};
  map.read_duration("token_for", settings.token_for, 1s, 24h * 366);
  map.read_whole("hash_operations", settings.password_cost.operations,
                 token::password_cost_min.operations, token::password_cost_max.operations);
  map.read_whole("hash_memory_bytes", settings.password_cost.memory_bytes,
                 token::password_cost_min.memory_bytes, token::password_cost_max.memory_bytes);
  map.read_whole("threads", settings.password_threads, 1U, 64U);
  map.read_whole("waiting", settings.passwords_waiting_max, 1U, 100'000U);
  map.finish();
}

void read_log(Faults& faults, const Node& node, log::LogSettings& settings) {
  MapReader map{faults, node, "log"};
  map.read_choice<log::Level>("level", settings.level,
                              {{"debug", log::Level::debug},
                               {"info", log::Level::info},
                               {"warning", log::Level::warning},
                               {"error", log::Level::error}});
  map.read_choice<log::Format>("format", settings.format,
                               {{"text", log::Format::text}, {"json", log::Format::json}});
  map.finish();
}

void read_limits(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "limits"};
  map.read_whole("sessions", settings.sessions_max, 1U, u32_max);
  map.read_whole("message_bytes", settings.message_bytes_max, 1024U, 16U << 20U);
  map.read_whole("body_bytes", settings.body_bytes_max, 0U, 512U << 10U);
  map.read_whole("group_members", settings.group_members_max, 2U, 1'000'000U);
  map.read_whole("channels_per_user", settings.channels_per_user_max, 1U, 1'000'000U);
  map.read_whole("session_buffer_bytes", settings.session_buffer_bytes, 4096U, u32_max);
  map.read_duration("session_buffer_age", settings.session_buffer_age, 1ms);
  map.read_whole("commit_queue_bytes", settings.commit_queue_bytes, mebibyte, 4096 * mebibyte);
  map.read_whole("fan_out_lag_records", settings.fan_out_lag_records, 1,
                 std::numeric_limits<std::uint64_t>::max());
  map.read_whole("fan_out_lag_entries", settings.fan_out_lag_entries, 1,
                 std::numeric_limits<std::uint64_t>::max());
  map.read_whole("catch_up_held_records", settings.catch_up_held_records, 1U, 100'000U);
  map.read_whole("queue_entries", settings.queue_entries_max, 1,
                 std::numeric_limits<std::uint64_t>::max());
  map.read_duration("device_expires_after", settings.device_expires_after, 1s, 24h * 36'500);
  map.finish();
}

void read_admission(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "admission"};
  auto& age = settings.admission.age;
  map.read_duration("lossy_age", age[0], Duration{}, 1h);
  map.read_duration("login_age", age[1], Duration{}, 1h);
  map.read_duration("message_age", age[2], Duration{}, 1h);
  map.read_duration("sustained", settings.admission.sustained, Duration{}, 1min);
  map.finish();
  Duration before{};
  for (const auto& [key, limit] :
       {std::pair{"lossy_age", age[0]}, {"login_age", age[1]}, {"message_age", age[2]}}) {
    if (limit == Duration{}) continue;
    if (limit < before) {
      map.fault(key, fmt::format("{} is {}, below the {} of what is turned away before; expected "
                                 "lossy_age <= login_age <= message_age, or 0s for never",
                                 key, scenario::format_duration(limit),
                                 scenario::format_duration(before)));
    }
    before = limit;
  }
}

void read_rate(Faults& faults, MapReader& map, std::string_view key, core::Rate& rate) {
  const Node* const node = map.find(key);
  if (node == nullptr) return;
  MapReader one{faults, *node, std::string{key}};
  one.read_whole("per_second", rate.per_second, 0U, 1'000'000U);
  one.read_whole("burst", rate.burst, 1U, 1'000'000U);
  one.finish();
}

void read_rates(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "rates"};
  read_rate(faults, map, "sends", settings.send_rate);
  read_rate(faults, map, "requests", settings.request_rate);
  read_rate(faults, map, "connections", settings.connection_rate);
  map.finish();
}

void read_drain(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "drain"};
  map.read_duration("period", settings.drain.period, Duration{}, 1h);
  map.read_duration("reconnect_from", settings.drain.reconnect_from, Duration{}, 1h);
  map.read_duration("reconnect_to", settings.drain.reconnect_to, 1ms, 1h);
  map.finish();
  if (settings.drain.reconnect_to < settings.drain.reconnect_from) {
    map.fault("reconnect_to",
              "reconnect_to must not be before reconnect_from: clients come back "
              "at a random time in between");
  }
}

void read_retention(Faults& faults, const Node& node, core::Retention& retention) {
  MapReader map{faults, node, "retention"};
  map.read_whole("records", retention.records, 1, std::numeric_limits<std::uint64_t>::max());
  map.read_duration("age", retention.age, 1s, 24h * 36'500);
  map.finish();
}

std::string retention_text(const core::Retention& retention) {
  if (retention.keeps_all()) return "# retention: not set, logs are kept whole";
  std::vector<std::string> rules;
  if (retention.records != 0) rules.push_back(fmt::format("records: {}", retention.records));
  if (retention.age != Duration{}) {
    rules.push_back("age: " + scenario::format_duration(retention.age));
  }
  return fmt::format("retention: {{{}}}", fmt::join(rules, ", "));
}

void read_catch_up(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "catch_up"};
  std::uint32_t records = static_cast<std::uint32_t>(settings.page.records);
  std::uint32_t bytes = static_cast<std::uint32_t>(settings.page.bytes);
  map.read_whole("page_records", records, 1U, 10'000U);
  map.read_whole("page_bytes", bytes, 1U, 512U << 10U);
  settings.page = {records, bytes};
  map.read_whole("tail_records", settings.tail_records, 0U, 10'000U);
  map.read_duration("tail_age", settings.tail_age, Duration{}, 10min);
  map.finish();
}

void read_store(Faults& faults, const Node& node, Settings& settings) {
  MapReader map{faults, node, "store"};
  map.read_duration("queue_linger", settings.queue_linger, Duration{}, 10s);
  map.read_whole("queue_flush_records", settings.queue_flush_records, 1, 1'000'000'000);
  map.read_duration("queue_flush_after", settings.queue_flush_after, 1ms, 24h);
  map.read_whole("block_cache_bytes", settings.block_cache_bytes, mebibyte, mebibyte << 20U);
  map.read_whole("write_buffer_bytes", settings.write_buffer_bytes, mebibyte, 4096 * mebibyte);
  map.finish();
}

void read_listen(MapReader& map, Settings& settings) {
  std::string listen;
  if (!map.read_text("listen", listen)) return;
  if (!settings.places.empty()) {
    map.fault("listen", "listen stands beside a list of nodes, which names an address of each");
  } else if (const auto address = parse_address(listen)) {
    settings.listen = *address;
  } else {
    map.fault("listen", fmt::format("listen is \"{}\"; {}", listen, address_expected));
  }
}

/// A number, where this process hosts all; else the list of them, and which ones it hosts.
void read_nodes(Faults& faults, MapReader& map, Settings& settings) {
  const Node* const nodes = map.find("nodes");
  if (nodes != nullptr && nodes->kind == Node::Kind::sequence) {
    read_places(faults, *nodes, settings.places);
    settings.nodes = static_cast<std::uint32_t>(settings.places.size());
  } else {
    map.read_whole("nodes", settings.nodes, 1U, core::nodes_of_a_process_max);
  }
  map.read_list("host", [&](const Node& item) {
    std::uint64_t node = 0;
    if (!scenario::read_whole(faults, item, "a hosted node", node, 0, core::nodes_max - 1)) return;
    settings.hosts.push_back({static_cast<std::uint32_t>(node)});
  });
  std::sort(settings.hosts.begin(), settings.hosts.end());
}

void read_all(Faults& faults, const Node& root, Settings& settings) {
  MapReader map{faults, root, "the settings"};
  read_nodes(faults, map, settings);
  read_listen(map, settings);
  map.read_text("data", settings.data);
  if (map.read_text("secret", settings.secret) && settings.secret.size() < secret_bytes_min) {
    map.fault("secret", fmt::format("secret has {} characters; expected a random text of at least "
                                    "{}, e.g. the output of `openssl rand -hex 32`",
                                    settings.secret.size(), secret_bytes_min));
  }
  map.read_choice<store::Durability>(
      "durability", settings.durability,
      {{"fsync", store::Durability::fsync}, {"os", store::Durability::os}});
  map.read_choice<Threads>("threads", settings.threads,
                           {{"free", Threads::free}, {"pinned", Threads::pinned}});
  map.read_choice<AckAfter>("ack_after", settings.ack_after,
                            {{"log", AckAfter::log}, {"fanout", AckAfter::fanout}});
  map.read_choice<QueuePayload>(
      "payload", settings.payload,
      {{"reference", QueuePayload::reference}, {"copy", QueuePayload::copy}});
  if (const Node* const node = map.find("design"))
    scenario::read_design(faults, *node, settings.design);
  if (const Node* const node = map.find("tls")) read_tls(faults, *node, settings);
  if (const Node* const node = map.find("log")) read_log(faults, *node, settings.log);
  if (const Node* const node = map.find("login")) read_login(faults, *node, settings);
  if (const Node* const node = map.find("passwords")) read_passwords(faults, *node, settings);
  if (const Node* const node = map.find("heartbeat")) read_heartbeat(faults, *node, settings);
  if (const Node* const node = map.find("limits")) read_limits(faults, *node, settings);
  if (const Node* const node = map.find("admission")) read_admission(faults, *node, settings);
  if (const Node* const node = map.find("rates")) read_rates(faults, *node, settings);
  if (const Node* const node = map.find("drain")) read_drain(faults, *node, settings);
  if (const Node* const node = map.find("retention")) {
    read_retention(faults, *node, settings.retention);
  }
  if (const Node* const node = map.find("catch_up")) read_catch_up(faults, *node, settings);
  if (const Node* const node = map.find("store")) read_store(faults, *node, settings);
  map.finish();
}

std::string sessions_text(const Settings& settings) {
  if (settings.sessions_max != 0) return fmt::format("sessions: {}", settings.sessions_max);
  return "# sessions: as many as the process may open files, 18000 at most";
}

std::string rate_text(const core::Rate& rate) {
  return fmt::format("{{per_second: {}, burst: {}}}", rate.per_second, rate.burst);
}

/// Who listens where.
std::string print_nodes(const Settings& settings) {
  if (settings.places.empty()) {
    return fmt::format("listen: \"{}\"\nnodes: {}\n", print_address(settings.listen),
                       settings.nodes);
  }
  std::string text = "nodes:\n";
  for (const NodePlace& place : settings.places) {
    text += fmt::format("  - {{listen: \"{}\", bus: \"{}\"}}\n", print_address(place.listen),
                        print_address(place.bus));
  }
  std::vector<std::uint32_t> hosts;
  for (const NodeId node : settings.hosts) hosts.push_back(node.value);
  return text + fmt::format("host: [{}]\n", fmt::join(hosts, ", "));
}

/// Two nodes of one host cannot listen at the same address; those of different hosts may.
void check_listens(std::vector<std::string>& faults, const Settings& settings) {
  for (const NodeId node : settings.hosts) {
    const Address& own = settings.places[node.value].listen;
    if (own.port == 0) continue;
    for (const NodeId other : settings.hosts) {
      const NodePlace& place = settings.places[other.value];
      const bool is_bus = place.bus == own;
      if (!is_bus && (other <= node || place.listen != own)) continue;
      faults.push_back(
          fmt::format("`listen` of node {} in the list and `{}` of node {} are both "
                      "{}; expected addresses that differ in one process",
                      node.value, is_bus ? "bus" : "listen", other.value, print_address(own)));
    }
  }
}

}  // namespace

Settings read_settings(const std::string& path) {
  const std::string text = scenario::value_or_throw(scenario::read_text_file(path));
  const Node root = scenario::value_or_throw(scenario::parse_yaml(text, path));
  Faults faults{path};
  Settings settings;
  read_all(faults, root, settings);
  if (!faults.none()) throw ConfigError{faults.lines()};
  return settings;
}

void set_listen(Settings& settings, const std::string& text, const std::string& origin) {
  const auto address = parse_address(text);
  if (!address) throw ConfigError{{fmt::format("{}: \"{}\"; {}", origin, text, address_expected)}};
  settings.listen = *address;
}

std::vector<NodeId> hosted(const Settings& settings) {
  if (!settings.places.empty()) return settings.hosts;
  std::vector<NodeId> all;
  for (std::uint32_t node = 0; node < settings.nodes; ++node) all.push_back({node});
  return all;
}

Address listen_of(const Settings& settings, NodeId node) {
  if (!settings.places.empty()) return settings.places[node.value].listen;
  Address address = settings.listen;
  if (address.port != 0) address.port = static_cast<std::uint16_t>(address.port + node.value);
  return address;
}

std::vector<std::string> faults_of(const Settings& settings) {
  std::vector<std::string> faults;
  if (settings.places.empty()) {
    if (!settings.hosts.empty()) {
      faults.emplace_back(
          "--host (`host` in the settings) says which of several processes this one is; expected a "
          "list of all nodes, `nodes: [{listen: ADDRESS:PORT, bus: ADDRESS:PORT}, ...]`, in the "
          "file given by --config");
    }
    if (settings.listen.port != 0 && settings.listen.port + settings.nodes - 1 > 65'535) {
      faults.push_back(
          fmt::format("{} nodes listen on consecutive ports from {} on, beyond 65535; "
                      "--listen names a lower one",
                      settings.nodes, settings.listen.port));
    }
    return faults;
  }
  if (settings.hosts.empty()) {
    faults.push_back(
        fmt::format("the settings list {} nodes, and none that this process hosts; "
                    "expected --host 0, or `host: [0]` in the settings",
                    settings.nodes));
  }
  if (settings.hosts.size() > core::nodes_of_a_process_max) {
    faults.push_back(fmt::format("--host names {} nodes; expected at most {} in one process",
                                 settings.hosts.size(), core::nodes_of_a_process_max));
  }
  for (std::size_t i = 0; i < settings.hosts.size(); ++i) {
    const NodeId node = settings.hosts[i];
    if (node.value >= settings.nodes) {
      faults.push_back(fmt::format("--host names node {}, but the settings list {}, from 0 on",
                                   node.value, settings.nodes));
    }
    if (i != 0 && settings.hosts[i - 1] == node) {
      faults.push_back(fmt::format("--host names node {} twice", node.value));
    }
  }
  if (faults.empty()) check_listens(faults, settings);
  return faults;
}

std::uint64_t rate_seed(const std::string& secret) {
  std::uint64_t seed = 0;
  for (const char c : secret) seed = combine64(seed, static_cast<unsigned char>(c));
  return seed;
}

std::string layout_of(const DesignSpec& design) {
  // Whether members have queues is in the log, whatever the window was.
  if (design.design != QueueDesign::hybrid) return std::string{name_of(design.design)};
  return fmt::format("hybrid up to {} members", design.threshold);
}

std::string print_settings(const Settings& s) {
  const auto text = [](Duration duration) { return scenario::format_duration(duration); };
  const std::string design = scenario::design_yaml(s.design);
  return print_nodes(s) +
         fmt::format(
             R"(data: {}
# secret: {}
threads: {}
design: {}
durability: {}
ack_after: {}
payload: {}
{}
log: {{level: {}, format: {}}}
login: {{resume_for: {}}}
passwords:
  token_for: {}
  hash_operations: {}
  hash_memory_bytes: {}
  threads: {}
  waiting: {}
heartbeat: {{interval: {}, offline_after: {}, offline_delay: {}}}
limits:
  {}
  message_bytes: {}
  body_bytes: {}
  group_members: {}
  channels_per_user: {}
  session_buffer_bytes: {}
  session_buffer_age: {}
  commit_queue_bytes: {}
  fan_out_lag_records: {}
  fan_out_lag_entries: {}
  catch_up_held_records: {}
  queue_entries: {}
  device_expires_after: {}
admission:
  lossy_age: {}
  login_age: {}
  message_age: {}
  sustained: {}
rates:
  sends: {}
  requests: {}
  connections: {}
drain: {{period: {}, reconnect_from: {}, reconnect_to: {}}}
{}
catch_up:
  page_records: {}
  page_bytes: {}
  tail_records: {}
  tail_age: {}
store:
  queue_linger: {}
  queue_flush_records: {}
  queue_flush_after: {}
  block_cache_bytes: {}
  write_buffer_bytes: {}
)",
             quoted(s.data), s.secret.empty() ? "not set" : "set, not shown",
             s.threads == Threads::pinned ? "pinned" : "free", design,
             s.durability == store::Durability::fsync ? "fsync" : "os", name_of(s.ack_after),
             name_of(s.payload), tls_text(s), log::name_of(s.log.level), log::name_of(s.log.format),
             text(s.resume_for), text(s.token_for), s.password_cost.operations,
             s.password_cost.memory_bytes, s.password_threads, s.passwords_waiting_max,
             text(s.heartbeat_interval), text(s.offline_after), text(s.offline_delay),
             sessions_text(s), s.message_bytes_max, s.body_bytes_max, s.group_members_max,
             s.channels_per_user_max, s.session_buffer_bytes, text(s.session_buffer_age),
             s.commit_queue_bytes, s.fan_out_lag_records, s.fan_out_lag_entries,
             s.catch_up_held_records, s.queue_entries_max, text(s.device_expires_after),
             text(s.admission.age[0]), text(s.admission.age[1]), text(s.admission.age[2]),
             text(s.admission.sustained), rate_text(s.send_rate), rate_text(s.request_rate),
             rate_text(s.connection_rate), text(s.drain.period), text(s.drain.reconnect_from),
             text(s.drain.reconnect_to), retention_text(s.retention), s.page.records, s.page.bytes,
             s.tail_records, text(s.tail_age), text(s.queue_linger), s.queue_flush_records,
             text(s.queue_flush_after), s.block_cache_bytes, s.write_buffer_bytes);
}

}  // namespace clamor::server
