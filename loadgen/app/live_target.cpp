// A deployment that is not ours: is it what the run is said to be of?

#include "loadgen/app/live_run.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/design.hpp"

#include <fmt/format.h>

namespace clamor::loadgen {

using namespace std::chrono_literals;

namespace {

/// As a server's /metrics has it: what its data depends on, which a window does not.
std::string as_metrics_have(const DesignSpec& design) {
  if (design.design != QueueDesign::hybrid) return std::string{name_of(design.design)};
  return fmt::format("hybrid up to {} members", design.threshold);
}

}  // namespace

void LiveRun::check_target() {
  const auto sample = scrape(targets_, 5s);
  if (!sample || sample->design.empty()) return;  // The workers say why, or it tells nothing.
  const std::string wanted = as_metrics_have(options_.design);
  if (sample->design != wanted) {
    throw scenario::ConfigError{
        {fmt::format("--target: the design of {} is {}, but the run is to be of {}; expected "
                     "another --design, or "
                     "a server with `design: {}`",
                     url_, sample->design, wanted, scenario::design_yaml(options_.design))}};
  }
  if (sample->nodes_up > targets_.size()) {
    throw scenario::ConfigError{{fmt::format(
        "--target: {} names {} of a deployment of {} nodes; expected all of them, commas between, "
        "or what the others do is in no count",
        url_, targets_.size(), sample->nodes_up)}};
  }
  result_.durability = sample->durability;
}

}  // namespace clamor::loadgen
