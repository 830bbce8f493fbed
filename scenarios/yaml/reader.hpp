#pragma once

#include "scenarios/yaml/document.hpp"
#include "server/base/time.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clamor::scenario {

/// Collects the faults of one file, so that a user sees all of them at once.
class Faults {
 public:
  explicit Faults(std::string file) : file_{std::move(file)} {}

  void add(Place place, const std::string& message);
  [[nodiscard]] bool none() const { return faults_.empty(); }
  [[nodiscard]] const std::string& file() const { return file_; }
  /// All of them as `file:line:column: message`, in the order of the file.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  struct Fault {
    Place place;
    std::string message;
  };
  std::string file_;
  std::vector<Fault> faults_;
};

/// Reads one mapping strictly: every key must be asked for, once, with the right type and range;
/// what is wrong goes to Faults, and the target keeps its default. Keys are "known" because they
/// were asked for, so a misspelt one is told the nearest; finish() reports the unknown ones.
///
///   MapReader map{faults, node, "heartbeat"};
///   map.read_duration("interval", settings.interval, 1ms);
///   map.finish();
class MapReader {
 public:
  /// `what` names the mapping in messages. A node that is no mapping is a fault (and reads empty).
  MapReader(Faults& faults, const Node& node, std::string what);

  [[nodiscard]] bool has(std::string_view key) const;
  /// The value under `key`, or nullptr; makes the key known.
  const Node* find(std::string_view key);
  /// As find, but absence is a fault.
  const Node* require(std::string_view key);
  [[nodiscard]] Place place_of(std::string_view key) const;  ///< Of its value; else the mapping's.
  [[nodiscard]] const std::string& what() const { return what_; }
  [[nodiscard]] Place place() const { return node_->place; }

  // Each returns whether the key was there and right; bounds are included.
  bool read_text(std::string_view key, std::string& out);
  bool read_bool(std::string_view key, bool& out);
  bool read_whole(std::string_view key, std::uint64_t& out, std::uint64_t min, std::uint64_t max);
  bool read_whole(std::string_view key, std::uint32_t& out, std::uint32_t min, std::uint32_t max);
  bool read_number(std::string_view key, double& out, double min, double max);
  bool read_duration(std::string_view key, Duration& out, Duration min = Duration{},
                     Duration max = Duration::max());

  /// One of `choices` by name; `unsupported` are names that exist elsewhere but not here.
  template <class Value>
  bool read_choice(std::string_view key, Value& out,
                   const std::vector<std::pair<std::string, Value>>& choices,
                   const std::vector<std::string>& unsupported = {}) {
    std::vector<std::string> names;
    for (const auto& choice : choices) names.push_back(choice.first);
    const std::size_t index = choice_index(key, names, unsupported);
    if (index >= choices.size()) return false;
    out = choices[index].second;
    return true;
  }

  /// Calls each(item) for the items of a list; one value that is no list is a fault.
  void read_list(std::string_view key, const std::function<void(const Node&)>& each);

  /// Makes a key known without reading it.
  void allow(std::string_view key) { asked_.insert(std::string{key}); }
  void fault(std::string_view key, const std::string& message) const;
  /// Reports unknown keys. Call last.
  void finish();

 private:
  std::size_t choice_index(std::string_view key, const std::vector<std::string>& names,
                           const std::vector<std::string>& unsupported);

  Faults* faults_;
  const Node* node_;
  std::string what_;
  std::set<std::string, std::less<>> asked_;
};

// Single values, for lists and mappings with free keys. `what` names the value in messages.
bool read_text(Faults& faults, const Node& node, std::string_view what, std::string& out);
bool read_whole(Faults& faults, const Node& node, std::string_view what, std::uint64_t& out,
                std::uint64_t min, std::uint64_t max);
bool read_number(Faults& faults, const Node& node, std::string_view what, double& out, double min,
                 double max);
bool read_duration(Faults& faults, const Node& node, std::string_view what, Duration& out,
                   Duration min = Duration{}, Duration max = Duration::max());

/// How a message shows a value: `"abc"`, `a list`, `a mapping`, `nothing`.
[[nodiscard]] std::string described(const Node& node);

}  // namespace clamor::scenario
