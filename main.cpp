#include "scenarios/yaml/config_error.hpp"
#include "server/app/commands.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <exception>
#include <functional>

namespace {

// As in k6 where the thing is the same; the commands return further ones themselves.
constexpr int exit_internal_error = 1;
constexpr int exit_invalid_configuration = 104;

}  // namespace

/// Dispatch only: every command lives in an app folder and says here how it is called.
int main(int argc, char** argv) {
  CLI::App app{"Clamor: which chat architecture, on how many servers, for these users?"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "clamor 0.1.0");
  std::function<int()> chosen;
  clamor::server::add_serve_command(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == 0;  // --help, --version
    return app.exit(error) == 0 && asked ? 0 : exit_invalid_configuration;
  }
  try {
    return chosen();
  } catch (const clamor::scenario::ConfigError& error) {
    std::fprintf(stderr, "clamor: %s\n", error.what());
    return exit_invalid_configuration;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "clamor: internal error: %s\n", error.what());
    return exit_internal_error;
  }
}
