#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace clamor::server {

/// Adds `clamor account set|remove`: sets a user's password at a running server, or removes it.
void add_account_command(CLI::App& root, std::function<int()>& chosen);

}  // namespace clamor::server
