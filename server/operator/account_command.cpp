#include "server/operator/account_command.hpp"

#include "loadgen/net/target.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "server/app/settings.hpp"
#include "server/operator/client.hpp"
#include "server/protocol/codec.hpp"
#include "server/token/password.hpp"
#include "server/token/token.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <termios.h>
#include <unistd.h>
#include <variant>
#include <vector>

namespace clamor::server {
namespace {

/// Hashing waits behind the passwords of those who log in.
constexpr std::chrono::seconds patience{60};
/// So long the operator token holds that is made for one request.
constexpr std::int64_t operator_token_seconds = 300;

struct AccountOptions {
  std::uint64_t user = 0;
  std::string config;
  std::string target;
  std::string authority;
};

/// Keeps a terminal from showing what is typed.
class NoEcho {
 public:
  NoEcho() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
  }
  ~NoEcho() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

token::Password read_line(const char* prompt) {
  const bool asks = isatty(STDIN_FILENO) == 1;
  if (asks) {
    std::fputs(prompt, stderr);
    std::fflush(stderr);
  }
  std::string line;
  {
    const NoEcho no_echo;
    std::getline(std::cin, line);
  }
  if (asks) std::fputs("\n", stderr);
  token::Password password{line};
  // The string's own memory goes back as it is; overwrite what was typed.
  std::fill(line.begin(), line.end(), '\0');
  return password;
}

/// From a terminal, typed twice; else the first line of standard input.
token::Password read_password() {
  token::Password password = read_line("password: ");
  const std::size_t bytes = password.view().size();
  if (bytes < token::password_bytes_min || bytes > token::password_bytes_max) {
    throw scenario::ConfigError{
        {fmt::format("the password on standard input has {} bytes; expected a line of {} to {}",
                     bytes, token::password_bytes_min, token::password_bytes_max)}};
  }
  if (isatty(STDIN_FILENO) == 1 && read_line("again: ").view() != password.view()) {
    throw scenario::ConfigError{{"the two passwords differ; nothing was changed"}};
  }
  return password;
}

Settings settings_of(const AccountOptions& options) {
  Settings settings = options.config.empty() ? Settings{} : read_settings(options.config);
  if (const char* const secret = std::getenv("CLAMOR_SECRET")) settings.secret = secret;
  if (settings.secret.empty()) {
    throw scenario::ConfigError{
        {"no secret; expected the server's settings file (--config) with its `secret`, or "
         "CLAMOR_SECRET"}};
  }
  return settings;
}

/// Where the settings say that the server listens, unless told otherwise.
loadgen::Target target_of(const AccountOptions& options, const Settings& settings) {
  std::string url = options.target;
  if (url.empty()) {
    const Address listen = settings.places.empty() ? settings.listen : settings.places[0].listen;
    url = fmt::format("{}://{}", settings.tls ? "wss" : "ws", print_address(listen));
  }
  std::string error;
  auto target = loadgen::parse_target(url, error, options.authority);
  if (!target) throw scenario::ConfigError{{fmt::format("--target {}: {}", url, error)}};
  return std::move(*target);
}

std::string_view text_of(protocol::RefusalCode code) {
  switch (code) {
    case protocol::RefusalCode::overloaded:
      return "the server is overloaded; try again";
    case protocol::RefusalCode::shutting_down:
      return "the server is being taken down";
    case protocol::RefusalCode::store_failed:
      return "the server cannot write to its disk; try again";
    case protocol::RefusalCode::unavailable:
      return "the node that has this user is down; try again";
    default:
      return "the server refuses";
  }
}

int set_account(const AccountOptions& options, bool remove) {
  const Settings settings = settings_of(options);
  const loadgen::Target target = target_of(options, settings);
  const token::Password password = remove ? token::Password{} : read_password();
  const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
  const std::string token =
      token::mint_operator(token::derive_key(settings.secret), now + operator_token_seconds);
  std::vector<std::byte> message;
  protocol::encode(protocol::SetAccount{token, {options.user}, password.view()}, message);
  Client client{target, patience};
  client.send(message);
  std::fill(message.begin(), message.end(), std::byte{});
  const auto answer = protocol::decode_server(client.receive());
  if (!answer) throw ClientError{"the server's answer is no message of the protocol"};
  if (const auto* const refused = std::get_if<protocol::Refused>(&*answer)) {
    throw ClientError{fmt::format("user {}: {}{}{}", options.user, text_of(refused->code),
                                  refused->detail.empty() ? "" : ": ", refused->detail)};
  }
  if (!std::holds_alternative<protocol::AccountSet>(*answer)) {
    throw ClientError{"the server answers something else"};
  }
  fmt::print("{} account of user {}\n", remove ? "removed the" : "set the", options.user);
  return 0;
}

}  // namespace

void add_account_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* const command = root.add_subcommand(
      "account", "Set the password of a user of a running server, or remove it");
  command->require_subcommand(0, 1);
  for (const bool remove : {false, true}) {
    const auto options = std::make_shared<AccountOptions>();
    CLI::App* const one = command->add_subcommand(
        remove ? "remove" : "set",
        remove
            ? "Remove a user's account: its password holds no more; tokens hold until they expire"
            : "Set a user's password, read from standard input or asked for on a terminal");
    one->add_option("USER", options->user, "Number of the user, from 1 on")
        ->required()
        ->check(CLI::PositiveNumber);
    one->add_option("--config", options->config,
                    "The server's settings file: its `secret`, and where it listens; CLAMOR_SECRET "
                    "goes before");
    one->add_option("--target", options->target,
                    "ws://host:port or wss://host:port (default: where the settings say)");
    one->add_option("--ca", options->authority,
                    "Authority (PEM) that signed the server's certificate (default: the system's)");
    one->callback([options, remove, &chosen] {
      chosen = [options, remove] { return set_account(*options, remove); };
    });
  }
}

}  // namespace clamor::server
