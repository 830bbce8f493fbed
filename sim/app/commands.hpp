#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace clamor::sim {

/// Registers `clamor sim`.
void add_sim_command(CLI::App& root, std::function<int()>& chosen);

}  // namespace clamor::sim
