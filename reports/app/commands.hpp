#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace clamor::report {

/// Registers `clamor compare`: every design, live and simulated, one report.
void add_compare_command(CLI::App& root, std::function<int()>& chosen);
/// Registers `clamor report`: renders result files anew.
void add_report_command(CLI::App& root, std::function<int()>& chosen);
/// Registers `clamor calibrate`: measures this machine's costs for the simulator.
void add_calibrate_command(CLI::App& root, std::function<int()>& chosen);

}  // namespace clamor::report
