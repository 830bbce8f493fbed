#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <vector>

namespace clamor::scenario {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t ns;
};

// Descending, as they stand in a duration.
constexpr std::array units{
    Unit{"h", 3'600'000'000'000}, Unit{"m", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},         Unit{"ns", 1}};
constexpr double duration_max_ns = 9e18;

template <class Number>
std::optional<Number> parse_all(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view take_while(std::string_view& text, bool (*belongs)(char)) {
  std::size_t length = 0;
  while (length < text.size() && belongs(text[length])) ++length;
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

bool of_number(char c) { return (c >= '0' && c <= '9') || c == '.'; }
bool of_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t same = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + same});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

/// Whether `word` is `whole` with letters left out, as `cnt` is of `count`: not the first letter,
/// and no more than half of them.
bool abbreviates(std::string_view word, std::string_view whole) {
  if (word.empty() || whole.empty() || word[0] != whole[0] || word.size() * 2 < whole.size()) {
    return false;
  }
  std::size_t found = 0;
  for (const char c : whole) found += found < word.size() && word[found] == c ? 1 : 0;
  return found == word.size();
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  double total_ns = 0;
  auto next = units.begin();
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const auto amount = parse_number(take_while(text, of_number));
    const std::string_view name = take_while(text, of_word);
    const auto unit =
        std::find_if(next, units.end(), [name](const Unit& u) { return u.name == name; });
    if (!amount || unit == units.end()) return std::nullopt;
    total_ns += *amount * static_cast<double>(unit->ns);
    next = unit + 1;  // 30m1h is a slip, not an hour and a half
  }
  if (total_ns > duration_max_ns) return Duration::max();
  return Duration{std::llround(total_ns)};
}

std::string format_duration(Duration duration) {
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text;
  for (const Unit& unit : units) {
    if (rest >= unit.ns) text += fmt::format("{}{}", rest / unit.ns, unit.name);
    rest %= unit.ns;
  }
  return text;
}

std::optional<double> parse_number(std::string_view text) {
  const auto value = parse_all<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<std::uint64_t> parse_whole(std::string_view text) {
  return parse_all<std::uint64_t>(text);
}

std::optional<Threshold> parse_threshold(std::string_view expression) {
  using Aggregate = Threshold::Aggregate;
  using Comparison = Threshold::Comparison;
  static constexpr std::array aggregates{std::pair{std::string_view{"count"}, Aggregate::count},
                                         std::pair{std::string_view{"rate"}, Aggregate::rate},
                                         std::pair{std::string_view{"avg"}, Aggregate::avg},
                                         std::pair{std::string_view{"min"}, Aggregate::min},
                                         std::pair{std::string_view{"med"}, Aggregate::med},
                                         std::pair{std::string_view{"max"}, Aggregate::max},
                                         std::pair{std::string_view{"p"}, Aggregate::percentile}};
  // Longer operators first: "<=" begins with "<". k6 also knows "===".
  static constexpr std::array comparisons{std::pair{std::string_view{"==="}, Comparison::eq},
                                          std::pair{std::string_view{"<="}, Comparison::le},
                                          std::pair{std::string_view{">="}, Comparison::ge},
                                          std::pair{std::string_view{"=="}, Comparison::eq},
                                          std::pair{std::string_view{"!="}, Comparison::ne},
                                          std::pair{std::string_view{"<"}, Comparison::lt},
                                          std::pair{std::string_view{">"}, Comparison::gt}};
  Threshold threshold;
  take_while(expression, is_blank);
  const std::string_view name = take_while(expression, of_word);
  const auto aggregate = std::find_if(aggregates.begin(), aggregates.end(),
                                      [name](const auto& one) { return one.first == name; });
  if (aggregate == aggregates.end()) return std::nullopt;
  threshold.aggregate = aggregate->second;
  if (threshold.aggregate == Aggregate::percentile) {
    if (!expression.starts_with('(')) return std::nullopt;
    expression.remove_prefix(1);
    const auto percentile = parse_number(take_while(expression, of_number));
    if (!percentile || *percentile > 100 || !expression.starts_with(')')) return std::nullopt;
    expression.remove_prefix(1);
    threshold.percentile = *percentile;
  }
  take_while(expression, is_blank);
  const auto comparison =
      std::find_if(comparisons.begin(), comparisons.end(),
                   [&](const auto& one) { return expression.starts_with(one.first); });
  if (comparison == comparisons.end()) return std::nullopt;
  threshold.comparison = comparison->second;
  expression.remove_prefix(comparison->first.size());
  take_while(expression, is_blank);
  while (!expression.empty() && is_blank(expression.back())) expression.remove_suffix(1);
  const auto bound = parse_number(expression);
  if (!bound) return std::nullopt;
  threshold.bound = *bound;
  return threshold;
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  if (!best.empty()) return best;
  for (const std::string& candidate : candidates) {
    if (!abbreviates(word, candidate)) continue;
    if (best.empty() || candidate.size() < best.size()) best = candidate;
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const std::string meant = nearest(word, candidates);
  return meant.empty() ? "" : "; did you mean \"" + meant + "\"?";
}

std::string listed(std::span<const std::string> words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string quoted_yaml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

}  // namespace clamor::scenario
