// Catch-up: what is kept and planned; catch_up_pages.cpp reads and writes the pages.

#include "server/app/catch_up.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {

CatchUp::Progress* CatchUp::find(ChannelId channel) {
  const auto found = std::lower_bound(
      channels.begin(), channels.end(), channel,
      [](const Progress& progress, ChannelId wanted) { return progress.channel < wanted; });
  if (found == channels.end() || found->channel != channel) return nullptr;
  return &*found;
}

void hold(CatchUp& catch_up, CatchUp::Waiting frame, std::size_t records_max) {
  auto& waiting = catch_up.waiting;
  if (!frame.is_record) {
    waiting.push_back(std::move(frame));
  } else if (!catch_up.overflowed && waiting.size() < records_max) {
    waiting.push_back(std::move(frame));
  } else if (!catch_up.overflowed) {
    catch_up.overflowed = true;
    std::erase_if(waiting, [](const CatchUp::Waiting& held) { return held.is_record; });
  }
}

void CatchUpReader::begin(const Channels& channels, UserId user,
                          std::span<const protocol::HeldPosition> positions,
                          QueueSequence queue_position, CatchUp& out) {
  out.user = user;
  out.queue_at = queue_position;
  out.queue_position = queue_position;
  for (const ChannelIndex index : channels.channels_of(user)) {
    out.channels.push_back({.channel = channels.channel(index).id, .index = index});
  }
  std::sort(out.channels.begin(), out.channels.end(),
            [](const auto& a, const auto& b) { return a.channel < b.channel; });
  for (const protocol::HeldPosition& position : positions) {
    CatchUp::Progress* const progress = out.find(position.channel);
    if (progress == nullptr) continue;
    const bool same_history =
        position.held.incarnation == channels.channel(progress->index).head.incarnation;
    progress->at = same_history ? position.held.message_id : MessageId{};
  }
  plan(channels, out);
}

void CatchUpReader::begin_again(const Channels& channels, CatchUp& catch_up) {
  // Indices are looked up anew: channels may have been rebuilt from the log since.
  std::erase_if(catch_up.channels, [&](CatchUp::Progress& progress) {
    const auto index = channels.find(progress.channel);
    progress.index = index.value_or(0);
    return !index;
  });
  catch_up.queue_at = catch_up.queue_position;
  for (const ChannelIndex index : channels.channels_of(catch_up.user)) {
    const ChannelId id = channels.channel(index).id;
    if (catch_up.find(id) != nullptr) continue;
    const auto place = std::lower_bound(catch_up.channels.begin(), catch_up.channels.end(), id,
                                        [](const CatchUp::Progress& progress, ChannelId wanted) {
                                          return progress.channel < wanted;
                                        });
    catch_up.channels.insert(place, {.channel = id, .index = index});
  }
  plan(channels, catch_up);
}

void CatchUpReader::plan(const Channels& channels, CatchUp& catch_up) {
  syncs_.clear();
  intervals_.clear();
  interval_ends_.clear();
  for (const CatchUp::Progress& progress : catch_up.channels) {
    channels.intervals(progress.index, catch_up.user, own_);
    intervals_.insert(intervals_.end(), own_.begin(), own_.end());
    interval_ends_.push_back(intervals_.size());
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < catch_up.channels.size(); ++i) {
    CatchUp::Progress& progress = catch_up.channels[i];
    const Channel& channel = channels.channel(progress.index);
    const std::size_t end = interval_ends_[i];
    syncs_.push_back({.channel = channel.id,
                      .held = progress.at,
                      .durable_head = channel.head.durable_head,
                      .covered = channel.covered,
                      .queue_from = channel.queue_from,
                      .design = channel.head.design,
                      .intervals = std::span{intervals_}.subspan(begin, end - begin)});
    begin = end;
    progress.up_to = channel.head.durable_head;
    progress.queued = core::served_by_queue(syncs_.back());
  }
  plan_.scans.clear();
  plan_.head_comparisons = 0;
  plan_.records = 0;
  core::plan_sync(syncs_, plan_);
  operations_.head_comparisons += plan_.head_comparisons;
  for (const core::Scan& scan : plan_.scans) {
    ++(scan.kind == core::ScanKind::log ? operations_.log_scans : operations_.queue_scans);
  }
  catch_up.scans = plan_.scans;
  catch_up.scan = 0;
  next_scan(catch_up);
}

}  // namespace clamor::server
