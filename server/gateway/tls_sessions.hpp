#pragma once

#include "server/gateway/tls_endpoint.hpp"
#include "server/tls/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace clamor::gateway {

/// The TLS of a gateway's sessions, by slot: reads and writes their sockets as recv and send would,
/// in plaintext. What the socket did not take of encrypted bytes waits here; at most a
/// burst's worth, since nothing is encrypted while something waits. One I/O thread.
class TlsSessions {
 public:
  explicit TlsSessions(std::shared_ptr<TlsEndpoint> endpoint) : endpoint_{std::move(endpoint)} {}

  void open(std::uint32_t slot, tls::Connection connection);
  /// Drops what the slot has.
  void close(std::uint32_t slot);

  /// Reads once. So many bytes of plaintext; 0 at the peer's end; -1 and errno: EAGAIN where it
  /// made no whole record, EPROTO where TLS has failed. @pre `plain` is as large as the
  /// endpoint's
  [[nodiscard]] ssize_t receive(std::uint32_t slot, int socket, std::span<std::byte> plain);
  /// Encrypts a burst of `plain` and writes it once. So many bytes of plaintext were taken, more
  /// than 0; -1 and errno: EAGAIN where what was taken before still waits.
  [[nodiscard]] ssize_t send(std::uint32_t slot, int socket, std::span<const std::byte> plain);
  /// Writes what waits. 0: nothing is left; -1 and errno.
  [[nodiscard]] int push(std::uint32_t slot, int socket);
  /// Whether something waits for the socket to have room.
  [[nodiscard]] bool waits(std::uint32_t slot) const { return !slots_[slot].unsent.empty(); }
  /// Tells the peer that nothing follows, if the socket takes it at once.
  void end(std::uint32_t slot, int socket);

 private:
  struct Slot {
    tls::Connection connection;
    std::vector<std::byte> unsent;
  };

  /// Writes `out_`; what is left over waits.
  int write_out(Slot& slot, int socket);

  std::shared_ptr<TlsEndpoint> endpoint_;
  std::vector<Slot> slots_;
  std::vector<std::byte> out_;  ///< Encrypted, on its way to a socket.
};

}  // namespace clamor::gateway
