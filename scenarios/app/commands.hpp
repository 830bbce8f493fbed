#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace clamor::scenario {

/// Registers `clamor scenario check|list|init`.
void add_scenario_command(CLI::App& root, std::function<int()>& chosen);
/// Registers `clamor trace import`.
void add_trace_command(CLI::App& root, std::function<int()>& chosen);

}  // namespace clamor::scenario
