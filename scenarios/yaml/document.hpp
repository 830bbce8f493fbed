#pragma once

#include "scenarios/yaml/config_error.hpp"

#include <string>
#include <vector>

namespace clamor::scenario {

/// Where something stands in a file, both from 1.
struct Place {
  int line = 1;
  int column = 1;
};

/// One YAML value with its place. A plain tree: aliases are resolved, keys keep their order, and
/// a key that stands twice is kept twice (readers report it).
struct Node {
  enum class Kind { null, scalar, sequence, map };
  struct Key {
    std::string name;
    Place place;
  };

  Kind kind = Kind::null;
  Place place;
  std::string scalar;
  bool quoted = false;      ///< A quoted scalar is text, never a number.
  std::vector<Key> keys;    ///< map only, beside `items`.
  std::vector<Node> items;  ///< Items of a sequence, or values of a map.
};

/// Parses one YAML document. `file` only names the source in errors. Files beyond a megabyte,
/// more than one document, and keys that are no scalars are errors.
[[nodiscard]] Parsed<Node> parse_yaml(const std::string& text, const std::string& file);

/// Reads a whole text file; the error says whether it is missing, a directory or unreadable.
[[nodiscard]] Parsed<std::string> read_text_file(const std::string& path);

/// "file:line:column: message"
[[nodiscard]] std::string located(const std::string& file, Place place, const std::string& message);

}  // namespace clamor::scenario
