#include "scenarios/app/commands.hpp"
#include "scenarios/app/output_file.hpp"
#include "scenarios/app/starting_scenario.hpp"
#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/catalogue.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "scenarios/yaml/values.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>

namespace clamor::scenario {

namespace {

struct CheckOptions {
  std::vector<std::string> scenarios;
  bool effective = false;
};

struct InitOptions {
  std::string file = "scenario.yaml";
  bool force = false;
};

std::string population_line(const Scenario& scenario) {
  const Plan plan{scenario};
  return fmt::format("{} users, {} clients, {} channels, {} messages in {}", plan.users(),
                     plan.clients(), plan.channels(), plan.send_count(),
                     format_duration(plan.duration()));
}

/// All faults of all files, so that one look suffices.
int check(const CheckOptions& options) {
  std::vector<std::string> errors;
  for (const std::string& argument : options.scenarios) {
    try {
      const Scenario scenario = load_scenario(argument);
      if (options.effective) {
        fmt::print("{}", write_effective(scenario));
        continue;
      }
      fmt::print("{}: ok: {}\n", argument, population_line(scenario));
      if (scenario.simulate_scale != 1) {
        fmt::print("{}: simulated, times {}: {}\n", argument, scenario.simulate_scale,
                   population_line(scaled(scenario, scenario.simulate_scale)));
      }
    } catch (const ConfigError& error) {
      errors.insert(errors.end(), error.errors().begin(), error.errors().end());
    } catch (const ScaleError& error) {
      errors.push_back(argument + ": " + error.what());
    }
  }
  if (!errors.empty()) throw ConfigError{errors};
  return 0;
}

int list() {
  for (const CatalogueEntry& entry : catalogue()) {
    const Scenario scenario = load_scenario(std::string{entry.name});
    fmt::print("{:<18}{}\n{:<18}{}\n", entry.name, scenario.description, "",
               population_line(scenario));
  }
  fmt::print("\nA scenario is named like this, or by its file: clamor compare quickstart\n");
  return 0;
}

int init(const InitOptions& options) {
  std::error_code ec;
  if (!options.force && std::filesystem::exists(options.file, ec)) {
    throw ConfigError{{options.file + ": exists already; name another file, or give --force"}};
  }
  write_text_file(options.file, starting_scenario(name_for(options.file)));
  fmt::print("{0}: written; edit it, then\n  clamor scenario check {0}\n  clamor compare {0}\n",
             options.file);
  return 0;
}

}  // namespace

void add_scenario_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* scenario =
      root.add_subcommand("scenario", "Check scenario files, list the catalogue, start a new one");

  auto checked = std::make_shared<CheckOptions>();
  CLI::App* check_command =
      scenario->add_subcommand("check", "Report every fault of scenario files, with its place");
  check_command
      ->add_option("SCENARIO", checked->scenarios, "Scenario files, or names of the catalogue")
      ->required();
  check_command->add_flag("--effective", checked->effective,
                          "Print the scenario with every default filled in");
  check_command->callback([&chosen, checked] { chosen = [checked] { return check(*checked); }; });

  CLI::App* list_command =
      scenario->add_subcommand("list", "List the scenarios that clamor brings along");
  list_command->callback([&chosen] { chosen = [] { return list(); }; });

  auto started = std::make_shared<InitOptions>();
  CLI::App* init_command =
      scenario->add_subcommand("init", "Write a commented scenario to start from");
  init_command->add_option("FILE", started->file, "Where to")->capture_default_str();
  init_command->add_flag("--force", started->force, "Replace the file if it exists");
  init_command->callback([&chosen, started] { chosen = [started] { return init(*started); }; });
}

}  // namespace clamor::scenario
