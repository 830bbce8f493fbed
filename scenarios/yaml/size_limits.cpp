#include "scenarios/yaml/sections.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <fmt/format.h>

// What a scenario as written may be in all: more could be read, but neither checked nor run. By
// arithmetic on the file's own numbers; no plan is built.
namespace clamor::scenario {

namespace {

constexpr double channels_max = 100e6;
constexpr double memberships_max = 1e9;
constexpr double sends_max = 1e9;
constexpr double groups_a_user_max = 100'000;  // of one class: a plan keeps an order for each

/// Adds up channels and memberships, and names the key that goes beyond the limits.
class Census {
 public:
  explicit Census(const Scenario& scenario) : users_{double(scenario.population.users)} {}

  void add(const MapReader& map, const char* key, double count, double members) {
    channels_ += count;
    memberships_ += count * members;
    const double groups_a_user = count * members / users_;
    if (channels_ > channels_max) {
      map.fault(key, refusal(key, channels_, "channels", channels_max));
    } else if (memberships_ > memberships_max) {
      map.fault(key, refusal(key, memberships_, "memberships", memberships_max));
    } else if (groups_a_user > groups_a_user_max) {
      map.fault(key, refusal(key, groups_a_user, "groups of one class a user", groups_a_user_max));
    } else {
      return;
    }
    channels_ = memberships_ = 0;  // what follows is judged by itself
  }

 private:
  static std::string refusal(const char* key, double found, const char* what, double most) {
    return fmt::format("{} makes {:.6g} {}; expected at most {:.0f}", key, found, what, most);
  }

  double users_;
  double channels_ = 0;
  double memberships_ = 0;
};

void check_sends(const MapReader& map, const Workload& workload, double& sum) {
  const double sends = planned_sends(workload, workload.duration);
  if (sends < 1) {
    map.fault("rate", fmt::format("rate is {:.6g} a {}, which makes no message in {}; expected at "
                                  "least one",
                                  workload.rate, format_duration(workload.time_unit),
                                  format_duration(workload.duration)));
  }
  sum += sends;
  if (sum <= sends_max) return;
  map.fault("rate", fmt::format("rate is {:.6g} a {}, which makes {:.6g} messages in {}; expected "
                                "at most {:.0f} in all",
                                workload.rate, format_duration(workload.time_unit), sum,
                                format_duration(workload.duration), sends_max));
  sum = 0;
}

void check_trace(const MapReader& map, const Scenario& scenario) {
  const auto sends = static_cast<double>(
      std::ranges::count(scenario.trace, TraceEvent::Kind::send, &TraceEvent::kind));
  const double copies = scenario.workloads.front().copies;
  if (scenario.population.users > memberships_max || copies * sends > sends_max) {
    map.fault("copies", fmt::format("copies makes {:.6g} memberships and {:.6g} messages; expected "
                                    "at most {:.0f} and {:.0f}",
                                    double(scenario.population.users), copies * sends,
                                    memberships_max, sends_max));
  }
}

}  // namespace

void check_size(Faults& faults, MapReader& root, const Scenario& scenario) {
  const Node* workloads = root.find("scenarios");
  if (is_trace(scenario)) {
    return check_trace(MapReader{faults, workloads->items.front(), "trace"}, scenario);
  }
  Census census{scenario};
  if (const Node* population = root.find("population"); scenario.population.contacts > 0) {
    const double directs = double(scenario.population.contacts) * (scenario.population.users / 2);
    census.add(MapReader{faults, *population, "population"}, "contacts", directs, 2);
  }
  if (const Node* groups = root.find("groups"); groups != nullptr) {
    for (std::size_t i = 0; i < scenario.groups.size(); ++i) {
      const GroupClass& group = scenario.groups[i];
      census.add(MapReader{faults, groups->items.at(i), "group"}, "count", group.count,
                 group.members);
    }
  }
  double sends = 0;
  for (std::size_t i = 0; i < scenario.workloads.size(); ++i) {
    check_sends(MapReader{faults, workloads->items.at(i), "scenario"}, scenario.workloads[i],
                sends);
  }
}

}  // namespace clamor::scenario
