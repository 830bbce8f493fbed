#include "sim/world/world.hpp"

#include "loadgen/user/user_settings.hpp"
#include "server/base/assert.hpp"
#include "server/base/random.hpp"

#include <algorithm>

// Construction, the loop over virtual time, and the roll call.
namespace clamor::sim {
namespace {

std::int64_t window_of(const scenario::Plan& plan, const WorldSettings& settings) {
  const std::int64_t planned = to_ns(plan.duration());
  return settings.until ? std::min(planned, to_ns(*settings.until)) : planned;
}

}  // namespace

World::World(const Topology& topology, const WorldSettings& settings)
    : topology_{topology},
      plan_{topology.plan()},
      settings_{settings},
      duration_ns_{window_of(plan_, settings)},
      turn_costs_{turn_costs(settings.costs)},
      commit_costs_{commit_costs(settings.costs, plan_.scenario().durability)},
      queue_costs_{queue_costs(settings.costs)},
      fsync_{plan_.scenario().durability == scenario::Durability::fsync},
      ack_after_fanout_{plan_.scenario().ack_after == AckAfter::fanout},
      cores_{std::max(plan_.scenario().deployment.cores, 1U)},
      user_settings_{loadgen::user_settings(plan_.scenario())},
      turn_{turn_costs_, topology.slots()},
      metrics_{plan_.classes(), duration_ns_},
      tracing_{settings.trace && (settings.trace_user || settings.trace_channel)} {
  measured_ns_ = duration_ns_;
  wake_ns_ = turn_costs_.wake_ps / 1000;
  queue_flush_limits_.bytes =
      core::queue_write_buffers *
      scenario::store_memory(plan_.scenario().deployment).write_buffer_bytes;
  const Costs& costs = settings_.costs;
  client_delay_ns_ = ps_from_ns(costs.client_delay_ns) / 1000;
  node_delay_ns_ = ps_from_ns(costs.node_delay_ns) / 1000;
  accept_ps_ = ps_from_ns(costs.accept_ns);
  login_ps_ = ps_from_ns(costs.login_ns);
  head_comparison_ps_ = ps_from_ns(costs.head_comparison_ns);
  scan_ps_ = ps_from_ns(costs.scan_ns);
  scan_record_ps_ = ps_from_ns(costs.scan_record_ns);
  log_seek_ps_ = ps_from_ns(costs.log_seek_ns);

  const std::uint32_t slots = topology.slots();
  users_.resize(slots);
  sessions_.resize(slots);
  timer_event_ns_.assign(slots, never);
  away_.assign(slots, 0);
  away_from_ns_.assign(slots, 0);
  opened_ns_.assign(slots, 0);
  news_.assign(slots, 0);
  said_ns_.assign(slots, 0);
  ever_attached_.assign(slots, 0);
  outbox_.targets().assume(MessageId{1});
  has_missed_.assign(slots, 0);

  const std::uint32_t channels = topology.channels();
  heads_.resize(channels);
  run_begun_.resize(channels);
  kept_runs_.resize(channels);
  waiting_.resize(channels);
  last_record_.assign(channels, none);
  for (std::uint32_t channel = 0; channel < channels; ++channel) {
    core::ChannelHead& head = heads_[channel];
    head.head = head.durable_head = MessageId{start_of(channel)};  // known to everybody
    waiting_[channel] = static_cast<std::uint32_t>(topology.members_of(channel).size());
    head.design = core::effective_design(settings_.design, core::ChannelDesign::per_user,
                                         topology.members_of(channel).size());
    // Under adaptive nobody has a queue before the window.
    prefill_entries_ += core::durable_entries(head.design, start_of(channel) - 1,
                                              adaptive() ? 0 : topology.members_of(channel).size());
  }
  if (adaptive()) {
    modes_.reads.resize(topology.memberships());
    modes_.queue_from.assign(topology.memberships(), none);
    modes_.queued_in.resize(channels);
  }
  expected_by_class_.assign(plan_.classes(), 0);
  delivered_by_class_.assign(plan_.classes(), 0);

  const std::int64_t heartbeat_ns = to_ns(user_settings_.heartbeat_interval);
  nodes_.reserve(topology.nodes());
  for (std::uint32_t node = 0; node < topology.nodes(); ++node) nodes_.emplace_back(heartbeat_ns);
  entries_at_node_.assign(topology.nodes(), 0);
  note_kills();
  begin_presence();
  records_.reserve(plan_.send_count());
  record_states_.reserve(plan_.send_count());
  previous_record_.reserve(plan_.send_count());
}

void World::push(std::int64_t at_ns, EventKind kind, std::uint32_t index) {
  CLAMOR_ASSERT(index < (1U << index_bits));
  events_.push(at_ns, (static_cast<std::uint32_t>(kind) << index_bits) | index);
}

void World::prefetch(std::uint32_t id) const {
  const std::uint32_t index = id & ((1U << index_bits) - 1);
  switch (static_cast<EventKind>(id >> index_bits)) {
    case EventKind::relay:
      __builtin_prefetch(&relays_[index]);
      break;
    case EventKind::send_at_node:
    case EventKind::send_at_owner:
      __builtin_prefetch(&frames_[index]);
      break;
    case EventKind::flight:
      // Read now: what waits for it is only this hint, and the client's lines are what is far away.
      __builtin_prefetch(&users_[flights_[index].slot]);
      __builtin_prefetch(&sessions_[flights_[index].slot]);
      break;
    case EventKind::timer:
    case EventKind::presence:
      __builtin_prefetch(&users_[index]);
      __builtin_prefetch(&sessions_[index]);
      break;
    default:
      break;
  }
}

void World::handle(const Event& event) {
  const std::uint32_t index = event.id & ((1U << index_bits) - 1);
  const std::uint32_t own = index & ((1U << node_bits) - 1);  // node whose own work it is
  switch (static_cast<EventKind>(event.id >> index_bits)) {
    case EventKind::presence:
      return presence(index);
    case EventKind::fault:
      return fault(index);
    case EventKind::restart:
      for (std::uint32_t node = 0; node < topology_.nodes(); ++node) {
        if (killed_[index][node]) restart(node);
      }
      return;
    case EventKind::next_typing:
      return next_typing();
    case EventKind::next_send:
      return next_send();
    case EventKind::timer:
      return timer(index);
    case EventKind::flight:
      return flight_landed(index);
    case EventKind::send_at_node:
      return arrive(topology_.node_of(frames_[index].slot), ArrivalKind::send, index);
    case EventKind::send_at_owner:
      return arrive(topology_.owner_of(frames_[index].channel), ArrivalKind::forwarded, index);
    case EventKind::commit_handed:
      return commit_handed(own);
    case EventKind::commit_done:
      return commit_done(own);
    case EventKind::relay:
      return relay_arrived(index);
    case EventKind::queue_batches:
      return queue_batches_arrived(index);
    case EventKind::queue_applied:
      return arrive(topology_.owner_of(records_[index].channel), ArrivalKind::queue_applied, index);
    case EventKind::queue_begin:
      return start_queueing(own);
    case EventKind::queue_done:
      return queue_done(own);
    case EventKind::turn:
      return run_turn(own);
    case EventKind::second:
      return close_second(index);
    case EventKind::roll_call:
      return roll_call(index);
    case EventKind::presence_step:
      presence_->nodes[index].event_ns = never;
      return arrive(index, ArrivalKind::presence, index);
    case EventKind::count:
      break;
  }
  broken("an event of no kind");
}

bool World::stale_timer(const Event& event) {
  const auto kind = static_cast<EventKind>(event.id >> index_bits);
  if (kind == EventKind::presence_step) return stale_presence(event);
  if (kind != EventKind::timer) return false;
  const std::uint32_t slot = event.id & ((1U << index_bits) - 1);
  if (timer_event_ns_[slot] != event.time_ns) return true;
  const loadgen::VirtualUser& user = users_[slot];
  if (user.phase == loadgen::Phase::online ? user.outbox_size != 0
                                           : user.timer_at != Instant::max()) {
    return false;
  }
  timer_event_ns_[slot] = never;
  return true;
}

void World::run_until_empty() {
  constexpr std::uint64_t report_every = 1U << 12U;
  Event event;
  const auto hint = [this](std::uint32_t id) { prefetch(id); };
  while (events_.pop(event, hint)) {
    CLAMOR_ASSERT(event.time_ns >= now_ns_);
    recent_[popped_ % recent_.size()] = event;
    ++popped_;
    if (stale_timer(event) || of_a_former_life(event)) continue;  // must not hold up the roll call
    now_ns_ = event.time_ns;
    handle(event);
    if (popped_ % report_every == 0 && settings_.progress) {
      const auto second = static_cast<std::size_t>(now_ns_ / 1'000'000'000);
      const WorldProgress progress{
          .roll_call = rolling_,
          .now_ns = now_ns_,
          .events = popped_,
          .connected = connected_,
          .delivery_p99_ns = metrics_.delivery_p99_ns(second == 0 ? 0 : second - 1)};
      if (!settings_.progress(progress)) {
        stopped_ = true;
        return;
      }
    }
  }
}

void World::start() {
  const std::uint64_t seed = plan_.scenario().seed;
  const auto interval = static_cast<std::uint64_t>(to_ns(user_settings_.heartbeat_interval));
  for (std::uint32_t slot = 0; slot < topology_.slots(); ++slot) {
    if (slot % 4096 == 0 && settings_.interrupted && settings_.interrupted()) {
      stopped_ = true;
      return;
    }
    const std::uint32_t client = topology_.client_of(slot);
    users_[slot].client = client;
    absences_.clear();
    plan_.absences(topology_.user_of(slot), absences_);
    const bool away = !absences_.empty() && absences_.front().from <= Instant{} &&
                      absences_.front().until > Instant{};
    if (away) {
      away_until_at_start(slot);
    } else {
      // The connect ramp lies before the window: everybody present has logged in.
      step(slot, loadgen::Start{});
      step(slot, loadgen::Connected{});
      step(slot, loadgen::LoggedIn{});
      step(slot, loadgen::CaughtUp{});
      // Heartbeats are spread as the ramp spread the logins.
      const std::uint64_t phase =
          below_from_bits(draw_bits(seed, DrawPurpose::connect_ramp, client), interval);
      users_[slot].last_sent_at = Instant{-Duration{static_cast<std::int64_t>(phase)}};
      const bool waited = queues_wait_for(slot);
      sessions_[slot].attached = ++sequence_;
      sessions_[slot].cut_ns = next_cut(slot);
      ever_attached_[slot] = 1;
      note_waiting(slot, waited);
      ++connected_;
      nodes_[topology_.node_of(slot)].heartbeats.add(
          slot, to_ns(loadgen::heartbeat_due_at(users_[slot], user_settings_)));
    }
    for (const scenario::Absence& absence : absences_) {
      if (to_ns(absence.from) >= duration_ns_) break;
      if (away && absence.from <= Instant{}) {
        if (to_ns(absence.until) < duration_ns_) {
          push(to_ns(absence.until), EventKind::presence, slot);
        }
        break;
      }
      push(to_ns(absence.from), EventKind::presence, slot);
      break;
    }
  }
  note_fillers();
  settle_presence();
  started_ = true;
  schedule_faults_and_seconds();
  if (plan_.scenario().population.typing > Duration{}) {
    typing_.may_type_ns.assign(topology_.slots(), 0);
    next_typing();
  }
  next_send();
}

/// Who sent the pre-fill has been there before: its server knows who is interested in its channels.
void World::note_fillers() {
  if (plan_.prefill_count() == 0) return;
  for (std::uint32_t channel = 0; channel < topology_.channels(); ++channel) {
    if (plan_.prefill_in(channel) == 0) continue;
    const std::uint32_t slot = topology_.slot_of(plan_.client_of(plan_.prefill_sender(channel), 1));
    if (ever_attached_[slot] != 0) continue;
    ever_attached_[slot] = 1;
    nodes_[topology_.node_of(slot)].heartbeats.add(slot, to_ns(user_settings_.heartbeat_interval));
  }
}

void World::schedule_faults_and_seconds() {
  const auto& faults = plan_.scenario().faults;
  for (std::uint32_t fault = 0; fault < faults.size(); ++fault) {
    if (to_ns(faults[fault].at) < duration_ns_) {
      push(to_ns(faults[fault].at), EventKind::fault, fault);
      if (killed_[fault].empty()) continue;
      push(to_ns(faults[fault].at + faults[fault].restart_after), EventKind::restart, fault);
    }
  }
  for (std::int64_t index = 0; index * 1'000'000'000 < duration_ns_; ++index) {
    push(std::min((index + 1) * 1'000'000'000, duration_ns_), EventKind::second,
         static_cast<std::uint32_t>(index));
  }
}

void World::away_until_at_start(std::uint32_t slot) {
  const std::uint32_t index = new_sync();
  sessions_[slot].sync = index;
  away_[slot] = 1;
  away_from_ns_[slot] = to_ns(absences_.front().from);
  sessions_[slot].away_until_ns = to_ns(absences_.front().until);
}

void World::next_send() {
  if (send_at_ != 0 || !sends_.empty()) {
    constexpr std::size_t ahead = 8;
    if (send_at_ + ahead < sends_.size()) {
      __builtin_prefetch(&users_[topology_.slot_of(sends_[send_at_ + ahead].client)]);
    }
    const scenario::Send& send = sends_[send_at_++];
    const std::uint32_t slot = topology_.slot_of(send.client);
    step(slot, loadgen::SendDue{.channel = send.channel,
                                .ordinal = send.ordinal,
                                .due = send.due,
                                .bytes = send.bytes,
                                .kind = send.kind,
                                .mentioned = send.mentioned,
                                .pair = send.pair});
  }
  while (send_at_ == sends_.size()) {
    if (send_block_ == plan_.send_blocks()) return;
    sends_.clear();
    send_at_ = 0;
    plan_.sends(send_block_++, sends_);
  }
  const std::int64_t due_ns = to_ns(sends_[send_at_].due);
  if (due_ns < duration_ns_) push(due_ns, EventKind::next_send, 0);
}

void World::close_second(std::uint32_t index) {
  // What the clock made up to here belongs into this second.
  for (std::uint32_t node = 0; node < topology_.nodes(); ++node) beat(node, now_ns_);
  const std::uint64_t resident = resident_bytes();
  resident_max_ = std::max(resident_max_, resident);
  metrics_.close_second(index, connected_, worst_lag(), resident);
  if (now_ns_ == duration_ns_) note_window_end();
}

void World::note_window_end() {
  end_presence();
  window_busy_ns_ = static_cast<std::int64_t>(operations_.turn_ns) +
                    static_cast<std::int64_t>(operations_.wakes) * wake_ns_ + batch_busy_ns_;
  window_device_bytes_ = server_facts().device_write_bytes;
}

void World::flush_outboxes() {
  for (std::uint32_t slot = 0; slot < topology_.slots(); ++slot) {
    if (users_[slot].outbox_size != 0) step(slot, loadgen::FlushOutbox{});
  }
}

void World::sync_everybody() {
  for (std::uint32_t slot = topology_.slots(); slot-- > 0;) {
    if (users_[slot].phase == loadgen::Phase::idle) {
      nodes_[topology_.node_of(slot)].roll.push_back(slot);
    }
  }
  for (std::uint32_t node = 0; node < topology_.nodes(); ++node) {
    if (!nodes_[node].roll.empty()) push(now_ns_, EventKind::roll_call, node);
  }
}

void World::roll_call(std::uint32_t node) {
  // Paced below what a server can log in, so that the roll call is no storm of its own.
  constexpr std::int64_t pace_ns = 250'000;
  auto& roll = nodes_[node].roll;
  const std::uint32_t slot = roll.back();
  roll.pop_back();
  step(slot, loadgen::SyncAndLeave{});
  if (!roll.empty()) push(now_ns_ + pace_ns, EventKind::roll_call, node);
}

void World::run() {
  start();
  if (!stopped_) run_until_empty();
  if (now_ns_ < duration_ns_ && stopped_) {  // what was measured ends here
    measured_ns_ = now_ns_;
    note_window_end();
  }
  rolling_ = true;
  now_ns_ = std::max(now_ns_, duration_ns_);
  if (!stopped_) flush_outboxes();
  if (!stopped_) run_until_empty();
  if (!stopped_) sync_everybody();
  if (!stopped_) run_until_empty();
  if (stopped_) {
    drained_ = false;
    return;
  }
  check_invariants();
}

}  // namespace clamor::sim
