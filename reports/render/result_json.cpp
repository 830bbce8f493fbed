#include "reports/render/result_json.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace clamor::report {
namespace {

using Json = nlohmann::ordered_json;

/// 64 bits as 16 hex digits: JSON numbers are doubles to many readers.
template <class T>
struct Hex {
  T& value;
};

// One list of fields per type serves both directions: a Writer or a Reader visits it, so that what
// is written is what is read.
template <class T, class V>
void fields(T& p, V&& v) requires std::is_same_v<std::remove_const_t<T>, SeriesPoint> {
  v("t_seconds", p.t_seconds), v("connected", p.connected), v("sent_rate", p.sent_rate);
  v("ack_rate", p.ack_rate), v("delivery_rate", p.delivery_rate);
  v("delivery_p50_ns", p.delivery_p50_ns), v("delivery_p99_ns", p.delivery_p99_ns);
  v("server_cpu_share", p.server_cpu_share), v("server_rss_bytes", p.server_rss_bytes);
  v("fan_out_lag_records", p.fan_out_lag), v("generator_lag_ns", p.generator_lag_ns);
  v("marked", p.marked);
}
template <class T, class V>
void fields(T& t, V&& v) requires std::is_same_v<std::remove_const_t<T>, ThresholdOutcome> {
  v("metric", t.metric), v("expression", t.expression), v("observed", t.observed);
  v("unknown_because", t.unknown_because), v("passed", t.passed), v("implicit", t.implicit);
}
template <class T, class V>
void fields(T& g, V&& v) requires std::is_same_v<std::remove_const_t<T>, GroupFacts> {
  v("name", g.name), v("channels", g.channels), v("members", g.members), v("online", g.online);
  v("message_share", g.message_share);
}
template <class T, class V>
void fields(T& r, V&& v) requires std::is_same_v<std::remove_const_t<T>, Region> {
  v("groups", r.groups), v("online", r.online), v("channels_per_user", r.channels_per_user);
  v("reconnects_per_user_hour", r.reconnects_per_user_hour);
  v("messages_per_user_hour", r.messages_per_user_hour);
}
template <class T, class V>
void fields(T& d, V&& v) requires std::is_same_v<std::remove_const_t<T>, DeploymentFacts> {
  v("servers", d.servers), v("cores_per_server", d.cores_per_server);
  v("partitions", d.partitions), v("users", d.users), v("clients", d.clients);
  v("channels", d.channels);
}
template <class T, class V>
void fields(T& b, V&& v) requires std::is_same_v<std::remove_const_t<T>, Budget> {
  v("block_cache_bytes", b.block_cache_bytes), v("write_buffer_bytes", b.write_buffer_bytes);
}
template <class T, class V>
void fields(T& p, V&& v) requires std::is_same_v<std::remove_const_t<T>, Prefill> {
  v("records", p.records), v("queue_entries", p.queue_entries), v("bytes", p.bytes);
}
template <class T, class V>
void fields(T& s, V&& v) requires std::is_same_v<std::remove_const_t<T>, ServerFacts> {
  v("cpu_seconds", s.cpu_seconds), v("rss_max_bytes", s.rss_max_bytes);
  v("device_write_bytes", s.device_write_bytes), v("fan_out_lag_max_records", s.fan_out_lag_max);
}
template <class T, class V>
void fields(T& g, V&& v) requires std::is_same_v<std::remove_const_t<T>, GeneratorFacts> {
  v("workers", g.workers), v("sessions_asked", g.sessions_asked);
  v("sessions_opened", g.sessions_opened), v("cpu_seconds", g.cpu_seconds);
  v("lag_p99_ns", g.lag_p99_ns), v("turn_p99_ns", g.turn_p99_ns), v("intervals", g.intervals);
  v("intervals_marked", g.intervals_marked), v("presence_notices", g.presence_notices);
}
template <class T, class V>
void fields(T& s, V&& v) requires std::is_same_v<std::remove_const_t<T>, SimFacts> {
  v("events", s.events), v("computed_recipients", s.computed_recipients);
  v("computed_heartbeats", s.computed_heartbeats), v("simulated_seconds", s.simulated_seconds);
  v("cpu_seconds", s.cpu_seconds), v("peak_rss_bytes", s.peak_rss_bytes);
  v("calibration", s.calibration);
}
template <class T, class V>
void fields(T& e, V&& v) requires std::is_same_v<std::remove_const_t<T>, Environment> {
  v("clamor_version", e.clamor_version), v("machine", e.machine), v("kernel", e.kernel);
  v("started_utc", e.started_utc), v("placement", e.placement), v("path", e.path);
  v("command", e.command);
}
template <class T, class V>
void fields(T& r, V&& v) requires std::is_same_v<std::remove_const_t<T>, RunResult> {
  v("scenario", r.scenario), v("description", r.description), v("engine", r.engine);
  v("design", r.design), v("seed", r.seed), v("scale", r.scale), v("repetition", r.repetition);
  v("repetitions", r.repetitions), v("order", r.order), v("twin", r.twin);
  v("durability", r.durability), v("ack_after", r.ack_after), v("payload", r.payload);
  v("duration_seconds", r.duration_seconds), v("wall_seconds", r.wall_seconds);
  v("interrupted", r.interrupted), v("deployment", r.deployment), v("budget", r.budget);
  v("prefill", r.prefill), v("region", r.region);
  v("environment", r.environment), v("ledger", r.ledger), v("ledger_complete", r.ledger_complete);
  v("ledger_unknown_because", r.ledger_unknown_because);
  v("ledger_findings", r.ledger_findings), v("operations", r.operations);
  v("thresholds", r.thresholds), v("server", r.server), v("generator", r.generator);
  v("sim", r.sim),
      v("result_hash",
        Hex<std::conditional_t<std::is_const_v<T>, const std::uint64_t, std::uint64_t>>{
            r.result_hash}),
      v("marks", r.marks), v("series", r.series);
  v("histograms", r.histograms);
}

template <class T, class V>
void fields(T& p, V&& v) requires std::is_same_v<std::remove_const_t<T>, CrossoverPoint> {
  v("axis", p.axis), v("factor", p.factor), v("value", p.value), v("winners", p.winners);
}
template <class T, class V>
void fields(T& n, V&& v) requires std::is_same_v<std::remove_const_t<T>, Crossover> {
  v("users", n.users), v("scale", n.scale), v("here", n.here), v("region", n.region);
  v("points", n.points);
  v("cut_short", n.cut_short), v("seconds", n.seconds);
}

struct Writer {
  Json& out;
  template <class T>
  void operator()(const char* name, const T& value) {
    out[name] = to(value);
  }

  template <class T>
  static Json to(const Hex<T>& hash) {
    return fmt::format("{:016x}", hash.value);
  }
  static Json to(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
  static Json to(Axis axis) { return std::string{name_of(axis)}; }
  static Json to(Engine engine) { return engine == Engine::live ? "live" : "sim"; }
  static Json to(const DesignSpec& design) {
    Json json{{"name", name_of(design.design)}};
    if (design.design == QueueDesign::hybrid) json["threshold"] = design.threshold;
    if (design.design == QueueDesign::adaptive) json["window"] = design.window;
    return json;
  }
  static Json to(const LedgerTotals& ledger) {
    Json json = Json::object();
    for (const LedgerCounter& counter : ledger_counters) {
      json[std::string{counter.name}] = ledger.*counter.member;
    }
    return json;
  }
  static Json to(const Operations& operations) {
    Json json = Json::object();
    for (const OperationCounter& counter : operation_counters) {
      json[std::string{name_of(counter.counter_class)}][std::string{counter.name}] =
          operations.*counter.member;
    }
    return json;
  }
  static Json to(const Histogram& h) {
    Json buckets = Json::array();
    for (std::size_t i = 0; i < h.buckets().size(); ++i) {
      if (h.buckets()[i] != 0) buckets.push_back({i, h.buckets()[i]});
    }
    return {{"count", h.count()},
            {"sum_ns", h.sum()},
            {"min_ns", h.min()},
            {"max_ns", h.max()},
            {"p50_ns", h.quantile(0.5)},
            {"p95_ns", h.quantile(0.95)},
            {"p99_ns", h.quantile(0.99)},
            {"p999_ns", h.quantile(0.999)},
            {"buckets", std::move(buckets)}};
  }
  static Json to(const std::pair<double, std::string>& mark) {
    return {{"t_seconds", mark.first}, {"what", mark.second}};
  }
  static Json to(const std::optional<SimFacts>& facts) { return facts ? to(*facts) : Json{}; }
  template <class T>
  static Json to(const std::vector<T>& list) {
    Json json = Json::array();
    for (const T& item : list) json.push_back(to(item));
    return json;
  }
  template <class T>
  static Json to(const std::map<std::string, T>& map) {
    Json json = Json::object();
    for (const auto& [key, value] : map) json[key] = to(value);
    return json;
  }
  template <class T>
  static Json to(const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      return value;
    } else {
      Json json = Json::object();
      fields(value, Writer{json});
      return json;
    }
  }
};

struct Reader {
  const Json& in;
  std::string place;

  template <class T>
  void operator()(const char* name, T&& value) {
    const auto found = in.find(name);
    if (found == in.end()) throw ResultFormatError{place + ": key '" + name + "' is missing"};
    from(*found, place + "." + name, value);
  }

  [[noreturn]] static void refuse(const std::string& where, const char* expected, const Json& j) {
    const std::string found = j.is_number() ? j.dump() : j.type_name();
    throw ResultFormatError{where + ": expected " + expected + ", found " + found};
  }
  static const Json& array(const Json& j, const std::string& where) {
    if (!j.is_array()) refuse(where, "a list", j);
    return j;
  }
  static const Json& object(const Json& j, const std::string& where) {
    if (!j.is_object()) refuse(where, "an object", j);
    return j;
  }

  static void from(const Json& j, const std::string& where, std::string& value) {
    if (!j.is_string()) refuse(where, "text", j);
    value = j.get<std::string>();
  }
  static void from(const Json& j, const std::string& where, bool& value) {
    if (!j.is_boolean()) refuse(where, "true or false", j);
    value = j.get<bool>();
  }
  static void from(const Json& j, const std::string& where, double& value) {
    if (j.is_null()) {
      value = std::numeric_limits<double>::quiet_NaN();
      return;
    }
    if (!j.is_number()) refuse(where, "a number", j);
    value = j.get<double>();
  }
  template <class T>
  requires std::is_unsigned_v<T>
  static void from(const Json& j, const std::string& where, T& value) {
    if (!j.is_number_unsigned() || j.get<std::uint64_t>() > std::numeric_limits<T>::max()) {
      refuse(where, "a whole number that is not negative", j);
    }
    value = j.get<T>();
  }
  template <class T>
  static void from(const Json& j, const std::string& where, Hex<T>& hash) {
    std::string digits;
    from(j, where, digits);
    std::size_t used = 0;
    try {
      hash.value = std::stoull(digits, &used, 16);
    } catch (const std::exception&) {
    }
    if (used == 0 || used != digits.size()) refuse(where, "16 hex digits", j);
  }
  static void from(const Json& j, const std::string& where, Axis& axis) {
    std::string name;
    from(j, where, name);
    const auto known = std::ranges::find(axes, name, [](Axis a) { return name_of(a); });
    if (known == axes.end()) throw ResultFormatError{where + ": '" + name + "' is no axis"};
    axis = *known;
  }
  static void from(const Json& j, const std::string& where, Engine& engine) {
    std::string name;
    from(j, where, name);
    if (name != "live" && name != "sim") refuse(where, "'live' or 'sim'", j);
    engine = name == "live" ? Engine::live : Engine::sim;
  }
  static void from(const Json& j, const std::string& where, DesignSpec& design) {
    std::string name;
    Reader{object(j, where), where}("name", name);
    const auto known = design_from_name(name);
    if (!known) throw ResultFormatError{where + ".name: '" + name + "' is no queue design"};
    design.design = *known;
    if (j.contains("threshold")) Reader{j, where}("threshold", design.threshold);
    if (j.contains("window")) Reader{j, where}("window", design.window);
  }
  static void from(const Json& j, const std::string& where, LedgerTotals& ledger) {
    object(j, where);
    for (const LedgerCounter& counter : ledger_counters) {
      Reader{j, where}(std::string{counter.name}.c_str(), ledger.*counter.member);
    }
  }
  static void from(const Json& j, const std::string& where, Operations& operations) {
    object(j, where);
    for (const OperationCounter& counter : operation_counters) {
      const std::string group{name_of(counter.counter_class)};
      const auto found = j.find(group);
      if (found == j.end()) throw ResultFormatError{where + ": key '" + group + "' is missing"};
      Reader{object(*found, where + "." + group), where + "." + group}(
          std::string{counter.name}.c_str(), operations.*counter.member);
    }
  }
  static void from(const Json& j, const std::string& where, Histogram& h) {
    std::uint64_t sum = 0;
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    Reader read{object(j, where), where};
    read("sum_ns", sum), read("min_ns", min), read("max_ns", max);
    if (!j.contains("buckets")) throw ResultFormatError{where + ": key 'buckets' is missing"};
    std::vector<std::uint64_t> buckets;
    for (const Json& pair : array(j["buckets"], where + ".buckets")) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_unsigned() ||
          !pair[1].is_number_unsigned() || pair[0].get<std::size_t>() >= Histogram::bucket_count) {
        refuse(where + ".buckets", "pairs of [bucket, count]", pair);
      }
      if (buckets.empty()) buckets.resize(Histogram::bucket_count);
      buckets[pair[0].get<std::size_t>()] = pair[1].get<std::uint64_t>();
    }
    h = Histogram::from_parts(std::move(buckets), sum, min, max);
  }
  static void from(const Json& j, const std::string& where, std::pair<double, std::string>& mark) {
    Reader read{object(j, where), where};
    read("t_seconds", mark.first), read("what", mark.second);
  }
  static void from(const Json& j, const std::string& where, std::optional<SimFacts>& facts) {
    facts.reset();
    if (!j.is_null()) from(j, where, facts.emplace());
  }
  template <class T>
  static void from(const Json& j, const std::string& where, std::vector<T>& list) {
    list.clear();
    for (const Json& item : array(j, where)) {
      from(item, where + "[" + std::to_string(list.size()) + "]", list.emplace_back());
    }
  }
  template <class T>
  static void from(const Json& j, const std::string& where, std::map<std::string, T>& map) {
    map.clear();
    for (const auto& [key, value] : object(j, where).items()) {
      from(value, where + "." + key, map[key]);
    }
  }
  template <class T>
  requires std::is_class_v<T>
  static void from(const Json& j, const std::string& where, T& value) {
    fields(value, Reader{object(j, where), where});
  }
};

Json parse(std::string_view text, const std::string& place, std::string_view schema) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw ResultFormatError{
        fmt::format("{}: not JSON, at byte {}; expected a {} file", place, error.byte, schema)};
  }
  const auto stated = json.is_object() ? json.find("schema") : json.end();
  if (stated == json.end() || *stated != schema) {
    throw ResultFormatError{
        fmt::format("{}: expected \"schema\": \"{}\"; is this a {}?", place, schema,
                    schema == result_schema ? std::string_view{"result.json"} : crossover_file)};
  }
  return json;
}

template <class T>
std::string write_as(std::string_view schema, const T& value) {
  Json json{{"schema", schema}};
  fields(value, Writer{json});
  return json.dump(1) + "\n";
}

template <class T>
T read_as(std::string_view text, const std::string& place, std::string_view schema,
          const char* what) {
  const Json json = parse(text, place, schema);
  T value;
  fields(value, Reader{json, place + ": " + what});
  return value;
}

}  // namespace

std::string write_result(const RunResult& run) { return write_as(result_schema, run); }

RunResult read_result(std::string_view text, const std::string& place) {
  return read_as<RunResult>(text, place, result_schema, "result");
}

std::string write_crossover(const Crossover& crossover) {
  return write_as(crossover_schema, crossover);
}

Crossover read_crossover(std::string_view text, const std::string& place) {
  return read_as<Crossover>(text, place, crossover_schema, "crossover");
}

}  // namespace clamor::report
