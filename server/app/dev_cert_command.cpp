#include "scenarios/yaml/config_error.hpp"
#include "server/app/commands.hpp"
#include "server/tls/context.hpp"
#include "server/tls/dev_certificate.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

namespace clamor::server {
namespace {

struct DevCertOptions {
  std::string folder = "clamor-tls";
  std::vector<std::string> names;
  int days = 30;
};

int run(const DevCertOptions& options) {
  std::vector<std::string> names = options.names;
  if (names.empty()) names = {"localhost", "127.0.0.1", "::1"};
  try {
    const tls::DevCertificate files =
        tls::write_dev_certificate(options.folder, names, options.days);
    fmt::print("authority (clients trust it: --ca): {}\n", files.authority.string());
    fmt::print("tls: {{certificate: {}, key: {}}}\n", files.certificate.string(),
               files.key.string());
  } catch (const tls::CertificateError& error) {
    throw scenario::ConfigError{{error.what()}};
  }
  return 0;
}

}  // namespace

void add_dev_cert_command(CLI::App& root, std::function<int()>& chosen) {
  const auto options = std::make_shared<DevCertOptions>();
  CLI::App* const command = root.add_subcommand(
      "dev-cert", "Write a TLS certificate for development, and the authority that signs it");
  command->add_option(
      "--out", options->folder,
      "Folder; an authority that is there already signs again (default: clamor-tls)");
  command->add_option("--name", options->names,
                      "Host name or address of the server, several times for several (default: "
                      "localhost, 127.0.0.1, ::1)");
  command->add_option("--days", options->days, "So long it is valid (default: 30)")
      ->check(CLI::Range(1, 825));
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace clamor::server
