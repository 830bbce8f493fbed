#pragma once

#include "scenarios/model/scenario.hpp"
#include "server/base/time.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clamor::scenario {

/// Parses `30s`, `5m`, `1h30m`, `500ms`, `1.5s` (units h, m, s, ms, us, ns); nullopt otherwise. One
/// beyond what 64 bits of nanoseconds hold is Duration::max().
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);

/// Writes a duration so that parse_duration gives it back exactly: `1h30m`, `12s`, `500ms`.
[[nodiscard]] std::string format_duration(Duration duration);

/// The whole text as a number; no sign unless negative, no trailing characters, finite.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);
[[nodiscard]] std::optional<std::uint64_t> parse_whole(std::string_view text);

/// Parses k6's threshold expression (`p(99)<250`, `count==0`) into aggregate, comparison and bound.
/// nullopt otherwise; metric, tags and text are left to the caller.
[[nodiscard]] std::optional<Threshold> parse_threshold(std::string_view expression);

/// The candidate closest to `word` by edit distance, else one that it abbreviates; empty if none is
/// close enough to be meant.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// `; did you mean "..."?`, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string> candidates);

/// The text as a YAML scalar in double quotes, escaped.
[[nodiscard]] std::string quoted_yaml(std::string_view text);

/// "a, b, c"
[[nodiscard]] std::string listed(std::span<const std::string> words);

}  // namespace clamor::scenario
