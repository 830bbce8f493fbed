// Catch-up: what is kept and planned; catch_up_pages.cpp reads and writes the pages.

#include "server/app/catch_up.hpp"

#include "server/core/retention.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {
namespace {

template <class Rows>
auto place_of(Rows& rows, ChannelId channel) {
  return std::lower_bound(rows.begin(), rows.end(), channel,
                          [](const auto& row, ChannelId wanted) { return row.channel < wanted; });
}

}  // namespace

CatchUp::Progress* CatchUp::find(ChannelId channel) {
  const auto found = place_of(channels, channel);
  if (found == channels.end() || found->channel != channel) return nullptr;
  return &*found;
}

CatchUp::Progress& CatchUp::add(ChannelId channel) {
  const auto place = place_of(channels, channel);
  if (place != channels.end() && place->channel == channel) return *place;
  return *channels.insert(place, {.channel = channel});
}

MessageId CatchUp::holds(ChannelId channel) const {
  const auto place = place_of(held, channel);
  return place != held.end() && place->channel == channel ? place->held.message_id : MessageId{};
}

void hold(CatchUp& catch_up, CatchUp::Waiting frame, std::size_t records_max) {
  auto& waiting = catch_up.waiting;
  if (!frame.is_record()) {
    waiting.push_back(std::move(frame));
  } else if (!catch_up.overflowed && waiting.size() < records_max) {
    waiting.push_back(std::move(frame));
  } else if (!catch_up.overflowed) {
    overflow(catch_up);
  }
}

void overflow(CatchUp& catch_up) {
  catch_up.overflowed = true;
  std::erase_if(catch_up.waiting, [](const CatchUp::Waiting& held) { return held.is_record(); });
}

protocol::Unread unread_of(const CatchUp& catch_up) {
  protocol::Unread found;
  for (const CatchUp::Progress& progress : catch_up.channels) {
    if (progress.unread.unread != 0) found.channels.push_back(progress.unread);
  }
  return found;
}

void CatchUpReader::learn(CatchUp& catch_up, const bus::ChannelState& state,
                          core::Intervals intervals) {
  CatchUp::Progress& progress = catch_up.add(state.channel);
  progress.up_to = state.head;
  progress.design = state.design;
  progress.covered = state.covered;
  progress.queue_from = state.queue_from;
  progress.kept_from = state.kept_from;
  progress.unread = state.unread;
  progress.intervals_begin = static_cast<std::uint32_t>(catch_up.intervals.size());
  catch_up.intervals.insert(catch_up.intervals.end(), intervals.begin(), intervals.end());
  progress.intervals_end = static_cast<std::uint32_t>(catch_up.intervals.size());
  const auto held = place_of(catch_up.held, state.channel);
  if (held == catch_up.held.end() || held->channel != state.channel) return;
  // A position counts once: from here on `at` is ahead of it.
  if (held->held.incarnation == state.incarnation) {
    progress.at = std::max(progress.at, held->held.message_id);
  }
}

void CatchUpReader::learn_redacted(CatchUp& catch_up, std::span<const core::HeldUpTo> redacted) {
  if (redacted.empty()) return;
  auto& all = catch_up.redacted;
  all.insert(all.end(), redacted.begin(), redacted.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

void CatchUpReader::plan(CatchUp& catch_up) {
  syncs_.clear();
  for (CatchUp::Progress& progress : catch_up.channels) {
    syncs_.push_back({.channel = progress.channel,
                      .held = core::held_or_gone(progress.at, progress.kept_from),
                      .durable_head = progress.up_to,
                      .covered = std::min(progress.covered, progress.up_to),
                      .queue_from = progress.queue_from,
                      .design = progress.design,
                      .intervals = catch_up.intervals_of(progress)});
    progress.queued = core::served_by_queue(syncs_.back());
  }
  plan_.scans.clear();
  plan_.head_comparisons = 0;
  plan_.records = 0;
  core::plan_sync(syncs_, plan_);
  node_.operations.head_comparisons += plan_.head_comparisons;
  for (const core::Scan& scan : plan_.scans) {
    ++(scan.kind == core::ScanKind::log ? node_.operations.log_scans
                                        : node_.operations.queue_scans);
  }
  catch_up.told = 0;
  catch_up.scans = plan_.scans;
  catch_up.scan = 0;
  catch_up.queue_at = catch_up.queue_position;
  catch_up.overflowed = false;
  catch_up.planned = true;
  next_scan(catch_up);
}

}  // namespace clamor::server
