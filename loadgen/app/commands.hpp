#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace clamor::loadgen {

/// Registers `clamor load`, and the hidden `clamor load-worker` that it starts.
void add_load_command(CLI::App& root, std::function<int()>& chosen);
void add_load_worker_command(CLI::App& root, std::function<int()>& chosen);

}  // namespace clamor::loadgen
