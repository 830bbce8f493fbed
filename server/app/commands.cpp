#include "server/app/commands.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "server/app/server.hpp"
#include "server/app/settings.hpp"
#include "server/core/limits.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace clamor::server {
namespace {

struct ServeOptions {
  std::string config;
  std::string listen;
  std::string data;
  std::uint32_t nodes = 0;           ///< 0: as the settings say.
  std::vector<std::uint32_t> hosts;  ///< Empty: as the settings say.
  bool print_config = false;
};

constexpr const char* secret_variable = "CLAMOR_SECRET";

Settings effective_settings(const ServeOptions& options) {
  Settings settings = options.config.empty() ? Settings{} : read_settings(options.config);
  if (const char* const secret = std::getenv(secret_variable)) settings.secret = secret;
  const auto refuse_beside_list = [&settings](const char* flag) {
    if (settings.places.empty()) return;
    throw scenario::ConfigError{{fmt::format(
        "{} does not go with the list of `nodes` in the settings, which says it for each", flag)}};
  };
  if (!options.listen.empty()) {
    refuse_beside_list("--listen");
    set_listen(settings, options.listen, "--listen");
  }
  if (options.nodes != 0) {
    refuse_beside_list("--nodes");
    settings.nodes = options.nodes;
  }
  if (!options.data.empty()) settings.data = options.data;
  if (!options.hosts.empty()) {
    settings.hosts.clear();
    for (const std::uint32_t node : options.hosts) settings.hosts.push_back({node});
    std::sort(settings.hosts.begin(), settings.hosts.end());
  }
  const auto faults = faults_of(settings);
  if (!faults.empty()) throw scenario::ConfigError{faults};
  return settings;
}

int run(const ServeOptions& options) {
  const Settings settings = effective_settings(options);
  if (options.print_config) {
    std::fputs(print_settings(settings).c_str(), stdout);
    return 0;
  }
  if (settings.secret.empty()) {
    throw scenario::ConfigError{
        {"no secret for login tokens; expected `secret: <long random text>` "
         "in the file given by --config, or CLAMOR_SECRET"}};
  }
  if (settings.secret.size() < secret_bytes_min) {
    throw scenario::ConfigError{
        {fmt::format("{} has {} characters; expected a random text of at least {}, e.g. the output "
                     "of `openssl rand -hex 32`",
                     secret_variable, settings.secret.size(), secret_bytes_min)}};
  }
  serve(settings, [&](std::span<const std::uint16_t> ports) {
    const auto nodes = hosted(settings);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      std::printf("listening on %s:%u\n", listen_of(settings, nodes[i]).host.c_str(), ports[i]);
    }
    std::fflush(stdout);
  });
  return 0;
}

}  // namespace

void add_serve_command(CLI::App& root, std::function<int()>& chosen) {
  const auto options = std::make_shared<ServeOptions>();
  CLI::App* const command = root.add_subcommand("serve", "Run a server until SIGTERM or SIGINT");
  command->add_option("--config", options->config, "Settings file (YAML); unknown keys are errors");
  command->add_option("--listen", options->listen, "ADDRESS:PORT; port 0 takes any free one");
  command->add_option("--data", options->data, "Data directory, created where missing");
  command
      ->add_option("--nodes", options->nodes,
                   "Nodes in this process, each with a gateway port, from that of --listen on")
      ->check(CLI::Range(1U, core::nodes_of_a_process_max));
  command
      ->add_option("--host", options->hosts,
                   "Nodes in this process, by their place from 0 on in the list of `nodes` in the "
                   "settings; the other ones run in other processes, with the same settings")
      ->delimiter(',');
  command->add_flag("--print-config", options->print_config,
                    "Print the effective settings (without the secret) and stop");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace clamor::server
