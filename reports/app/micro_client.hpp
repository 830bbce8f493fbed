#pragma once

#include "loadgen/net/connections.hpp"
#include "loadgen/net/target.hpp"
#include "server/base/id.hpp"
#include "server/base/time.hpp"
#include "server/protocol/message.hpp"
#include "server/token/token.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clamor::report {

/// A micro-load that could not be carried out; the message says what was waited for.
class MicroLoadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A closed-loop client over real WebSocket connections: sends what it is told and waits until it
/// is answered, so that it asks no faster than the server serves. Counts answers, keeps no records.
/// One thread; every wait is bounded and throws MicroLoadError.
class MicroClient : private loadgen::ConnectionEvents {
 public:
  MicroClient(const loadgen::Target& target, std::string_view secret, std::uint32_t slots);

  /// Opens connections on the slots [first, last) and waits for their handshakes.
  void open(std::uint32_t first, std::uint32_t last);
  /// Logs a device in on an open slot; positions it does not name count as holding nothing.
  void send_login(std::uint32_t slot, UserId user, DeviceId device,
                  std::span<const protocol::HeldPosition> positions = {});
  /// Sends the slot's next message to a channel. @pre the slot is logged in, a member, and keeps
  /// its user.
  void send_message(std::uint32_t slot, ChannelId channel, std::size_t body_bytes);
  void send_heartbeat(std::uint32_t slot);
  /// Sends a request that the server refuses at once, without a look at the log.
  void send_refused(std::uint32_t slot);
  /// Creates a channel and waits until it is durable.
  void create_channel(std::uint32_t slot, ChannelId channel, const std::vector<UserId>& members);
  void close(std::uint32_t first, std::uint32_t last);

  /// What has come in.
  struct Received {
    std::uint64_t opened = 0;
    std::uint64_t logged_in = 0;  ///< Catch-up finished, too.
    std::uint64_t records = 0;    ///< Live.
    std::uint64_t acks = 0;
    std::uint64_t refused = 0;
    std::uint64_t changed = 0;
  };
  [[nodiscard]] const Received& received() const { return received_; }

  /// Writes what was sent.
  void flush() { connections_.flush(); }
  /// Writes what was sent and waits until `done`; `what` stands in the error after 20 s.
  void wait_until(const std::function<bool()>& done, const char* what);

 private:
  void on_open(std::uint32_t slot) override;
  void on_failed(std::uint32_t slot, const std::string& why) override;
  void on_message(std::uint32_t slot, std::span<const std::byte> payload) override;
  void on_closed(std::uint32_t slot, std::uint16_t close_code, const std::string& reason) override;
  void on_page(std::uint32_t slot, std::span<const std::byte> payload);

  token::Key key_;
  Received received_;
  std::string failure_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, ClientMessageId> sent_;  ///< By slot, channel.
  std::vector<std::byte> scratch_;
  std::vector<std::byte> body_;
  loadgen::Connections connections_;
};

}  // namespace clamor::report
