#include "scenarios/yaml/reader.hpp"

#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace clamor::scenario {

namespace {

constexpr std::size_t shown_bytes = 60;  // of a user's value in a message

std::string range_text(std::string_view kind, double min, double max, bool open_above) {
  return open_above ? fmt::format("{} of at least {}", kind, min)
                    : fmt::format("{} from {} to {}", kind, min, max);
}

void wrong_type(Faults& faults, const Node& node, std::string_view what,
                const std::string& expected) {
  faults.add(node.place, fmt::format("{} is {}; expected {}", what, described(node), expected));
}

bool plain_scalar(const Node& node) { return node.kind == Node::Kind::scalar && !node.quoted; }

}  // namespace

void Faults::add(Place place, const std::string& message) { faults_.push_back({place, message}); }

std::vector<std::string> Faults::lines() const {
  std::vector<Fault> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
  });
  std::vector<std::string> lines;
  for (const Fault& fault : sorted) lines.push_back(located(file_, fault.place, fault.message));
  return lines;
}

std::string described(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "empty";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::map:
      return "a mapping";
    case Node::Kind::scalar:
      break;
  }
  const bool cut = node.scalar.size() > shown_bytes;
  return (node.quoted ? "the text \"" : "\"") + node.scalar.substr(0, shown_bytes) +
         (cut ? "...\"" : "\"");
}

// --- single values -------------------------------------------------------------------------------

bool read_text(Faults& faults, const Node& node, std::string_view what, std::string& out) {
  if (node.kind != Node::Kind::scalar) {
    wrong_type(faults, node, what, "text");
    return false;
  }
  out = node.scalar;
  return true;
}

bool read_whole(Faults& faults, const Node& node, std::string_view what, std::uint64_t& out,
                std::uint64_t min, std::uint64_t max) {
  const auto value = plain_scalar(node) ? parse_whole(node.scalar) : std::nullopt;
  if (!value || *value < min || *value > max) {
    const bool open_above = max == std::numeric_limits<std::uint64_t>::max();
    wrong_type(faults, node, what,
               open_above ? fmt::format("a whole number of at least {}", min)
                          : fmt::format("a whole number from {} to {}", min, max));
    return false;
  }
  out = *value;
  return true;
}

bool read_number(Faults& faults, const Node& node, std::string_view what, double& out, double min,
                 double max) {
  const auto value = plain_scalar(node) ? parse_number(node.scalar) : std::nullopt;
  if (!value || *value < min || *value > max) {
    const bool open_above = max == std::numeric_limits<double>::max();
    wrong_type(faults, node, what, range_text("a number", min, max, open_above));
    return false;
  }
  out = *value;
  return true;
}

bool read_duration(Faults& faults, const Node& node, std::string_view what, Duration& out,
                   Duration min, Duration max) {
  const auto value = node.kind == Node::Kind::scalar ? parse_duration(node.scalar) : std::nullopt;
  if (!value) {
    const bool bare = node.kind == Node::Kind::scalar && parse_number(node.scalar).has_value();
    wrong_type(faults, node, what,
               "a duration with its unit, such as 500ms, 30s, 5m or 1h30m" +
                   (bare ? "; did you mean \"" + node.scalar + "s\"?" : ""));
    return false;
  }
  if (*value < min || *value > max || *value == Duration::max()) {
    wrong_type(faults, node, what,
               max == Duration::max()
                   ? "a duration of at least " + format_duration(min) + " and below 285 years"
                   : "a duration from " + format_duration(min) + " to " + format_duration(max));
    return false;
  }
  out = *value;
  return true;
}

// --- mappings ------------------------------------------------------------------------------------

MapReader::MapReader(Faults& faults, const Node& node, std::string what)
    : faults_{&faults}, node_{&node}, what_{std::move(what)} {
  if (node.kind != Node::Kind::map) wrong_type(faults, node, what_, "a mapping of keys to values");
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const auto first = std::find_if(node.keys.begin(), node.keys.end(), [&](const Node::Key& key) {
      return key.name == node.keys[i].name;
    });
    if (first->place.line != node.keys[i].place.line ||
        first->place.column != node.keys[i].place.column) {
      faults.add(node.keys[i].place,
                 fmt::format("\"{}\" stands twice in {}; the first is in line {}; expected one",
                             first->name, what_, first->place.line));
    }
  }
}

bool MapReader::has(std::string_view key) const {
  return std::any_of(node_->keys.begin(), node_->keys.end(),
                     [key](const Node::Key& one) { return one.name == key; });
}

const Node* MapReader::find(std::string_view key) {
  allow(key);
  for (std::size_t i = 0; i < node_->keys.size(); ++i) {
    if (node_->keys[i].name == key) return &node_->items[i];
  }
  return nullptr;
}

const Node* MapReader::require(std::string_view key) {
  const Node* found = find(key);
  if (found == nullptr && node_->kind == Node::Kind::map) {
    faults_->add(node_->place, fmt::format("{} lacks \"{}\"", what_, key));
  }
  return found;
}

Place MapReader::place_of(std::string_view key) const {
  for (std::size_t i = 0; i < node_->keys.size(); ++i) {
    if (node_->keys[i].name == key) return node_->items[i].place;
  }
  return node_->place;
}

void MapReader::fault(std::string_view key, const std::string& message) const {
  faults_->add(place_of(key), message);
}

bool MapReader::read_text(std::string_view key, std::string& out) {
  const Node* node = find(key);
  return node != nullptr && scenario::read_text(*faults_, *node, key, out);
}

bool MapReader::read_bool(std::string_view key, bool& out) {
  return read_choice<bool>(key, out, {{"true", true}, {"false", false}});
}

bool MapReader::read_whole(std::string_view key, std::uint64_t& out, std::uint64_t min,
                           std::uint64_t max) {
  const Node* node = find(key);
  return node != nullptr && scenario::read_whole(*faults_, *node, key, out, min, max);
}

bool MapReader::read_whole(std::string_view key, std::uint32_t& out, std::uint32_t min,
                           std::uint32_t max) {
  std::uint64_t wide = out;
  if (!read_whole(key, wide, std::uint64_t{min}, std::uint64_t{max})) return false;
  out = static_cast<std::uint32_t>(wide);
  return true;
}

bool MapReader::read_number(std::string_view key, double& out, double min, double max) {
  const Node* node = find(key);
  return node != nullptr && scenario::read_number(*faults_, *node, key, out, min, max);
}

bool MapReader::read_duration(std::string_view key, Duration& out, Duration min, Duration max) {
  const Node* node = find(key);
  return node != nullptr && scenario::read_duration(*faults_, *node, key, out, min, max);
}

void MapReader::read_list(std::string_view key, const std::function<void(const Node&)>& each) {
  const Node* node = find(key);
  if (node == nullptr) return;
  if (node->kind != Node::Kind::sequence) {
    wrong_type(*faults_, *node, key, "a list");
    return;
  }
  for (const Node& item : node->items) each(item);
}

std::size_t MapReader::choice_index(std::string_view key, const std::vector<std::string>& names,
                                    const std::vector<std::string>& unsupported) {
  const Node* node = find(key);
  if (node == nullptr) return names.size();
  if (node->kind != Node::Kind::scalar) {
    wrong_type(*faults_, *node, key, "one of: " + listed(names));
    return names.size();
  }
  const auto name = std::find(names.begin(), names.end(), node->scalar);
  if (name != names.end()) return static_cast<std::size_t>(name - names.begin());
  const bool elsewhere =
      std::find(unsupported.begin(), unsupported.end(), node->scalar) != unsupported.end();
  if (elsewhere) {
    faults_->add(node->place, fmt::format("{} \"{}\" is not supported yet; expected one of: {}",
                                          key, node->scalar, listed(names)));
  } else {
    wrong_type(*faults_, *node, key,
               "one of: " + listed(names) + did_you_mean(node->scalar, names));
  }
  return names.size();
}

void MapReader::finish() {
  const std::vector<std::string> known(asked_.begin(), asked_.end());
  for (const Node::Key& key : node_->keys) {
    if (asked_.contains(key.name)) continue;
    faults_->add(key.place, fmt::format("unknown key \"{}\" in {}; expected {}{}", key.name, what_,
                                        listed(known), did_you_mean(key.name, known)));
  }
}

}  // namespace clamor::scenario
