#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace clamor::test {

/// What a shell command prints, both outputs; it has ten seconds.
inline std::string printed(const std::string& command) {
  std::string text;
  std::FILE* const pipe = popen(("timeout 10 " + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    text.append(buffer.data(), got);
  }
  pclose(pipe);
  return text;
}

/// Asks a TLS port for /metrics by OpenSSL's own client: what that says, and what came.
inline std::string ask_openssl(std::uint16_t port, const std::string& authority_file,
                               const std::string& options = "") {
  return printed(
      "sh -c 'printf \"GET /metrics HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n\" | "
      "openssl s_client -connect 127.0.0.1:" +
      std::to_string(port) + " -CAfile " + authority_file + " -verify_return_error -ign_eof " +
      options + "'");
}

}  // namespace clamor::test
