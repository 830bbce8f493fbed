#include "scenarios/yaml/scenario_file.hpp"

#include "scenarios/yaml/catalogue.hpp"
#include "scenarios/yaml/sections.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

namespace clamor::scenario {

namespace fs = std::filesystem;

Parsed<Scenario> parse_scenario(const std::string& text, const std::string& file,
                                const std::string& directory) {
  const Parsed<Node> document = parse_yaml(text, file);
  if (!document.value) return {std::nullopt, document.errors};
  Faults faults{file};
  Scenario scenario;
  scenario.name = fs::path{file}.stem().string();
  MapReader root{faults, *document.value, "the scenario"};
  read_identity(root, scenario);
  read_population(faults, root, scenario);
  read_groups(faults, root, scenario);
  read_servers(faults, root, scenario);
  read_clients(faults, root, scenario);
  read_workloads(faults, root, directory, scenario);
  read_prefill(faults, root, scenario);
  read_faults(faults, root, scenario);
  read_simulate(faults, root, scenario);
  read_thresholds(faults, root, scenario);
  root.finish();
  if (faults.none()) check_size(faults, root, scenario);
  if (!faults.none()) return {std::nullopt, faults.lines()};
  return {std::move(scenario), {}};
}

Parsed<Scenario> read_scenario(const std::string& path) {
  const Parsed<std::string> text = read_text_file(path);
  if (!text.value) return {std::nullopt, text.errors};
  return parse_scenario(*text.value, path, fs::path{path}.parent_path().string());
}

Scenario load_scenario(const std::string& path_or_name) {
  std::error_code ec;
  if (fs::exists(path_or_name, ec)) return value_or_throw(read_scenario(path_or_name));
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : catalogue()) {
    if (entry.name == path_or_name) {
      return value_or_throw(
          parse_scenario(std::string{entry.text}, "scenarios/" + path_or_name + ".yaml", "."));
    }
    names.emplace_back(entry.name);
  }
  const std::string word = fs::path{path_or_name}.stem().string();
  throw ConfigError{{path_or_name + ": no such file; expected a scenario file or one of: " +
                     listed(names) + did_you_mean(word, names)}};
}

}  // namespace clamor::scenario
