#include "server/base/assert.hpp"
#include "server/core/limits.hpp"
#include "sim/world/wire_sizes.hpp"
#include "sim/world/world.hpp"

#include <algorithm>

// Logins, ends of sessions, and catch-up.
namespace clamor::sim {
namespace {

/// Every member belongs to its channels from the creation on.
constexpr core::Interval always{MessageId{1}, core::Interval::open};
constexpr core::PageLimits page_limits;

}  // namespace

std::uint32_t World::new_sync() {
  if (free_syncs_.empty()) {
    syncs_.emplace_back();
    return static_cast<std::uint32_t>(syncs_.size() - 1);
  }
  const std::uint32_t index = free_syncs_.back();
  free_syncs_.pop_back();
  return index;
}

void World::free_sync(std::uint32_t slot) {
  const std::uint32_t index = sessions_[slot].sync;
  sessions_[slot].sync = none;
  syncs_[index] = {};
  free_syncs_.push_back(index);
}

std::int64_t World::next_cut(std::uint32_t slot) {
  std::int64_t cut_ns = never;
  absences_.clear();
  plan_.absences(topology_.user_of(slot), absences_);
  for (const scenario::Absence& absence : absences_) {
    if (to_ns(absence.from) < now_ns_ || to_ns(absence.from) >= duration_ns_) continue;
    cut_ns = to_ns(absence.from);
    break;
  }
  const auto& faults = plan_.scenario().faults;
  for (std::uint32_t fault = 0; fault < faults.size(); ++fault) {
    const std::int64_t at_ns = to_ns(faults[fault].at);
    if (at_ns < now_ns_ || at_ns >= duration_ns_ || at_ns >= cut_ns) continue;
    const bool hit = killed_[fault].empty() ? plan_.hits(fault, topology_.client_of(slot))
                                            : bool{killed_[fault][topology_.node_of(slot)]};
    if (hit) cut_ns = at_ns;
  }
  return cut_ns;
}

void World::attach(std::uint32_t node, std::uint32_t slot) {
  Session& session = sessions_[slot];
  CLAMOR_ASSERT(session.attached == none && session.sync != none);
  const bool waited = queues_wait_for(slot);
  session.attached = ++sequence_;
  said_ns_[slot] = now_ns_;
  if (!typing_.may_type_ns.empty()) typing_.may_type_ns[slot] = 0;
  session.cut_ns = next_cut(slot);
  ++connected_;
  ++operations_.logins;
  turn_.work(login_ps_);
  if (ever_attached_[slot] == 0) {
    register_interest(slot);
    ever_attached_[slot] = 1;
    nodes_[node].heartbeats.add(slot, now_ns_ + to_ns(user_settings_.heartbeat_interval));
  }
  note_waiting(slot, waited);
  presence_came(slot);
  plan_catch_up(slot, syncs_[session.sync]);
  trace(slot, now_ns_,
        "is logged in; " + std::to_string(syncs_[session.sync].pending.size()) +
            " records to catch up");
}

bool World::queues_wait_for(std::uint32_t slot) const {
  while (topology_.devices_at(slot) == 0) --slot;  // The user's first.
  bool known = false;
  for (const std::uint32_t end = slot + topology_.devices_at(slot); slot < end; ++slot) {
    if (ever_attached_[slot] == 0) continue;
    if (sessions_[slot].attached == none) return true;
    known = true;
  }
  return !known;
}

void World::note_waiting(std::uint32_t slot, bool waited) {
  const bool waits = queues_wait_for(slot);
  if (waits == waited) return;
  for (const std::uint32_t channel : topology_.channels_of(slot)) {
    if (waits) {
      ++waiting_[channel];
    } else {
      --waiting_[channel];
    }
  }
}

void World::register_interest(std::uint32_t slot) {
  const std::uint32_t node = topology_.node_of(slot);
  const auto channels = topology_.channels_of(slot);
  for (const std::uint32_t channel : channels) topology_.prefetch_row(channel);
  for (const std::uint32_t channel : channels) topology_.prefetch_members(channel);
  for (const std::uint32_t channel : channels) {
    bool registered = false;
    for (const std::uint32_t first : topology_.members_on(channel, node)) {
      for (std::uint32_t d = 0; d < topology_.devices_at(first); ++d) {
        registered = registered || ever_attached_[first + d] != 0;
      }
      if (registered) break;
    }
    if (registered) continue;
    ++operations_.interest_updates;
    turn_.posts(topology_.owner_of(channel) == node ? 0 : 1);
  }
}

MessageId World::covered_of(std::uint32_t channel) const {
  const core::ChannelHead& head = heads_[channel];
  MessageId covered = head.durable_head;
  MessageId id = head.head;  // ids are dense: one less a step back
  for (std::uint32_t i = last_record_[channel]; i != none; i = previous_record_[i], id = id - 1) {
    if (id > head.durable_head) continue;
    if (record_states_[i].queue_batches == 0) break;
    covered = id - 1;
  }
  return covered;
}

void World::plan_catch_up(std::uint32_t slot, Sync& sync) {
  sync.pending.clear();
  sync.waiting.clear();
  sync.paged = 0;
  sync.last_page_sent = false;
  sync.overflowed = false;
  sync.last_page_ns = 0;
  plan_round(slot, sync.held, sync);
  note_reads(slot);
}

/// What came in during the pages was too much to hold: it is read like the rest, from what is in
/// pages to the heads now. From now on the session owes itself live what becomes durable later.
void World::plan_again(std::uint32_t slot, Sync& sync) {
  const auto channels = topology_.channels_of(slot);
  std::vector<std::uint32_t> paged = sync.held;
  assign_starts(slot, paged);
  for (const std::uint32_t index : sync.pending) {
    const Record& record = records_[index];
    const auto at = std::lower_bound(channels.begin(), channels.end(), record.channel);
    std::uint32_t& up_to = paged[static_cast<std::size_t>(at - channels.begin())];
    up_to = std::max(up_to, record.id);
  }
  sync.overflowed = false;
  sessions_[slot].attached = ++sequence_;
  plan_round(slot, paged, sync);
}

/// Makes positions explicit where there are none yet.
void World::assign_starts(std::uint32_t slot, std::vector<std::uint32_t>& held) const {
  if (!held.empty()) return;
  for (const std::uint32_t channel : topology_.channels_of(slot)) held.push_back(start_of(channel));
}

/// Plans the reads from `held` (empty: start_of() each) to the heads; appends to sync.pending.
void World::plan_round(std::uint32_t slot, std::span<const std::uint32_t> held, Sync& sync) {
  const auto channels = topology_.channels_of(slot);
  for (const std::uint32_t channel : channels) __builtin_prefetch(&heads_[channel]);
  channel_syncs_.clear();
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const core::ChannelHead& head = heads_[channels[i]];
    core::ChannelSync one{.channel = scenario::Plan::channel_id(channels[i]),
                          .held = MessageId{held.empty() ? start_of(channels[i]) : held[i]},
                          .durable_head = head.durable_head,
                          .covered = {},
                          .queue_from = {},
                          .design = head.design,
                          .intervals = {&always, 1}};
    const bool news = one.held < one.durable_head;
    if (news) set_design(one, slot);
    if (news && one.design != core::ChannelDesign::per_group) {
      one.covered = covered_of(channels[i]);
    }
    channel_syncs_.push_back(one);
  }
  sync_plan_.scans.clear();
  sync_plan_.head_comparisons = 0;
  sync_plan_.records = 0;
  core::plan_sync(channel_syncs_, sync_plan_);

  const std::size_t before = sync.pending.size();
  std::uint64_t queued = 0;
  std::uint64_t log_seeks = 0;
  for (const core::ChannelSync& one : channel_syncs_) {
    if (one.held >= one.durable_head) continue;
    collect_records(one, sync);
    const MessageId served = core::served_by_queue(one);
    if (served == MessageId{}) continue;
    queued += served - one.held;
    ++log_seeks;
  }
  expect_equal("records that plan_sync promised = records found in the log", sync_plan_.records,
               sync.pending.size() - before);

  std::uint64_t log_scans = 0;
  for (const core::Scan& scan : sync_plan_.scans) log_scans += scan.kind == core::ScanKind::log;
  const std::uint64_t queue_scans = sync_plan_.scans.size() - log_scans;
  if (queued > core::queue_entries_max) {
    // The queues turn out to be dropped: each channel's log is read as well.
    log_scans += log_seeks;
    queued = 0;
    log_seeks = 0;
  }
  operations_.head_comparisons += sync_plan_.head_comparisons;
  operations_.log_scans += log_scans;
  operations_.queue_scans += queue_scans;
  // Queue entries name records, and the log has them; or they carry copies.
  if (plan_.scenario().payload == QueuePayload::copy) {
    queued = 0;
    log_seeks = 0;
  }
  operations_.log_gets += queued;
  operations_.log_seeks += log_seeks;
  turn_.work(static_cast<std::int64_t>(sync_plan_.head_comparisons) * head_comparison_ps_ +
             static_cast<std::int64_t>(queue_scans + log_scans) * scan_ps_ +
             static_cast<std::int64_t>(sync.pending.size() - before) * scan_record_ps_ +
             static_cast<std::int64_t>(log_seeks) * log_seek_ps_);
}

/// The channel's records by id, the first after start_of() first; brought up to date. A chain of
/// previous_record_ costs a cache miss a step, which thousands of members who catch up on one
/// channel need not each pay.
std::span<const std::uint32_t> World::records_of(std::uint32_t channel) {
  std::vector<std::uint32_t>& by_id = records_by_id_[channel];
  const auto known = static_cast<std::ptrdiff_t>(by_id.size());
  const auto missing = heads_[channel].head.value - start_of(channel) - by_id.size();
  std::uint32_t i = last_record_[channel];
  for (std::uint64_t n = 0; n < missing; ++n, i = previous_record_[i]) by_id.push_back(i);
  std::reverse(by_id.begin() + known, by_id.end());
  return by_id;
}

void World::collect_records(const core::ChannelSync& channel, Sync& sync) {
  constexpr std::uint64_t long_chain = 16;
  const auto index = static_cast<std::uint32_t>(channel.channel.value - 1);
  MessageId id = heads_[index].head;
  if (id - channel.held > long_chain) {
    const auto news = records_of(index).subspan(channel.held.value - start_of(index),
                                                channel.durable_head - channel.held);
    sync.pending.insert(sync.pending.end(), news.begin(), news.end());
    return;
  }
  const auto first = static_cast<std::ptrdiff_t>(sync.pending.size());
  for (std::uint32_t i = last_record_[index]; i != none && id > channel.held;
       i = previous_record_[i], id = id - 1) {
    if (id > channel.durable_head) continue;
    sync.pending.push_back(i);
  }
  std::reverse(sync.pending.begin() + first, sync.pending.end());
}

/// Queues the next page for the turn's flush; `index` is the flight that reports it landed.
void World::send_page(std::uint32_t slot, std::uint32_t index) {
  Sync& sync = syncs_[sessions_[slot].sync];
  Flight& flight = flights_[index];
  flight.stage = Stage::page_at_client;
  flight.begin = sync.paged;
  std::uint32_t bytes = 0;
  for (;;) {
    if (sync.paged == sync.pending.size()) {
      if (!sync.overflowed) break;
      plan_again(slot, sync);
      continue;
    }
    const std::uint32_t next =
        wire::record_payload + records_[sync.pending[sync.paged]].shown_bytes();
    if (!core::page_takes(page_limits, sync.paged - flight.begin, bytes, next)) break;
    bytes += next;
    ++sync.paged;
  }
  flight.end = sync.paged;
  flight.last = sync.paged == sync.pending.size();
  operations_.catch_up_deliveries += flight.end - flight.begin;
  recipients_ += flight.end - flight.begin;
  flush_flight(slot, wire::page + bytes, index);
  if (!flight.last) return;
  sync.last_page_sent = true;
  for (const std::uint32_t record : sync.waiting) {
    out_.deliveries.push_back(
        {turn_.send(slot, wire::record(records_[record].shown_bytes())), record});
    ++operations_.live_deliveries;
    ++recipients_;
  }
  sync.waiting.clear();
}

/// The highest id of the channel that a session which has just ended was sent: what is durable,
/// less what is still on its way to the node or in its inbox and was not in the session's catch-up.
std::uint32_t World::received_up_to(std::uint32_t slot, std::uint32_t channel) const {
  const core::ChannelHead& head = heads_[channel];
  const std::uint32_t node = topology_.node_of(slot);
  const std::uint32_t attached = sessions_[slot].last_attached;
  auto up_to = static_cast<std::uint32_t>(head.durable_head.value);
  if (last_record_[channel] == none || topology_.owner_of(channel) == node) return up_to;
  auto id = static_cast<std::uint32_t>(head.head.value);
  for (std::uint32_t i = last_record_[channel]; i != none; i = previous_record_[i], --id) {
    const RecordState& state = record_states_[i];
    if (state.durable == none) continue;
    if (state.durable < attached || state.relay_ns <= nodes_[node].last_turn_ns) break;
    up_to = id - 1;
  }
  return up_to;
}

void World::detach(std::uint32_t slot) {
  Session& session = sessions_[slot];
  if (session.attached == none) return;
  --connected_;
  const bool waited = queues_wait_for(slot);
  session.last_attached = session.attached;
  session.last_detached = ++sequence_;
  session.attached = none;
  note_waiting(slot, waited);
  presence_left(slot);
  session.cut_ns = never;
  if (session.sync != none) {  // in the middle of its catch-up: what it held stays
    Sync& sync = syncs_[session.sync];
    sync.pending.clear();
    sync.waiting.clear();
  } else {
    session.sync = new_sync();
    const auto channels = topology_.channels_of(slot);
    for (const std::uint32_t channel : channels) __builtin_prefetch(&heads_[channel]);
    auto& held = syncs_[session.sync].held;
    held.resize(channels.size());
    for (std::size_t i = 0; i < channels.size(); ++i) {
      held[i] = received_up_to(slot, channels[i]);
    }
  }
  if (has_missed_[slot] == 0) return;
  has_missed_[slot] = 0;
  for (const std::uint32_t channel : topology_.channels_of(slot)) {
    const auto note = missed_.find(pair_key(slot, channel));
    if (note == missed_.end()) continue;
    lower(slot, channel, note->second);
    missed_.erase(note);
  }
}

void World::lower(std::uint32_t slot, std::uint32_t channel, std::uint32_t below_id) {
  Sync& sync = syncs_[sessions_[slot].sync];
  if (sync.held.empty()) return;
  const auto channels = topology_.channels_of(slot);
  const auto at = std::lower_bound(channels.begin(), channels.end(), channel);
  CLAMOR_ASSERT(at != channels.end() && *at == channel);
  auto& held = sync.held[static_cast<std::size_t>(at - channels.begin())];
  if (held < below_id) return;
  held = below_id - 1;
}

}  // namespace clamor::sim
