#pragma once

#include "server/app/channels.hpp"
#include "server/store/store.hpp"

#include <memory>

namespace clamor::server {

/// Folds the whole log into channels and sets where the journals go on. Failures: the store's, or
/// a log that does not begin where it should.
[[nodiscard]] store::Result<std::unique_ptr<Channels>> recover(const store::Store& store,
                                                               const ChannelsSettings& settings);

}  // namespace clamor::server
