#include "scenarios/yaml/design.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "scenarios/yaml/values.hpp"

#include <fmt/format.h>
#include <string_view>

// Writes every key with its value, in the order of the documentation. Written by hand rather than
// by yaml-cpp's emitter: flow maps on one line are what a scenario looks like.
namespace clamor::scenario {

namespace {

template <class Map>
std::string flow(const Map& shares) {
  std::string out = "{";
  for (const auto& [key, share] : shares) {
    out += fmt::format("{}{}: {}", out.size() > 1 ? ", " : "", key, share);
  }
  return out + "}";
}

std::string population_text(const Scenario& scenario) {
  const Population& population = scenario.population;
  std::string out = "population:\n";
  if (!is_trace(scenario)) {
    out += fmt::format("  users: {}\n", population.users);
    out += fmt::format("  contacts: {}\n", population.contacts);
  }
  out += fmt::format("  devices: {}\n", flow(population.devices));
  out += fmt::format("  transports: {}\n", flow(population.transports));
  out += fmt::format("  presence: {{subscribe: {}}}\n", population.presence_subscribe);
  out += fmt::format("  typing: {}\n", format_duration(population.typing));
  if (!population.away.empty()) out += "  away:\n";
  for (const Away& away : population.away) {
    out += away.kind == Away::Kind::once
               ? fmt::format("    - {{share: {}, once: {}, within: {}}}\n", away.share,
                             format_duration(away.duration), format_duration(away.within))
               : fmt::format("    - {{share: {}, for: {}, every: {}}}\n", away.share,
                             format_duration(away.duration), format_duration(away.every));
  }
  return out;
}

std::string groups_text(const Scenario& scenario) {
  if (is_trace(scenario) || scenario.groups.empty()) return "";
  std::string out = "groups:\n";
  for (const GroupClass& group : scenario.groups) {
    out += fmt::format("  - {{name: {}, count: {}, members: {}, online: {}}}\n",
                       quoted_yaml(group.name), group.count, group.members, group.online);
  }
  return out;
}

std::string servers_text(const Scenario& scenario) {
  std::string designs;
  for (const DesignSpec& spec : scenario.designs) {
    if (!designs.empty()) designs += ", ";
    designs += design_yaml(spec);
  }
  return fmt::format("deployment: {{cores: {}, memory_mib: {}, clients_per_server: {}}}\n",
                     scenario.deployment.cores, scenario.deployment.memory_mib,
                     scenario.deployment.clients_per_server) +
         fmt::format("designs: [{}]\n", designs) +
         fmt::format("durability: {}\n",
                     scenario.durability == Durability::fsync ? "fsync" : "os") +
         fmt::format("ack_after: {}\n", name_of(scenario.ack_after)) +
         fmt::format("payload: {}\n", name_of(scenario.payload));
}

std::string workload_text(const Workload& workload) {
  std::string out = fmt::format("  {}:\n", quoted_yaml(workload.name));
  if (workload.executor == Workload::Executor::trace) {
    return out + fmt::format(
                     "    executor: trace\n    events: {}\n    speed: {}\n    copies: {}\n"
                     "    duration: {}\n",
                     quoted_yaml(workload.trace_file), workload.speed, workload.copies,
                     format_duration(workload.duration));
  }
  out += fmt::format(
      "    executor: constant-arrival-rate\n    rate: {}\n    timeUnit: {}\n    startTime: {}\n"
      "    duration: {}\n    arrivals: {}\n    mix: {}\n",
      workload.rate, format_duration(workload.time_unit), format_duration(workload.start_time),
      format_duration(workload.duration), workload.arrivals == Arrivals::even ? "even" : "poisson",
      flow(workload.mix));
  std::vector<std::pair<std::string_view, double>> kinds;
  for (std::size_t kind = 0; kind < workload.kinds.size(); ++kind) {
    if (workload.kinds[kind] > 0) kinds.emplace_back(send_kind_names[kind], workload.kinds[kind]);
  }
  out += fmt::format("    kinds: {}\n    kinds_after: {}\n    mentions: {}\n", flow(kinds),
                     format_duration(workload.kinds_after), workload.mentions);
  const MessageBytes& bytes = workload.message_bytes;
  return out + (bytes.kind == MessageBytes::Kind::constant
                    ? fmt::format("    message_bytes: {}\n", bytes.constant)
                    : fmt::format("    message_bytes: {{lognormal: {{median: {}, p99: {}}}}}\n",
                                  bytes.median, bytes.p99));
}

std::string clients_text(const Scenario& scenario) {
  return fmt::format("heartbeat: {{interval: {}, offline_after: {}, offline_delay: {}}}\n",
                     format_duration(scenario.heartbeat.interval),
                     format_duration(scenario.heartbeat.offline_after),
                     format_duration(scenario.heartbeat.offline_delay)) +
         fmt::format("reconnect: {{base: {}, cap: {}, jitter: {}}}\n",
                     format_duration(scenario.reconnect.base),
                     format_duration(scenario.reconnect.cap),
                     scenario.reconnect.full_jitter ? "full" : "none");
}

std::string faults_text(const Scenario& scenario) {
  std::string out = scenario.faults.empty() ? "" : "faults:\n";
  for (const Fault& fault : scenario.faults) {
    if (fault.kind == Fault::Kind::kill) {
      out += fmt::format(
          "  - {{at: {}, kind: kill, target: servers, share: {}, restart_after: {}}}\n",
          format_duration(fault.at), fault.share, format_duration(fault.restart_after));
      continue;
    }
    out += fmt::format("  - {{at: {}, kind: disconnect, target: clients, share: {}, mode: {}}}\n",
                       format_duration(fault.at), fault.share,
                       fault.mode == Fault::Mode::close ? "close" : "reset");
  }
  return out;
}

std::string thresholds_text(const Scenario& scenario) {
  std::map<std::string, std::string> by_metric;
  for (const Threshold& threshold : scenario.thresholds) {
    std::string key = threshold.metric;
    for (const auto& [tag, value] : threshold.tags) {
      key += fmt::format("{}{}:{}", key == threshold.metric ? "{" : ",", tag, value);
    }
    if (!threshold.tags.empty()) key += "}";
    std::string& list = by_metric[key];
    list += (list.empty() ? "" : ", ") + quoted_yaml(threshold.text);
  }
  std::string out = by_metric.empty() ? "" : "thresholds:\n";
  for (const auto& [metric, list] : by_metric) {
    out += fmt::format("  {}: [{}]\n", quoted_yaml(metric), list);
  }
  return out;
}

}  // namespace

std::string write_effective(const Scenario& scenario) {
  std::string out = fmt::format("name: {}\ndescription: {}\nseed: {}\n", quoted_yaml(scenario.name),
                                quoted_yaml(scenario.description), scenario.seed);
  out += population_text(scenario) + groups_text(scenario) + servers_text(scenario);
  out += "scenarios:\n";
  for (const Workload& workload : scenario.workloads) out += workload_text(workload);
  if (!is_trace(scenario)) {
    out += fmt::format("prefill: {{messages: {}}}\n", scenario.prefill_messages);
  }
  out += clients_text(scenario) + faults_text(scenario);
  out += fmt::format("simulate: {{scale: {}}}\n", scenario.simulate_scale);
  return out + thresholds_text(scenario);
}

}  // namespace clamor::scenario
