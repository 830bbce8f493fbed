#pragma once

#include "server/tls/context.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::tls {

/// Most plaintext in one record.
inline constexpr std::size_t record_bytes_max = std::size_t{16} * 1024;

/// What a client keeps to resume a session: its next handshake needs no certificate. Empty:
/// nothing.
class Ticket {
 public:
  Ticket() = default;
  [[nodiscard]] explicit operator bool() const { return session_ != nullptr; }

 private:
  friend class Connection;
  struct Free {
    void operator()(void* session) const;
  };
  std::unique_ptr<void, Free> session_;
};

enum class State : std::uint8_t {
  handshaking,
  open,
  ended,  ///< The peer said that nothing follows.
  failed  ///< Broken, forged or refused; see failure().
};

/// Why a connection failed.
enum class Failure : std::uint8_t { plain_http, version, certificate, other };
inline constexpr std::size_t failure_count = 4;
/// Its name in metrics, e.g. "plain_http".
[[nodiscard]] std::string_view name_of(Failure failure);

/// One TLS connection without its socket: bytes from the peer go in, bytes for the peer come out,
/// and nothing is kept between two calls but what the protocol needs. While nothing is on its way
/// it holds no buffer. Default-made there is none: what is asked of it is asked of a plain
/// connection.
class Connection {
 public:
  Connection() = default;
  /// The server's end of a new connection.
  [[nodiscard]] static Connection accept(Context& context);
  /// The client's end. `host` is the name or address that the certificate must be for. Call take()
  /// with nothing to have the first bytes for the peer.
  [[nodiscard]] static Connection connect(Context& context, const std::string& host,
                                          const Ticket& ticket = {});
  [[nodiscard]] explicit operator bool() const { return ssl_ != nullptr; }

  struct Taken {
    std::size_t plain_bytes = 0;
    State state = State::handshaking;
  };
  /// Takes all that came from the peer. What it says goes to `plain`, what has to be answered (the
  /// handshake, an alert) is appended to `out`. @pre plain holds cipher.size() + record_bytes_max.
  Taken take(std::span<const std::byte> cipher, std::span<std::byte> plain,
             std::vector<std::byte>& out);
  /// Appends `plain`, encrypted, to `out`. False where the connection has failed. @pre it is open
  [[nodiscard]] bool put(std::span<const std::byte> plain, std::vector<std::byte>& out);
  /// Appends the notice that nothing follows.
  void end(std::vector<std::byte>& out);

  [[nodiscard]] bool resumed() const;  ///< @pre it is open
  /// The ticket that the server gave, if any.
  [[nodiscard]] Ticket ticket() const;

  /// Why the latest take() on the context failed.
  [[nodiscard]] Failure failure() const;
  /// The same for people.
  [[nodiscard]] std::string failure_text() const;

 private:
  struct Free {
    void operator()(void* ssl) const;
  };
  Connection(void* ssl) : ssl_{ssl} {}
  State fail();

  std::unique_ptr<void, Free> ssl_;
};

}  // namespace clamor::tls
