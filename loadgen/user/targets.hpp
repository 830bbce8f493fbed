#pragma once

#include "scenarios/model/plan.hpp"
#include "server/base/id.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

namespace clamor::loadgen {

/// Which messages the sends of many clients may be about. Empty where a scenario has no such sends;
/// else an id a channel that was written to, and one a message whose edit or deletion is to come.
/// One owner thread.
class Targets {
 public:
  /// A message that its sender will revise is in the log; {0}: it was given up.
  void keep(std::uint64_t pair, MessageId id) { revised_[pair] = id; }
  /// A message that nobody will revise is in the log.
  void note(std::uint32_t channel, MessageId id) {
    if (assumed_ != MessageId{}) return;
    MessageId& latest = latest_[channel];
    latest = std::max(latest, id);
  }
  /// Replies and reactions are said to be about `id`, whatever is known: for a simulator, in which
  /// nobody looks at it.
  void assume(MessageId id) { assumed_ = id; }

  /// What a send is about; nothing as long as no such message is known, {0} where none can come.
  /// That of an edit or deletion is told once.
  [[nodiscard]] std::optional<MessageId> take(scenario::SendKind kind, std::uint32_t channel,
                                              std::uint64_t pair);

  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  std::unordered_map<std::uint64_t, MessageId> revised_;
  std::unordered_map<std::uint32_t, MessageId> latest_;  ///< By channel.
  MessageId assumed_;
};

}  // namespace clamor::loadgen
