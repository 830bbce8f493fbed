#pragma once

#include "server/app/channels.hpp"
#include "server/app/users.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <memory>

namespace clamor::server {

/// Folds the whole log into channels, adds them to their members' lists, and sets where the
/// journals go on. Failures: the store's, or a log that does not begin where it should.
[[nodiscard]] store::Result<std::unique_ptr<Channels>> recover(const store::Store& store,
                                                               const ChannelsSettings& settings,
                                                               Users& users);

/// Plans durable fan-out anew for journal rows above the partitions' cursors, and hands it to the
/// writer, so that no queue misses an entry after a kill. Returns how many rows it redid; they may
/// still wait in the writer.
[[nodiscard]] store::Result<std::uint64_t> redo_fan_out(const store::Store& store,
                                                        Channels& channels,
                                                        store::QueueWriter& writer);

}  // namespace clamor::server
