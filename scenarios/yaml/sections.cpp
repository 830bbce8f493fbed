#include "scenarios/yaml/sections.hpp"

#include "scenarios/yaml/design.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fmt/format.h>

// Everything but traffic: who exists, what serves them, what goes wrong, what must hold.
namespace clamor::scenario {

namespace {

constexpr double sum_tolerance = 1e-6;
constexpr std::uint32_t devices_max = 16;
constexpr std::uint32_t group_members_max = 1'000'000;
constexpr std::uint32_t contacts_max = 10'000;

const std::vector<std::string> other_transports{"long_poll", "poll", "sse"};

// A store below it cannot hold its filters; above it nobody has the machine.
constexpr std::uint32_t memory_mib_min = 12;
constexpr std::uint32_t memory_mib_max = 1U << 20U;

// A live run sends them first.
constexpr std::uint64_t prefill_messages_max = 10'000'000;

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
         });
}

void read_devices(Faults& faults, MapReader& map, Population& population) {
  if (!map.has("devices")) {
    map.allow("devices");
    return;
  }
  population.devices.clear();
  read_shares(faults, map, "devices", [&](const Node::Key& key, double share) {
    const auto devices = parse_whole(key.name);
    if (!devices || *devices < 1 || *devices > devices_max) {
      faults.add(key.place, fmt::format("devices a user: \"{}\"; expected a whole number from 1 to "
                                        "{}",
                                        key.name, devices_max));
      return;
    }
    population.devices[static_cast<std::uint32_t>(*devices)] = share;
  });
  if (population.devices.empty()) population.devices = {{1, 1.0}};
}

void read_transports(Faults& faults, MapReader& map, Population& population) {
  read_shares(faults, map, "transports", [&](const Node::Key& key, double share) {
    if (key.name == "websocket") {
      population.transports["websocket"] = share;
      return;
    }
    const bool other = std::find(other_transports.begin(), other_transports.end(), key.name) !=
                       other_transports.end();
    const std::vector<std::string> known{"websocket"};
    faults.add(key.place,
               fmt::format("transport \"{}\" is {}; expected one of: websocket{}", key.name,
                           other ? "not supported yet" : "unknown", did_you_mean(key.name, known)));
  });
}

bool read_away(Faults& faults, const Node& node, Away& away) {
  MapReader map{faults, node, "away"};
  map.require("share");
  bool good = map.read_number("share", away.share, 0, 1);
  const bool once = map.has("once") || map.has("within");
  const bool repeating = map.has("for") || map.has("every");
  const auto need = [&](const char* key, Duration& out) {
    map.require(key);
    good = map.read_duration(key, out, Duration{1}) && good;
  };
  away.kind = repeating ? Away::Kind::repeating : Away::Kind::once;
  if (once && !repeating) {
    need("once", away.duration);
    need("within", away.within);
  } else if (repeating && !once) {
    need("for", away.duration);
    need("every", away.every);
  } else if (node.kind == Node::Kind::map) {
    faults.add(node.place, "an absence is either `once: 12s, within: 8s` or `for: 3s, every: 6s`");
    good = false;
  }
  for (const char* key : {"once", "within", "for", "every"}) map.allow(key);
  if (good && repeating && away.duration >= away.every) {
    map.fault("for", fmt::format("away for {} of every {}; expected less than the period",
                                 format_duration(away.duration), format_duration(away.every)));
    good = false;
  }
  map.finish();
  return good;
}

bool read_group(Faults& faults, const Node& node, const Scenario& scenario, GroupClass& group) {
  MapReader map{faults, node, "group"};
  map.require("name");
  bool good = map.read_text("name", group.name);
  if (good && !is_name(group.name)) {
    map.fault("name", fmt::format("group \"{}\"; expected a name of letters, digits, _, - and .",
                                  group.name));
    good = false;
  } else if (group.name == "direct") {
    map.fault("name", "group \"direct\": that name is kept for the contacts; expected another");
    good = false;
  }
  for (const GroupClass& other : scenario.groups) {
    if (!good || other.name != group.name) continue;
    map.fault("name", fmt::format("a second group \"{}\"; expected names to differ", group.name));
    good = false;
  }
  map.read_whole("count", group.count, 1, population_max);
  map.require("members");
  if (map.read_whole("members", group.members, 2, group_members_max) &&
      group.members > scenario.population.users) {
    map.fault("members",
              fmt::format("group \"{}\" has {} members, but there are {} users; expected "
                          "at most as many",
                          group.name, group.members, scenario.population.users));
  }
  map.read_number("online", group.online, 0, 1);
  map.finish();
  return good;
}

}  // namespace

void read_shares(Faults& faults, MapReader& map, std::string_view key,
                 const std::function<void(const Node::Key&, double)>& keep) {
  const Node* node = map.find(key);
  if (node == nullptr) return;
  MapReader shares{faults, *node, std::string{key}};
  double sum = 0;
  bool good = node->kind == Node::Kind::map;
  for (std::size_t i = 0; i < node->keys.size(); ++i) {
    double share = 0;
    const std::string what = fmt::format("{} of \"{}\"", key, node->keys[i].name);
    good = read_number(faults, node->items[i], what, share, 0, 1) && good;
    sum += share;
    keep(node->keys[i], share);
  }
  if (good && std::abs(sum - 1) > sum_tolerance) {
    faults.add(node->place, fmt::format("the shares of {} sum to {:.6g}; expected 1", key, sum));
  }
}

void read_identity(MapReader& root, Scenario& scenario) {
  if (root.read_text("name", scenario.name) && !is_name(scenario.name)) {
    root.fault("name",
               fmt::format("name \"{}\"; expected letters, digits, _, - and ., since result "
                           "folders are called by it",
                           scenario.name));
  }
  root.read_text("description", scenario.description);
  root.read_whole("seed", scenario.seed, 0, std::numeric_limits<std::uint64_t>::max());
}

void read_population(Faults& faults, MapReader& root, Scenario& scenario) {
  Population& population = scenario.population;
  const bool trace = declares_trace(root);
  const Node* node = trace ? root.find("population") : root.require("population");
  if (node == nullptr) return;
  MapReader map{faults, *node, "population"};
  for (const char* key : {"users", "contacts", "away"}) {
    if (trace && map.has(key)) {
      map.fault(key, fmt::format("{} does not go with the executor trace, which brings its users, "
                                 "their channel and their absences; expected it left out",
                                 key));
    }
    map.allow(key);
  }
  if (!trace) {
    map.require("users");
    map.read_whole("users", population.users, 1, population_max);
    if (map.read_whole("contacts", population.contacts, 0, contacts_max) &&
        population.contacts >= population.users) {
      map.fault("contacts", fmt::format("{} contacts among {} users; expected fewer than users",
                                        population.contacts, population.users));
    }
    double away_shares = 0;
    map.read_list("away", [&](const Node& item) {
      Away away;
      if (read_away(faults, item, away)) population.away.push_back(away);
      away_shares += away.share;
    });
    if (away_shares > 1 + sum_tolerance) {
      map.fault("away",
                fmt::format("the shares of away sum to {:.6g}; expected at most 1", away_shares));
    }
  }
  if (const Node* const presence = map.find("presence")) {
    MapReader section{faults, *presence, "presence"};
    section.require("subscribe");
    section.read_whole("subscribe", population.presence_subscribe, 0, presence_subscribe_max);
    section.finish();
  }
  read_devices(faults, map, population);
  map.read_duration("typing", population.typing, Duration{}, std::chrono::hours{1});
  read_transports(faults, map, population);
  map.finish();
}

void read_groups(Faults& faults, MapReader& root, Scenario& scenario) {
  if (declares_trace(root)) {
    if (root.has("groups")) {
      root.fault("groups", "groups do not go with the executor trace; expected them left out");
    }
    root.allow("groups");
    return;
  }
  root.read_list("groups", [&](const Node& item) {
    GroupClass group;
    if (read_group(faults, item, scenario, group)) scenario.groups.push_back(group);
  });
}

void read_servers(Faults& faults, MapReader& root, Scenario& scenario) {
  if (const Node* node = root.find("deployment")) {
    MapReader map{faults, *node, "deployment"};
    map.read_whole("cores", scenario.deployment.cores, 1, 1024);
    map.read_whole("clients_per_server", scenario.deployment.clients_per_server, 1, population_max);
    map.read_whole("memory_mib", scenario.deployment.memory_mib, memory_mib_min, memory_mib_max);
    map.finish();
  }
  if (root.has("designs")) scenario.designs.clear();
  bool any = !root.has("designs");
  root.read_list("designs", [&](const Node& item) {
    any = true;
    DesignSpec design;
    if (!read_design(faults, item, design)) return;
    if (std::find(scenario.designs.begin(), scenario.designs.end(), design) !=
        scenario.designs.end()) {
      faults.add(item.place,
                 fmt::format("design \"{}\" stands twice; expected one", name_of(design.design)));
      return;
    }
    scenario.designs.push_back(design);
  });
  const Node* designs = root.find("designs");
  if (!any && designs->kind == Node::Kind::sequence) {
    root.fault("designs", fmt::format("designs is an empty list; expected at least one of: {}",
                                      listed(design_names())));
  }
  root.read_choice<Durability>("durability", scenario.durability,
                               {{"fsync", Durability::fsync}, {"os", Durability::os}});
  root.read_choice<AckAfter>("ack_after", scenario.ack_after,
                             {{"log", AckAfter::log}, {"fanout", AckAfter::fanout}});
  root.read_choice<QueuePayload>(
      "payload", scenario.payload,
      {{"reference", QueuePayload::reference}, {"copy", QueuePayload::copy}});
}

void read_clients(Faults& faults, MapReader& root, Scenario& scenario) {
  if (const Node* node = root.find("heartbeat")) {
    MapReader map{faults, *node, "heartbeat"};
    map.read_duration("interval", scenario.heartbeat.interval, 1ms);
    map.read_duration("offline_after", scenario.heartbeat.offline_after, 1ms);
    map.read_duration("offline_delay", scenario.heartbeat.offline_delay, Duration{});
    if (scenario.heartbeat.offline_after <= scenario.heartbeat.interval) {
      map.fault("offline_after",
                fmt::format("offline_after is {}; expected more than the interval of {}",
                            format_duration(scenario.heartbeat.offline_after),
                            format_duration(scenario.heartbeat.interval)));
    }
    map.finish();
  }
  if (const Node* node = root.find("reconnect")) {
    MapReader map{faults, *node, "reconnect"};
    map.read_duration("base", scenario.reconnect.base, 1ms);
    map.read_duration("cap", scenario.reconnect.cap, 1ms);
    map.read_choice<bool>("jitter", scenario.reconnect.full_jitter,
                          {{"full", true}, {"none", false}});
    if (scenario.reconnect.cap < scenario.reconnect.base) {
      map.fault("cap", fmt::format("cap is {}; expected at least the base of {}",
                                   format_duration(scenario.reconnect.cap),
                                   format_duration(scenario.reconnect.base)));
    }
    map.finish();
  }
}

void read_prefill(Faults& faults, MapReader& root, Scenario& scenario) {
  const Node* node = root.find("prefill");
  if (node == nullptr) return;
  if (declares_trace(root)) {
    root.fault("prefill",
               "prefill does not go with the executor trace, whose channel has its own history; "
               "expected it left out");
    return;
  }
  MapReader map{faults, *node, "prefill"};
  map.require("messages");
  map.read_whole("messages", scenario.prefill_messages, 0, prefill_messages_max);
  map.finish();
}

namespace {

void read_target(MapReader& map, Fault::Kind kind) {
  const char* const fits = kind == Fault::Kind::kill ? "servers" : "clients";
  std::string target = fits;
  const bool read = map.read_choice<std::string>(
      "target", target, {{"clients", "clients"}, {"servers", "servers"}}, {"node", "bus"});
  if (!read || target == fits) return;
  map.fault("target", fmt::format("target is {}; expected {}, which is what a {} hits", target,
                                  fits, kind == Fault::Kind::kill ? "kill" : "disconnect"));
}

/// A server that is killed comes back within the measured window, and is killed only while it runs:
/// `scenario` holds the faults so far.
void read_kill(MapReader& map, Duration end, const Scenario& scenario, Fault& fault) {
  map.require("restart_after");
  if (!map.read_duration("restart_after", fault.restart_after, 500ms)) return;
  const Duration back = fault.at + fault.restart_after;
  if (end > Duration{} && back >= end) {
    map.fault("restart_after",
              fmt::format("the server starts again at {}, but the last workload ends at {}; "
                          "expected it before, so that what the kill did can be seen",
                          format_duration(back), format_duration(end)));
  }
  for (const Fault& other : scenario.faults) {
    if (other.kind != Fault::Kind::kill || fault.at > other.at + other.restart_after ||
        back < other.at) {
      continue;
    }
    map.fault("at", fmt::format("at is {}, while the kill at {} has servers down until {}; "
                                "expected kills one after the other",
                                format_duration(fault.at), format_duration(other.at),
                                format_duration(other.at + other.restart_after)));
  }
}

}  // namespace

void read_faults(Faults& faults, MapReader& root, Scenario& scenario) {
  const Duration end = measured_duration(scenario);
  root.read_list("faults", [&](const Node& item) {
    Fault fault;
    MapReader map{faults, item, "fault"};
    for (const char* key : {"at", "kind", "share"}) map.require(key);
    if (map.read_duration("at", fault.at) && fault.at >= end && end > Duration{}) {
      map.fault("at", fmt::format("at is {}, but the last workload ends at {}; expected it before",
                                  format_duration(fault.at), format_duration(end)));
    }
    map.read_choice<Fault::Kind>(
        "kind", fault.kind, {{"disconnect", Fault::Kind::disconnect}, {"kill", Fault::Kind::kill}},
        {"pause", "partition", "slow_disk", "latency", "restart"});
    read_target(map, fault.kind);
    if (map.read_number("share", fault.share, 0, 1) && fault.share == 0) {
      map.fault("share", "share is 0, so nothing happens; expected more, or the fault left out");
    }
    if (fault.kind == Fault::Kind::kill) {
      read_kill(map, end, scenario, fault);
    } else {
      map.read_choice<Fault::Mode>("mode", fault.mode,
                                   {{"reset", Fault::Mode::reset}, {"close", Fault::Mode::close}});
    }
    map.finish();
    scenario.faults.push_back(fault);
  });
}

void read_simulate(Faults& faults, MapReader& root, Scenario& scenario) {
  const Node* node = root.find("simulate");
  if (node == nullptr) return;
  MapReader map{faults, *node, "simulate"};
  const double most = double{population_max} / std::max(1U, scenario.population.users);
  map.read_number("scale", scenario.simulate_scale, 1e-6, most);
  map.finish();
}

std::vector<std::string> class_names(const Scenario& scenario) {
  std::vector<std::string> names;
  if (scenario.population.contacts > 0) names.emplace_back("direct");
  for (const GroupClass& group : scenario.groups) names.push_back(group.name);
  return names;
}

}  // namespace clamor::scenario
