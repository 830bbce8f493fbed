#include "loadgen/app/commands.hpp"
#include "reports/app/commands.hpp"
#include "scenarios/app/commands.hpp"
#include "scenarios/model/scenario.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/values.hpp"
#include "server/app/commands.hpp"
#include "server/operator/account_command.hpp"
#include "sim/app/commands.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <vector>

// The `clamor` command: says which commands there are, runs the one asked for, and turns what goes
// wrong into one message and an exit code. Everything else is in the folders' app parts.
namespace {

using namespace clamor;

constexpr int invalid_configuration = 104;
constexpr int internal_error = 1;

constexpr const char* description =
    "Which chat architecture, on how many servers, for these users, and what happens when one "
    "dies?\n"
    "A scenario describes users, traffic and faults; it runs against a real server and through a\n"
    "simulator that executes the server's own code. Every message is accounted for.";

constexpr const char* examples =
    "Examples:\n"
    "  clamor compare quickstart                  every design, live and simulated, one report\n"
    "  clamor load quickstart --design per_user   real connections against a real server\n"
    "  clamor sim quickstart --scale 500          a million users in virtual time\n"
    "  clamor scenario init my.yaml               a commented scenario to start from\n"
    "  clamor scenario check my.yaml              every fault of a file, with its place\n"
    "  clamor trace import irc.log -o irc.yaml    replay a real channel\n"
    "\n"
    "Exit codes: 0 passed, 99 a threshold failed, 104 invalid configuration, 105 interrupted,\n"
    "120 the load generator was the limit, 1 error.";

void add_commands(CLI::App& root, std::function<int()>& chosen) {
  report::add_compare_command(root, chosen);
  loadgen::add_load_command(root, chosen);
  sim::add_sim_command(root, chosen);
  server::add_serve_command(root, chosen);
  server::add_dev_cert_command(root, chosen);
  server::add_account_command(root, chosen);
  report::add_report_command(root, chosen);
  report::add_calibrate_command(root, chosen);
  scenario::add_scenario_command(root, chosen);
  scenario::add_trace_command(root, chosen);
  loadgen::add_load_worker_command(root, chosen);  // hidden: load starts it
}

/// A hint when a word stands where a command belongs and none is called so; else empty.
std::string mistyped_command(CLI::App& root, int argc, char** argv) {
  CLI::App* at = &root;
  std::string path = root.get_name();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with('-')) return "";
    CLI::App* next = nullptr;
    std::vector<std::string> names;
    for (CLI::App* command : at->get_subcommands([](CLI::App*) { return true; })) {
      if (command->get_name() == word) next = command;
      // A hidden command (an empty group) starts our own worker processes.
      if (!command->get_group().empty()) names.push_back(command->get_name());
    }
    if (names.empty()) return "";
    if (next == nullptr) {
      return path + ": no command \"" + word + "\"; expected one of: " + scenario::listed(names) +
             scenario::did_you_mean(word, names);
    }
    path += " " + word;
    at = next;
  }
  return "";
}

CLI::App* innermost(CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string full_name(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name()
                                      : full_name(app->get_parent()) + " " + app->get_name();
}

int print_error(const std::string& text, int code) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

int run(int argc, char** argv) {
  CLI::App root{description, "clamor"};
  root.set_version_flag("--version", "clamor " CLAMOR_VERSION);
  root.get_formatter()->column_width(34);
  root.option_defaults()->always_capture_default(false);
  std::function<int()> chosen;
  add_commands(root, chosen);
  root.footer(examples);  // after the commands, which would inherit it
  const std::string hint = mistyped_command(root, argc, argv);
  if (!hint.empty()) return print_error(hint, invalid_configuration);
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // help or version
    return root.exit(wanted);
  } catch (const CLI::ParseError& error) {
    const std::string name = full_name(innermost(&root));
    return print_error(name + ": " + error.what() + "\n`" + name + " --help` shows its options",
                       invalid_configuration);
  }
  if (!chosen) {  // `clamor`, or a command that only has commands
    const CLI::App* asked = innermost(&root);
    const CLI::App* parent = asked->get_parent();
    std::printf("%s", asked->help(parent == nullptr ? "" : full_name(parent)).c_str());
    return 0;
  }
  const int code = chosen();
  // What a full disk or a closed pipe swallowed must not pass for a result.
  errno = 0;
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return print_error(std::string{"clamor: cannot write to standard output: "} +
                           std::strerror(errno == 0 ? EIO : errno),
                       internal_error);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const scenario::ConfigError& error) {
    return print_error(error.what(), invalid_configuration);
  } catch (const scenario::ScaleError& error) {
    return print_error(std::string{"clamor: "} + error.what(), invalid_configuration);
  } catch (const std::bad_alloc&) {
    return print_error("clamor: not enough memory for this population; lower --scale",
                       internal_error);
  } catch (const std::exception& error) {
    return print_error(std::string{"clamor: "} + error.what(), internal_error);
  }
}
