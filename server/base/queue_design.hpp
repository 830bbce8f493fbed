#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clamor {

/// How the durable sync queues are laid out; see ARCHITECTURE.md, "The designs".
enum class QueueDesign : std::uint8_t { per_user, per_member, per_group, hybrid };

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
  bool operator==(const DesignSpec&) const = default;
};

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
  }
  return "?";
}

[[nodiscard]] constexpr std::optional<QueueDesign> design_from_name(std::string_view name) {
  for (const QueueDesign design : {QueueDesign::per_user, QueueDesign::per_member,
                                   QueueDesign::per_group, QueueDesign::hybrid}) {
    if (name_of(design) == name) return design;
  }
  return std::nullopt;
}

}  // namespace clamor
