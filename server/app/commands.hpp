#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace clamor::server {

/// Registers `clamor serve`; its callback sets `chosen` to what runs the server and returns the
/// exit code.
void add_serve_command(CLI::App& root, std::function<int()>& chosen);

/// Registers `clamor dev-cert`.
void add_dev_cert_command(CLI::App& root, std::function<int()>& chosen);

}  // namespace clamor::server
