#include "server/app/live_channels.hpp"

#include <algorithm>

namespace clamor::server {

Joiner* LiveChannel::joiner(gateway::SessionId session) {
  const auto found = std::find_if(joiners.begin(), joiners.end(),
                                  [&](const Joiner& joiner) { return joiner.session == session; });
  return found == joiners.end() ? nullptr : &*found;
}

void LiveChannel::drop_joiner(gateway::SessionId session) {
  erase_if(joiners, [&](const Joiner& joiner) { return joiner.session == session; });
}

std::optional<LiveIndex> LiveChannels::find(ChannelId channel) const {
  const auto found = index_.find(channel);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

LiveIndex LiveChannels::index_of(ChannelId channel) {
  const auto [found, added] = index_.try_emplace(channel, static_cast<LiveIndex>(channels_.size()));
  if (added) channels_.push_back({.id = channel, .slots = {}, .joiners = {}, .acks = {}});
  return found->second;
}

}  // namespace clamor::server
