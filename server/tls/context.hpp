#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

namespace clamor::tls {

/// A certificate, a key or an authority that cannot be used. The message names the file, what was
/// expected, and what to do.
class CertificateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A server's certificate (PEM, its chain behind it) and private key (PEM).
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

/// Keys of the session tickets: nodes and restarts that share a seed resume each other's sessions.
inline constexpr std::size_t ticket_seed_bytes = 32;
using TicketSeed = std::span<const std::byte, ticket_seed_bytes>;

/// What the connections of one thread share: certificate, trust, ticket keys. TLS 1.3 only. Not
/// thread-safe; connections must not outlive it.
class Context {
 public:
  struct Impl;
  /// For servers. Hands out tickets that keep no state here; those made under another certificate
  /// are not taken, so that a renewed one is seen by everybody. Throws CertificateError.
  [[nodiscard]] static Context server(const CertificateFiles& files, TicketSeed seed);
  /// For clients, who trust the authorities in `authority_file` (PEM), or the system's where it is
  /// empty. Throws CertificateError.
  [[nodiscard]] static Context client(const std::string& authority_file);

  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();

 private:
  friend class Connection;
  explicit Context(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace clamor::tls
