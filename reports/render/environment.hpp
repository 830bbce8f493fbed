#pragma once

#include "reports/model/result.hpp"

#include <span>
#include <string>
#include <string_view>

namespace clamor::report {

inline constexpr std::string_view clamor_version = "0.1.0";

/// Describes this machine and this moment: version, CPU and cores, kernel, UTC time. The caller
/// adds `placement` and `command`.
[[nodiscard]] Environment current_environment();

/// Now, as 2026-11-24T04:05:06Z.
[[nodiscard]] std::string utc_timestamp();

/// Arguments as one would type them in a shell: quoted where needed.
[[nodiscard]] std::string shell_command(std::span<const std::string> arguments);

}  // namespace clamor::report
