#pragma once

#include "reports/model/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::report {

/// `per_user`, `hybrid(500)`.
[[nodiscard]] std::string label_of(const DesignSpec& design);

/// "live" or "simulated".
[[nodiscard]] std::string_view label_of(Engine engine);

/// "groups of 2–600 members, 71 % of them online, 32 channels a user, 210 reconnects ..."
[[nodiscard]] std::string region_text(const Region& region);

/// Sizes of the groups, least to most: "2–600".
[[nodiscard]] std::string sizes_text(const Region& region);

/// 1234567 -> "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t n);

/// Three significant digits, thousands grouped: 0.0123, 4.1, 1,230,000.
[[nodiscard]] std::string short_number(double value);

/// "a; b; c".
[[nodiscard]] std::string joined(const std::vector<std::string>& items, std::string_view between);
/// "a, b and c".
[[nodiscard]] std::string listed(const std::vector<std::string>& items);

/// "× 4", "÷ 4" for 0.25.
[[nodiscard]] std::string factor_text(double factor);

/// 1.23 ms, 850 µs, 12.3 s: three significant digits.
[[nodiscard]] std::string duration_text(double ns);
/// 1.23 GiB, 512 B: three significant digits.
[[nodiscard]] std::string bytes_text(double bytes);

}  // namespace clamor::report
