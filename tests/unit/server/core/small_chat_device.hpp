#pragma once

#include "tests/unit/server/core/small_chat_gateway.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace clamor::core::small_chat {

/// The device half: positions, an outbox, and a strict reading of what a server may send it.
/// Whatever no server may do (a gap, a repeat in one session, a record at or below the position
/// of the login) is noted in `violation`.
class Device {
 public:
  Device(DeviceName name, const Partitions& partitions, Cases& cases)
      : name_{name}, partitions_{partitions}, cases_{cases} {}

  void connect(Gateways& gateways, Instant now);
  /// Ends the session; where the server does not notice, its side stays until a later login or
  /// the sweep of silent sessions.
  void disconnect(Gateways& gateways, bool server_notices);
  /// Loses everything: another incarnation that holds nothing.
  void wipe(Gateways& gateways);

  void send(ChannelId channel);
  /// Sends all that is not acknowledged again, as after a timeout.
  void resend();
  void acknowledge();
  void deliver_down(Gateways& gateways, std::size_t frames, Instant now);
  void deliver_up(Gateways& gateways, std::size_t messages, Instant now);

  [[nodiscard]] DeviceName name() const { return name_; }
  [[nodiscard]] std::uint32_t incarnation() const { return incarnation_; }
  [[nodiscard]] bool is_connected() const { return serial_.has_value(); }
  [[nodiscard]] bool is_settled(Gateways& gateways) const;
  /// Ids that the application saw, in the order in which it saw them.
  [[nodiscard]] const std::vector<MessageId>& received(ChannelId channel) {
    return received_[channel];
  }
  [[nodiscard]] const std::map<std::pair<ChannelId, ClientMessageId>, MessageId>& acks() const {
    return acks_;
  }
  /// What it still waits for, for a plan that does not settle.
  [[nodiscard]] std::string describe(Gateways& gateways) const;
  [[nodiscard]] const std::string& violation() const { return violation_; }

 private:
  void receive(const Down& frame);
  void receive_record(const Down::Item& item);
  void receive_ack(const Down& frame);
  void hold(ChannelId channel, MessageId id);
  void drop_unacked_up_to(ChannelId channel, ClientMessageId id);
  void push_send(ChannelId channel, ClientMessageId id);
  void resend_channel(ChannelId channel);
  void give_up_from(ChannelId channel, ClientMessageId id);
  void note(const char* what, ChannelId channel, MessageId id);

  DeviceName name_;
  const Partitions& partitions_;
  Cases& cases_;
  std::uint32_t incarnation_ = 1;
  bool starts_empty_ = true;
  std::optional<std::uint64_t> serial_;
  std::deque<Up> up_;

  std::map<ChannelId, MessageId> held_;
  std::set<std::pair<ChannelId, MessageId>> own_ahead_;  ///< Acked above the position.
  std::set<std::pair<ChannelId, MessageId>> own_held_;   ///< Held by ack; may come once more.
  std::map<ChannelId, std::vector<MessageId>> received_;
  std::uint64_t queue_position_ = 0;

  std::map<ChannelId, ClientMessageId> last_sent_;
  std::map<ChannelId, std::deque<ClientMessageId>> unacked_;
  std::map<std::pair<ChannelId, ClientMessageId>, MessageId> acks_;
  std::string violation_;
};

}  // namespace clamor::core::small_chat
