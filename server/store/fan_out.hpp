#pragma once

#include "server/core/channel.hpp"
#include "server/core/fan_out.hpp"
#include "server/store/commit.hpp"
#include "server/store/rows.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace clamor::store {

/// Durable fan-out of one commit: which queues get which of its records, and how far the
/// partitions' journals are done with it.
struct FanOut {
  struct Run {
    ChannelId channel;
    core::ChannelDesign design = core::ChannelDesign::per_user;
    std::size_t entries_end = 0;  ///< The run's entries end here; they begin where the last ended.
  };
  std::vector<Run> runs;
  std::vector<core::DurableEntry> entries;
  std::vector<UserChannel> joins;  ///< Added to the users' lists of channels.
  std::vector<JournalPlace> cursors;
  /// Holds every record that an entry names; needed under `payload: copy` only.
  std::shared_ptr<const Commit> records;
};

}  // namespace clamor::store
