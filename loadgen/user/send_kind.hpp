#pragma once

#include "loadgen/user/stamp.hpp"
#include "scenarios/model/scenario.hpp"
#include "server/core/record.hpp"

#include <cstdint>

namespace clamor::loadgen {

/// The record that a send of the kind becomes.
[[nodiscard]] constexpr core::RecordKind record_kind(scenario::SendKind kind) {
  switch (kind) {
    case scenario::SendKind::message:
    case scenario::SendKind::reply:
      break;
    case scenario::SendKind::reaction:
      return core::RecordKind::reaction;
    case scenario::SendKind::edit:
      return core::RecordKind::edit;
    case scenario::SendKind::deletion:
      return core::RecordKind::deletion;
  }
  return core::RecordKind::message;
}

/// Length on the wire of a planned text: a deletion has none, all others hold a stamp.
[[nodiscard]] constexpr std::uint32_t text_bytes(scenario::SendKind kind, std::uint32_t planned) {
  return kind == scenario::SendKind::deletion ? 0 : body_bytes(planned);
}

}  // namespace clamor::loadgen
