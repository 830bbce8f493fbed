#include "scenarios/yaml/design.hpp"

#include "scenarios/yaml/values.hpp"

#include <fmt/format.h>
#include <limits>

namespace clamor::scenario {

const std::vector<std::string>& design_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const QueueDesign design : queue_designs) all.emplace_back(name_of(design));
    return all;
  }();
  return names;
}

bool read_design(Faults& faults, const Node& node, DesignSpec& design) {
  const auto& names = design_names();
  const bool with_knobs = node.kind == Node::Kind::map && node.keys.size() == 1;
  const std::string name = with_knobs ? node.keys[0].name : node.scalar;
  const Place place = with_knobs ? node.keys[0].place : node.place;
  if (!with_knobs && node.kind != Node::Kind::scalar) {
    faults.add(place, fmt::format("a design is {}; expected one of: {}, or {{hybrid: {{threshold: "
                                  "500}}}}",
                                  described(node), listed(names)));
    return false;
  }
  const auto known = design_from_name(name);
  if (!known) {
    faults.add(place, fmt::format("design \"{}\" is unknown; expected one of: {}{}", name,
                                  listed(names), did_you_mean(name, names)));
    return false;
  }
  design.design = *known;
  if (!with_knobs) return true;
  MapReader knobs{faults, node.items[0], name};
  if (*known == QueueDesign::hybrid) {
    knobs.read_whole("threshold", design.threshold, 1U, std::numeric_limits<std::uint32_t>::max());
    knobs.finish();
  } else if (*known == QueueDesign::adaptive) {
    knobs.read_whole("window", design.window, window_min, window_max);
    knobs.finish();
  } else {
    faults.add(node.items[0].place, fmt::format("design \"{}\" has no knobs; expected the name "
                                                "alone",
                                                name));
  }
  return true;
}

std::string design_yaml(const DesignSpec& design) {
  if (design.design == QueueDesign::hybrid) {
    return fmt::format("{{hybrid: {{threshold: {}}}}}", design.threshold);
  }
  if (design.design == QueueDesign::adaptive) {
    return fmt::format("{{adaptive: {{window: {}}}}}", design.window);
  }
  return std::string{name_of(design.design)};
}

}  // namespace clamor::scenario
