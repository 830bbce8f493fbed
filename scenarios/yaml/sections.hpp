#pragma once

#include "scenarios/model/scenario.hpp"
#include "scenarios/yaml/reader.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// The parts of a scenario file. Each reads its keys from the root mapping into the scenario; what
// they check against each other lets them be called in the order below only.
namespace clamor::scenario {

void read_identity(MapReader& root, Scenario& scenario);
void read_population(Faults& faults, MapReader& root, Scenario& scenario);
void read_groups(Faults& faults, MapReader& root, Scenario& scenario);
void read_servers(Faults& faults, MapReader& root, Scenario& scenario);
void read_clients(Faults& faults, MapReader& root, Scenario& scenario);
/// `directory` is where relative paths start. A trace fills population and groups.
void read_workloads(Faults& faults, MapReader& root, const std::string& directory,
                    Scenario& scenario);
void read_prefill(Faults& faults, MapReader& root, Scenario& scenario);
void read_faults(Faults& faults, MapReader& root, Scenario& scenario);
void read_simulate(Faults& faults, MapReader& root, Scenario& scenario);
void read_thresholds(Faults& faults, MapReader& root, Scenario& scenario);

/// Refuses what is more than can run, or sends nothing. Only for a scenario without other faults.
void check_size(Faults& faults, MapReader& root, const Scenario& scenario);

/// "direct" where there are contacts, then the groups: what a mix or a tag may name.
[[nodiscard]] std::vector<std::string> class_names(const Scenario& scenario);

/// Whether a workload of the file has the executor `trace`.
[[nodiscard]] bool declares_trace(MapReader& root);

/// Reads a mapping of names or numbers to shares that must sum to 1, each in [0, 1].
/// `keep` gets each key and share, and judges the key.
void read_shares(Faults& faults, MapReader& map, std::string_view key,
                 const std::function<void(const Node::Key&, double)>& keep);

}  // namespace clamor::scenario
