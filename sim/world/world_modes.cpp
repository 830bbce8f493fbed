#include "sim/world/world.hpp"

#include <algorithm>

// The queue design adaptive: members' modes, by the server's own decision.
namespace clamor::sim {

void World::note_reads(std::uint32_t slot) {
  if (!adaptive()) return;
  for (const core::ChannelSync& one : channel_syncs_) {
    if (one.held >= one.durable_head) continue;
    const auto channel = static_cast<std::uint32_t>(one.channel.value - 1);
    core::note_read(modes_.reads[topology_.membership(channel, slot)]);
  }
}

void World::set_design(core::ChannelSync& one, std::uint32_t slot) const {
  if (!adaptive()) return;
  const auto channel = static_cast<std::uint32_t>(one.channel.value - 1);
  const std::uint32_t from = modes_.queue_from[topology_.membership(channel, slot)];
  one.design = from == none ? core::ChannelDesign::per_group : core::ChannelDesign::per_user;
  one.queue_from = MessageId{from == none ? 0 : from};
}

/// Behind the last record of a window: a record for those whose mode changes.
void World::follow_modes(std::uint32_t index, std::uint32_t channel) {
  core::ChannelHead& head = heads_[channel];
  const std::uint32_t window = settings_.design.window;
  if (!adaptive() || !core::window_ends(window, head.head)) return;
  const std::uint32_t first = topology_.first_membership(channel);
  const std::size_t members = topology_.members_of(channel).size();
  std::vector<std::uint32_t> changed;
  core::plan_modes(window, std::span{modes_.reads}.subspan(first, members), changed);
  if (changed.empty()) return;
  const auto record = static_cast<std::uint32_t>(records_.size());
  add_record(index, {.due_ns = now_ns_,
                     .sent_ns = now_ns_,
                     .channel = channel,
                     .id = static_cast<std::uint32_t>((++head.head).value),
                     .sender = none,
                     .bytes = static_cast<std::uint32_t>(changed.size()) * mode_bytes});
  auto& due = modes_.due[record];
  for (const std::uint32_t member : changed) {
    due.push_back({first + member, modes_.reads[first + member].queued});
  }
}

/// What a mode record says holds from it on.
void World::take_modes(std::uint32_t what) {
  const Record& record = records_[what];
  ++operations_.mode_records;
  const auto due = modes_.due.find(what);
  for (const auto& [membership, queued] : due->second) {
    modes_.queue_from[membership] = queued ? record.id : none;
    queued ? ++modes_.queued_in[record.channel] : --modes_.queued_in[record.channel];
  }
  modes_.due.erase(due);
}

/// First slots of the members who get an entry of what becomes durable now.
std::span<const std::uint32_t> World::queued_members(std::uint32_t channel) {
  const auto members = topology_.members_of(channel);
  if (!adaptive()) {
    const bool none_has = heads_[channel].design == core::ChannelDesign::per_group;
    return none_has ? std::span<const std::uint32_t>{} : members;
  }
  modes_.queued.clear();
  if (modes_.queued_in[channel] == 0) return {};
  const std::uint32_t first = topology_.first_membership(channel);
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    if (modes_.queue_from[first + i] != none) modes_.queued.push_back(members[i]);
  }
  return modes_.queued;
}

std::uint64_t World::user_partitions_of(std::uint32_t channel,
                                        std::span<const std::uint32_t> queued) {
  if (queued.size() == topology_.members_of(channel).size()) {
    return topology_.user_partitions_of(channel);
  }
  modes_.partitions.clear();
  for (const std::uint32_t slot : queued) {
    modes_.partitions.push_back(topology_.user_partition_of(slot));
  }
  std::ranges::sort(modes_.partitions);
  const auto repeated = std::ranges::unique(modes_.partitions);
  return static_cast<std::uint64_t>(repeated.begin() - modes_.partitions.begin());
}

/// Of the members with a queue those for whom it keeps entries.
std::uint64_t World::waiting_of(std::uint32_t channel,
                                std::span<const std::uint32_t> queued) const {
  if (!adaptive()) return waiting_[channel];
  return static_cast<std::uint64_t>(
      std::ranges::count_if(queued, [this](std::uint32_t slot) { return queues_wait_for(slot); }));
}

}  // namespace clamor::sim
