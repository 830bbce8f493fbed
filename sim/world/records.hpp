#pragma once

#include "scenarios/model/plan.hpp"

#include <cstdint>
#include <limits>

// Sends on their way to the log, and the records that they become there.
namespace clamor::sim {

inline constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

/// A record of the log; its position among its like is in RecordState.
struct Record {
  std::int64_t due_ns = 0;
  std::int64_t sent_ns = 0;
  std::uint32_t channel = 0;
  std::uint32_t id = 0;
  std::uint32_t sender = 0;  ///< Slot; none: the server made it (member_mode).
  std::uint32_t bytes = 0;   ///< Body.
  std::uint32_t client_message_id = 0;
  std::uint8_t channel_class = 0;
  bool waited = false;    ///< In its sender's outbox.
  bool mentions = false;  ///< A member.
  scenario::SendKind kind = scenario::SendKind::message;
  bool ack_late = false;    ///< Once its entries are applied: its sender gets it live as well.
  bool unanswered = false;  ///< Its owner was killed before the ack: a resend is answered.
  [[nodiscard]] bool is_mode() const { return sender == none; }
  /// Of the body, to clients: what a member_mode says is the server's alone.
  [[nodiscard]] std::uint32_t shown_bytes() const { return is_mode() ? 0 : bytes; }
};
/// What logins and ends of sessions look at: chains of them must fit the cache.
struct RecordState {
  std::int64_t relay_ns = 0;        ///< Reaches the nodes that are not its owner.
  std::uint32_t durable = none;     ///< Sequence at which it became durable.
  std::uint16_t queue_batches = 0;  ///< Not applied yet.
  // Of its entries those that begin runs, and all, which wait for a flush; in 255ths.
  std::uint8_t kept_runs = 0;
  std::uint8_t kept = 0;
};

struct SendFrame {
  std::int64_t due_ns = 0;
  std::int64_t sent_ns = 0;
  std::uint32_t slot = 0;
  std::uint32_t session = 0;  ///< VirtualUser::session that sent it.
  std::uint32_t channel = 0;
  std::uint32_t client_message_id = 0;
  std::uint32_t bytes = 0;  ///< Text.
  bool waited = false;
  bool mentions = false;
  scenario::SendKind kind = scenario::SendKind::message;

  [[nodiscard]] std::uint32_t about_bytes() const;  ///< Of the body, before the text.
  [[nodiscard]] std::uint32_t payload_bytes() const;
};

}  // namespace clamor::sim
