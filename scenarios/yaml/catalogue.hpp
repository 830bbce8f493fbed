#pragma once

#include <span>
#include <string_view>

namespace clamor::scenario {

/// A scenario file that is built into the binary.
struct CatalogueEntry {
  std::string_view name;  ///< Of its file, without .yaml.
  std::string_view text;
};

/// The files scenarios/*.yaml as they were at configure time, by name.
[[nodiscard]] std::span<const CatalogueEntry> catalogue();

}  // namespace clamor::scenario
