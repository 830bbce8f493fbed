#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clamor {

/// How the durable sync queues are laid out; see ARCHITECTURE.md, "The designs".
enum class QueueDesign : std::uint8_t { per_user, per_member, per_group, hybrid, adaptive };
/// Every one of them, in the order of lists and reports.
inline constexpr std::array queue_designs{QueueDesign::per_user, QueueDesign::per_member,
                                          QueueDesign::per_group, QueueDesign::hybrid,
                                          QueueDesign::adaptive};

/// What an entry of a sync queue carries.
enum class QueuePayload : std::uint8_t {
  reference,  ///< (channel, message_id): a catch-up fetches the record from the log.
  copy,       ///< The record with its body: written once a member, read without the log.
};

[[nodiscard]] constexpr std::string_view name_of(QueuePayload payload) {
  return payload == QueuePayload::copy ? "copy" : "reference";
}

/// A design with its knobs, as a scenario or a server's settings name it.
struct DesignSpec {
  QueueDesign design = QueueDesign::per_user;
  std::uint32_t threshold = 500;  ///< hybrid only: per_user up to so many members, else per_group.
  std::uint32_t window = 16;  ///< adaptive only: records between two looks at a channel's members.
  bool operator==(const DesignSpec&) const = default;
};

/// Bounds of DesignSpec::window. Below, member_mode records would be a good part of the log.
inline constexpr std::uint32_t window_min = 4;
inline constexpr std::uint32_t window_max = 10'000;

/// What the ack of a send waits for, beside the log.
enum class AckAfter : std::uint8_t {
  log,     ///< Nothing else: queue entries follow, and are redone after a crash.
  fanout,  ///< Its queue entries are applied, where the design has any.
};

[[nodiscard]] constexpr std::string_view name_of(AckAfter what) {
  return what == AckAfter::log ? "log" : "fanout";
}

[[nodiscard]] constexpr std::string_view name_of(QueueDesign design) {
  switch (design) {
    case QueueDesign::per_user:
      return "per_user";
    case QueueDesign::per_member:
      return "per_member";
    case QueueDesign::per_group:
      return "per_group";
    case QueueDesign::hybrid:
      return "hybrid";
    case QueueDesign::adaptive:
      return "adaptive";
  }
  return "?";
}

[[nodiscard]] constexpr std::optional<QueueDesign> design_from_name(std::string_view name) {
  for (const QueueDesign design : queue_designs) {
    if (name_of(design) == name) return design;
  }
  return std::nullopt;
}

}  // namespace clamor
