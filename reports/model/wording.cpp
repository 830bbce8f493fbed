#include "reports/model/wording.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace clamor::report {

std::string label_of(const DesignSpec& design) {
  std::string label{name_of(design.design)};
  if (design.design == QueueDesign::hybrid) label += "(" + std::to_string(design.threshold) + ")";
  if (design.design == QueueDesign::adaptive) label += "(" + std::to_string(design.window) + ")";
  return label;
}

std::string_view label_of(Engine engine) { return engine == Engine::live ? "live" : "simulated"; }

std::string grouped(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string short_number(double value) {
  if (std::isnan(value)) return "unknown";
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  if (value < 0) return "−" + short_number(-value);
  if (value == 0) return "0";
  const int magnitude = static_cast<int>(std::floor(std::log10(value)));
  if (magnitude >= 2) {
    // an integer of up to three digits stays as it is; larger ones keep three significant digits
    const double step = std::pow(10, std::max(0, magnitude - 2));
    const double rounded = std::round(value / step) * step;
    return grouped(static_cast<std::uint64_t>(rounded));
  }
  std::array<char, 32> text{};
  const int decimals = std::min(9, 2 - magnitude);
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  std::string out = text.data();
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out;
}

std::string joined(const std::vector<std::string>& items, std::string_view between) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += between;
    text += items[i];
  }
  return text;
}

std::string listed(const std::vector<std::string>& items) {
  if (items.size() < 2) return joined(items, "");
  return joined({items.begin(), items.end() - 1}, ", ") + " and " + items.back();
}

std::string factor_text(double factor) {
  return factor >= 1 ? "× " + short_number(factor) : "÷ " + short_number(1 / factor);
}

std::string duration_text(double ns) {
  if (ns >= 1e9) return short_number(ns / 1e9) + " s";
  if (ns >= 1e6) return short_number(ns / 1e6) + " ms";
  if (ns >= 1e3) return short_number(ns / 1e3) + " µs";
  return short_number(ns) + (ns == 0 ? "" : " ns");
}

std::string bytes_text(double bytes) {
  constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return short_number(bytes) + " " + units[unit];
}

std::string sizes_text(const Region& region) {
  std::uint32_t least = ~0U;
  std::uint32_t most = 0;
  for (const GroupFacts& group : region.groups) {
    least = std::min(least, group.members);
    most = std::max(most, group.members);
  }
  if (region.groups.empty()) least = 0;
  return least == most ? grouped(least) : grouped(least) + "–" + grouped(most);
}

std::string region_text(const Region& region) {
  return "groups of " + sizes_text(region) + " members, " + short_number(region.online * 100) +
         " % of users online, " + short_number(region.channels_per_user) + " channels a user and " +
         short_number(region.reconnects_per_user_hour) + " reconnects per user and hour";
}

}  // namespace clamor::report
