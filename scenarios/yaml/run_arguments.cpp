#include "scenarios/yaml/run_arguments.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/design.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace clamor::scenario {
namespace {

/// Far more than cores; a slip of the finger must not start ten thousand processes.
constexpr std::uint32_t workers_max = 1024;

}  // namespace

std::optional<DesignSpec> parse_design(std::string_view text, const Scenario& scenario) {
  const std::size_t open = text.find('(');
  const auto design = design_from_name(text.substr(0, open));
  if (!design) return std::nullopt;
  if (open == std::string_view::npos) {
    const auto named = std::find_if(scenario.designs.begin(), scenario.designs.end(),
                                    [&](const DesignSpec& spec) { return spec.design == *design; });
    return named == scenario.designs.end() ? DesignSpec{*design} : *named;
  }
  if (!text.ends_with(')')) return std::nullopt;
  const auto knob = parse_whole(text.substr(open + 1, text.size() - open - 2));
  if (!knob || *knob == 0 || *knob > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  DesignSpec spec{*design};
  if (*design == QueueDesign::hybrid) {
    spec.threshold = static_cast<std::uint32_t>(*knob);
  } else if (*design == QueueDesign::adaptive && *knob >= window_min && *knob <= window_max) {
    spec.window = static_cast<std::uint32_t>(*knob);
  } else {
    return std::nullopt;
  }
  return spec;
}

std::optional<DesignSpec> ArgumentReader::design(const char* option, const std::string& text,
                                                 const Scenario& scenario) {
  auto design = parse_design(text, scenario);
  if (!design) {
    fault(fmt::format("{}: '{}' is no queue design; expected {}{}", option, text, design_choices,
                      did_you_mean(text, design_names())));
  }
  return design;
}

DesignSpec ArgumentReader::design_or_first(const char* option, const Typed& text,
                                           const Scenario& scenario) {
  const DesignSpec first = scenario.designs.empty() ? DesignSpec{} : scenario.designs.front();
  return text ? design(option, *text, scenario).value_or(first) : first;
}

std::optional<double> ArgumentReader::scale(const Typed& text) {
  if (!text) return std::nullopt;
  const auto scale = parse_number(*text);
  if (scale && *scale > 0) return scale;
  fault(fmt::format("--scale: expected a number above 0, found '{}'", *text));
  return std::nullopt;
}

std::optional<std::uint64_t> ArgumentReader::seed(const Typed& text) {
  if (!text) return std::nullopt;
  const auto seed = parse_whole(*text);
  if (!seed) {
    fault(fmt::format("--seed: expected a whole number from 0 to {}, found '{}'",
                      std::numeric_limits<std::uint64_t>::max(), *text));
  }
  return seed;
}

std::optional<std::uint32_t> ArgumentReader::workers(const Typed& text) {
  if (!text) return std::nullopt;
  const auto workers = parse_whole(*text);
  if (workers && *workers >= 1 && *workers <= workers_max) {
    return static_cast<std::uint32_t>(*workers);
  }
  fault(
      fmt::format("--workers: expected a whole number from 1 to {}, found '{}'; without it there "
                  "are as many as the clients need",
                  workers_max, *text));
  return std::nullopt;
}

std::optional<Duration> ArgumentReader::until(const Typed& text, Duration longest) {
  if (!text) return std::nullopt;
  const auto until = parse_duration(*text);
  if (until && *until > Duration{} && *until <= longest) return until;
  fault(
      fmt::format("--until: expected a duration such as 500ms, 12s or 1m30s, above 0 and at most "
                  "the scenario's {}, found '{}'",
                  format_duration(longest), *text));
  return std::nullopt;
}

std::string ArgumentReader::words(const char* option, const Typed& text, const char* expected) {
  if (text && text->empty()) fault(fmt::format("{}: expected {}, found ''", option, expected));
  return text.value_or("");
}

void ArgumentReader::throw_if_any() const {
  if (!faults_.empty()) throw ConfigError{faults_};
}

}  // namespace clamor::scenario
