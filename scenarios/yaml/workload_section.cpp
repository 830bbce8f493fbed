#include "scenarios/yaml/sections.hpp"
#include "scenarios/yaml/trace_events.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>

// `scenarios:` of a file: the traffic, open-loop or replayed.
namespace clamor::scenario {

namespace {

using Executor = Workload::Executor;

constexpr double rate_max = 1e9;
constexpr Duration duration_max = std::chrono::hours{24 * 30};
constexpr std::uint32_t copies_max = 1'000'000;

// k6's other executors: known words, so that the message can say so.
const std::vector<std::string> other_executors{"constant-vus",         "ramping-vus",
                                               "per-vu-iterations",    "shared-iterations",
                                               "ramping-arrival-rate", "externally-controlled"};
// k6's keys that have no meaning here: a virtual user is a whole person, not a worker.
const std::vector<std::string> k6_keys{
    "vus",  "preAllocatedVUs", "maxVUs",      "iterations", "stages", "exec", "env",
    "tags", "options",         "gracefulStop"};

void read_message_bytes(Faults& faults, MapReader& map, MessageBytes& bytes) {
  const Node* node = map.find("message_bytes");
  if (node == nullptr) return;
  if (node->kind != Node::Kind::map) {
    std::uint64_t constant = 0;
    if (read_whole(faults, *node, "message_bytes", constant, 1, message_bytes_max)) {
      bytes.constant = static_cast<std::uint32_t>(constant);
    }
    return;
  }
  MapReader kinds{faults, *node, "message_bytes"};
  if (const Node* inner = kinds.require("lognormal")) {
    MapReader lognormal{faults, *inner, "lognormal"};
    bytes.kind = MessageBytes::Kind::lognormal;
    lognormal.require("median");
    lognormal.require("p99");
    const bool median = lognormal.read_number("median", bytes.median, 1, message_bytes_max);
    const bool p99 = lognormal.read_number("p99", bytes.p99, 1, message_bytes_max);
    if (median && p99 && bytes.p99 < bytes.median) {
      lognormal.fault("p99", fmt::format("p99 is {}; expected at least the median of {}", bytes.p99,
                                         bytes.median));
    }
    lognormal.finish();
  }
  kinds.finish();
}

void read_mix(Faults& faults, MapReader& map, const Scenario& scenario, Workload& workload) {
  const std::vector<std::string> names = class_names(scenario);
  if (!map.has("mix")) {
    map.allow("mix");
    if (names.size() == 1) {
      workload.mix = {{names[0], 1.0}};
    } else if (names.empty()) {
      faults.add(map.place(), fmt::format("{} has nowhere to send to; expected groups, or contacts "
                                          "in population",
                                          map.what()));
    } else {
      faults.add(map.place(), fmt::format("{} lacks \"mix\"; expected the share of messages that "
                                          "goes to each of: {}",
                                          map.what(), listed(names)));
    }
    return;
  }
  read_shares(faults, map, "mix", [&](const Node::Key& key, double share) {
    if (std::find(names.begin(), names.end(), key.name) != names.end()) {
      workload.mix[key.name] = share;
      return;
    }
    const bool no_contacts = key.name == "direct";
    faults.add(key.place,
               no_contacts
                   ? "mix names \"direct\", but population has no contacts"
                   : fmt::format("mix names the unknown group \"{}\"; expected one of: {}{}",
                                 key.name, listed(names), did_you_mean(key.name, names)));
  });
}

void read_kinds(Faults& faults, MapReader& map, Workload& workload) {
  const bool given = map.has("kinds");
  if (given) {
    const std::vector<std::string> names{send_kind_names.begin(), send_kind_names.end()};
    workload.kinds.fill(0);
    double others = 0;
    read_shares(faults, map, "kinds", [&](const Node::Key& key, double share) {
      const auto at = std::find(names.begin(), names.end(), key.name);
      if (at == names.end()) {
        return faults.add(
            key.place, fmt::format("kinds has the unknown \"{}\"; expected one of: {}{}", key.name,
                                   listed(names), did_you_mean(key.name, names)));
      }
      workload.kinds[static_cast<std::size_t>(at - names.begin())] = share;
      others += key.name == names.front() ? 0 : share;
    });
    if (others > 0.5 + 1e-9) {
      map.fault("kinds",
                fmt::format("{} of kinds are no plain messages; expected at most 0.5: each "
                            "is about a message of its own",
                            others));
    }
  }
  map.allow("kinds");
  map.read_duration("kinds_after", workload.kinds_after, 1ms, duration_max);
  if (map.has("kinds_after") && !given) {
    map.fault("kinds_after",
              "kinds_after without kinds; expected the shares of edits, deletions, "
              "reactions and replies beside it");
  }
  map.read_number("mentions", workload.mentions, 0, 1);
}

void read_arrival_rate(Faults& faults, MapReader& map, const Scenario& scenario,
                       Workload& workload) {
  map.require("rate");
  if (map.read_number("rate", workload.rate, 0, rate_max) && workload.rate == 0) {
    map.fault("rate", "rate is 0; expected more than 0 messages a timeUnit");
  }
  map.read_duration("timeUnit", workload.time_unit, Duration{1}, duration_max);
  map.require("duration");
  map.read_duration("duration", workload.duration, 1ms, duration_max);
  map.read_choice<Arrivals>("arrivals", workload.arrivals,
                            {{"poisson", Arrivals::poisson}, {"even", Arrivals::even}});
  read_mix(faults, map, scenario, workload);
  read_message_bytes(faults, map, workload.message_bytes);
  read_kinds(faults, map, workload);
}

void read_trace(MapReader& map, const std::string& directory, Scenario& scenario,
                Workload& workload) {
  map.require("events");
  map.read_whole("copies", workload.copies, 1, copies_max);
  map.read_number("speed", workload.speed, 1e-6, 1e9);
  map.read_duration("duration", workload.duration, 1ms, duration_max);
  for (const char* key : {"rate", "timeUnit", "arrivals", "mix", "message_bytes", "startTime",
                          "kinds", "kinds_after", "mentions"}) {
    if (map.has(key)) {
      map.fault(key, fmt::format("{} does not go with the executor trace, whose events say it; "
                                 "expected it left out",
                                 key));
    }
    map.allow(key);
  }
  std::string file;
  if (!map.read_text("events", file)) return;
  const std::filesystem::path path = std::filesystem::path{directory} / file;
  workload.trace_file = std::filesystem::absolute(path).lexically_normal().string();
  Parsed<TraceFile> trace = read_trace_file(workload.trace_file);
  for (const std::string& error : trace.errors) map.fault("events", error);
  if (!trace.value) return;
  const std::uint64_t users = std::uint64_t{trace.value->users} * workload.copies;
  if (users > population_max) {
    map.fault("copies", fmt::format("{} copies of {} users are more than {}; expected fewer copies",
                                    workload.copies, trace.value->users, population_max));
    return;
  }
  scenario.population.users = static_cast<std::uint32_t>(users);
  scenario.groups = {{"trace", workload.copies, trace.value->users, 1.0}};
  scenario.trace_connected = std::move(trace.value->connected);
  scenario.trace = std::move(trace.value->events);
  for (TraceEvent& event : scenario.trace) {
    event.at = Duration{std::llround(static_cast<double>(event.at.count()) / workload.speed)};
  }
  workload.mix = {{"trace", 1.0}};
  const Duration last = scenario.trace.empty() ? Duration{} : scenario.trace.back().at;
  if (!map.has("duration")) workload.duration = last + 1s;
  if (workload.duration <= last) {
    map.fault("duration", fmt::format("duration is {}, but the last event comes at {}; expected "
                                      "more, or a higher speed",
                                      format_duration(workload.duration), format_duration(last)));
  }
}

}  // namespace

bool declares_trace(MapReader& root) {
  const Node* workloads = root.find("scenarios");
  if (workloads == nullptr) return false;
  return std::any_of(workloads->items.begin(), workloads->items.end(), [](const Node& workload) {
    for (std::size_t i = 0; i < workload.keys.size(); ++i) {
      if (workload.keys[i].name == "executor") return workload.items[i].scalar == "trace";
    }
    return false;
  });
}

void read_workloads(Faults& faults, MapReader& root, const std::string& directory,
                    Scenario& scenario) {
  const Node* node = root.require("scenarios");
  if (node == nullptr) return;
  MapReader workloads{faults, *node, "scenarios"};
  if (node->kind == Node::Kind::map && node->keys.empty()) {
    faults.add(node->place, "scenarios is empty; expected at least one workload");
  }
  const bool trace = declares_trace(root);
  if (trace && node->items.size() > 1) {
    faults.add(node->place, "a trace beside another workload; expected the trace alone");
    return;
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    Workload workload;
    workload.name = node->keys.at(i).name;
    MapReader map{faults, node->items[i], "scenario \"" + workload.name + "\""};
    map.require("executor");
    const bool known = map.read_choice<Executor>(
        "executor", workload.executor,
        {{"constant-arrival-rate", Executor::constant_arrival_rate}, {"trace", Executor::trace}},
        other_executors);
    for (const std::string& key : k6_keys) {
      if (known && map.has(key)) {
        map.fault(key, fmt::format("{} of k6 has no meaning here; expected it left out", key));
      }
    }
    // Which keys are right depends on it; with a rate it is a misspelt one of ours.
    if (!known && !map.has("rate")) continue;
    if (workload.executor == Executor::trace) {
      read_trace(map, directory, scenario, workload);
    } else {
      map.read_duration("startTime", workload.start_time, Duration{}, duration_max);
      read_arrival_rate(faults, map, scenario, workload);
    }
    for (const std::string& key : k6_keys) {
      if (map.has(key)) map.allow(key);
    }
    map.finish();
    scenario.workloads.push_back(std::move(workload));
  }
}

}  // namespace clamor::scenario
