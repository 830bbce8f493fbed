#include "scenarios/model/plan.hpp"

#include "server/base/assert.hpp"
#include "server/base/random.hpp"

#include <algorithm>
#include <cmath>

// Population, channels and presence; the traffic is in plan_sends.cpp.
namespace clamor::scenario {

namespace {

std::uint32_t share_of(double share, std::uint32_t whole) {
  return static_cast<std::uint32_t>(std::llround(std::clamp(share, 0.0, 1.0) * whole));
}

std::uint32_t bounded(std::uint64_t count, const char* what) {
  if (count > population_max) {
    throw ScaleError{"the scenario at this scale has " + std::to_string(count) + " " + what +
                     "; at most " + std::to_string(population_max) +
                     " are possible, use a smaller scale"};
  }
  return static_cast<std::uint32_t>(count);
}

}  // namespace

Plan::Plan(const Scenario& scenario)
    : scenario_{scenario},
      users_{scenario.population.users},
      duration_{measured_duration(scenario)},
      device_order_{scenario.seed, PermutationUse::devices, 0, users_},
      away_order_{scenario.seed, PermutationUse::away, 0, users_} {
  lay_out_devices();
  lay_out_channels();
  if (is_trace(scenario_)) {
    lay_out_trace();
  } else {
    lay_out_away();
  }
  lay_out_sends();
  lay_out_kinds();
  lay_out_prefill();
  for (std::uint32_t fault = 0; fault < scenario_.faults.size(); ++fault) {
    fault_orders_.emplace_back(scenario_.seed, PermutationUse::fault, fault, clients_);
  }
}

// --- population ----------------------------------------------------------------------------------

void Plan::lay_out_devices() {
  std::uint64_t clients = users_;
  device_blocks_ = {0, users_};
  const auto& devices = scenario_.population.devices;
  const std::uint32_t most = devices.empty() ? 1 : devices.rbegin()->first;
  for (std::uint32_t device = 2; device <= most; ++device) {
    double at_least = 0;  // share of users with that many devices or more
    for (auto it = devices.lower_bound(device); it != devices.end(); ++it) at_least += it->second;
    clients += share_of(at_least, users_);
    device_blocks_.push_back(bounded(clients, "clients"));
  }
  clients_ = device_blocks_.back();
}

std::uint32_t Plan::device_of(std::uint32_t client) const {
  CLAMOR_ASSERT(client < clients_);
  const auto next = std::upper_bound(device_blocks_.begin(), device_blocks_.end(), client);
  return static_cast<std::uint32_t>(next - device_blocks_.begin());
}

std::uint32_t Plan::user_of(std::uint32_t client) const {
  const std::uint32_t device = device_of(client);
  return device == 1 ? client : device_order_.at(client - device_blocks_[device - 1]);
}

std::uint32_t Plan::devices_of(std::uint32_t user) const {
  if (clients_ == users_) return 1;
  const std::uint32_t rank = device_order_.rank_of(user);
  std::uint32_t devices = 1;
  while (devices + 1 < device_blocks_.size() &&
         rank < device_blocks_[devices + 1] - device_blocks_[devices]) {
    ++devices;
  }
  return devices;
}

std::uint32_t Plan::client_of(std::uint32_t user, std::uint32_t device) const {
  CLAMOR_ASSERT(user < users_ && device >= 1 && device < device_blocks_.size());
  if (device == 1) return user;
  const std::uint32_t client = device_blocks_[device - 1] + device_order_.rank_of(user);
  CLAMOR_ASSERT(client < device_blocks_[device]);
  return client;
}

// --- channels ------------------------------------------------------------------------------------

void Plan::lay_out_channels() {
  const std::uint32_t contacts = scenario_.population.contacts;
  if (contacts > 0 && users_ >= 2) {
    add_class("direct", std::uint64_t{contacts} * (users_ / 2), 2, 1.0);
  }
  for (const GroupClass& group : scenario_.groups) {
    add_class(group.name, group.count, group.members, group.online);
  }
}

void Plan::add_class(const std::string& name, std::uint64_t count, std::uint32_t members,
                     double online) {
  CLAMOR_ASSERT(members > 0 && members <= users_);
  ChannelClass added;
  added.name = name;
  added.first = channels_;
  added.count = bounded(count, "channels");
  added.members = members;
  added.per_round = users_ / members;
  // A hair below: 0.1 * 600 must not become 61.
  added.online =
      static_cast<std::uint32_t>(std::ceil(std::clamp(online, 0.0, 1.0) * members - 1e-9));
  if (!is_trace(scenario_)) {
    const std::uint64_t rounds = (count + added.per_round - 1) / added.per_round;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      const std::uint64_t stream = (std::uint64_t{classes()} << 32U) | round;
      added.rounds.emplace_back(scenario_.seed, PermutationUse::members, stream, users_);
    }
  }
  any_dormant_ = any_dormant_ || added.online < members;
  channels_ = bounded(std::uint64_t{channels_} + count, "channels");
  classes_.push_back(std::move(added));
}

std::uint32_t Plan::classes() const { return static_cast<std::uint32_t>(classes_.size()); }

std::string_view Plan::class_name(std::uint32_t index) const { return classes_.at(index).name; }

std::uint32_t Plan::class_of(std::uint32_t channel) const {
  CLAMOR_ASSERT(channel < channels_);
  const auto next =
      std::upper_bound(classes_.begin(), classes_.end(), channel,
                       [](std::uint32_t c, const ChannelClass& one) { return c < one.first; });
  return static_cast<std::uint32_t>(next - classes_.begin() - 1);
}

std::uint32_t Plan::members_in(std::uint32_t channel) const {
  return classes_[class_of(channel)].members;
}

Plan::Seat Plan::seat_of(std::uint32_t channel) const {
  return seat_in(classes_[class_of(channel)], channel);
}

Plan::Seat Plan::seat_in(const ChannelClass& in, std::uint32_t channel) {
  const std::uint32_t index = channel - in.first;
  return {&in, index % in.per_round * in.members, index / in.per_round};
}

std::uint32_t Plan::member_at(const Seat& seat, std::uint32_t slot) const {
  const auto& rounds = seat.channel_class->rounds;
  return rounds.empty() ? seat.slot + slot : rounds[seat.round].at(seat.slot + slot);
}

void Plan::members(std::uint32_t channel, std::vector<std::uint32_t>& out) const {
  const Seat seat = seat_of(channel);
  out.reserve(out.size() + seat.channel_class->members);
  for (std::uint32_t slot = 0; slot < seat.channel_class->members; ++slot) {
    out.push_back(member_at(seat, slot));
  }
}

/// Calls visit(class, channel, slot in the channel) for each of the user's seats, by channel.
template <class Visit>
void Plan::visit_seats(std::uint32_t user, Visit visit) const {
  for (const ChannelClass& in : classes_) {
    if (in.rounds.empty()) {
      visit(in, in.first + user / in.members, user % in.members);
      continue;
    }
    for (std::uint32_t round = 0; round < in.rounds.size(); ++round) {
      const std::uint32_t rank = in.rounds[round].rank_of(user);
      const std::uint64_t index = std::uint64_t{round} * in.per_round + rank / in.members;
      if (rank / in.members < in.per_round && index < in.count) {
        visit(in, in.first + static_cast<std::uint32_t>(index), rank % in.members);
      }
    }
  }
}

void Plan::channels_of(std::uint32_t user, std::vector<std::uint32_t>& out) const {
  CLAMOR_ASSERT(user < users_);
  visit_seats(user, [&out](const ChannelClass&, std::uint32_t channel, std::uint32_t) {
    out.push_back(channel);
  });
}

// --- presence ------------------------------------------------------------------------------------

bool Plan::dormant(std::uint32_t user) const {
  if (!any_dormant_) return false;
  for (const ChannelClass& in : classes_) {
    if (in.online == in.members) continue;
    if (in.rounds.empty() && user % in.members >= in.online) return true;
    for (std::uint32_t round = 0; round < in.rounds.size(); ++round) {
      const std::uint32_t rank = in.rounds[round].rank_of(user);
      const std::uint64_t index = std::uint64_t{round} * in.per_round + rank / in.members;
      const bool seated = rank / in.members < in.per_round && index < in.count;
      if (seated && rank % in.members >= in.online) return true;
    }
  }
  return false;
}

void Plan::lay_out_away() {
  double shares = 0;
  for (const Away& away : scenario_.population.away) {
    shares += away.share;
    away_.push_back({share_of(shares, users_), away});
  }
}

/// Calls visit(absence) for the planned absences that end at or after `since`, in order, until it
/// returns false. Periods before `since` are skipped by arithmetic, not walked.
template <class Visit>
void Plan::visit_away(std::uint32_t user, Instant since, Visit visit) const {
  if (away_.empty()) return;
  const std::uint32_t rank = away_order_.rank_of(user);
  const auto range =
      std::find_if(away_.begin(), away_.end(), [rank](const AwayRange& r) { return rank < r.end; });
  if (range == away_.end()) return;
  const Away& away = range->away;
  const bool once = away.kind == Away::Kind::once;
  const Duration bound = once ? away.within : away.every;
  const std::uint64_t bits = draw_bits(scenario_.seed, DrawPurpose::away_phase, user);
  Duration from{
      static_cast<std::int64_t>(below_from_bits(bits, static_cast<std::uint64_t>(bound.count())))};
  if (!once) {
    from -= away.every;  // the period that began before the run may reach into it
    const Duration skipped = since.time_since_epoch() - (from + away.duration);
    if (skipped > Duration{}) from += skipped / away.every * away.every;
  }
  do {
    const Duration until = from + away.duration;
    if (from >= duration_) return;
    if (until > Duration{}) {
      const Absence absence{Instant{std::max(from, Duration{})},
                            until >= duration_ ? Instant::max() : Instant{until}};
      if (!visit(absence)) return;
    }
    from += away.every;
  } while (!once);
}

template <class Visit>
void Plan::visit_trace_absences(std::uint32_t user, Visit visit) const {
  const std::uint32_t trace_users = classes_.front().members;
  const Duration offset = copy_offset(user / trace_users);
  for (Absence absence : trace_absences_[user % trace_users]) {
    if (absence.from != Instant{}) absence.from += offset;
    if (absence.until != Instant::max()) absence.until += offset;
    if (absence.from >= Instant{duration_}) return;
    if (absence.until >= Instant{duration_}) absence.until = Instant::max();
    if (!visit(absence)) return;
  }
}

template <class Visit>
void Plan::visit_absences(std::uint32_t user, Instant since, Visit visit) const {
  CLAMOR_ASSERT(user < users_);
  if (dormant(user)) {
    visit(Absence{Instant{}, Instant::max()});
  } else if (!trace_absences_.empty()) {
    visit_trace_absences(user, visit);
  } else {
    visit_away(user, since, visit);
  }
}

void Plan::absences(std::uint32_t user, std::vector<Absence>& out) const {
  visit_absences(user, Instant{}, [&out](const Absence& absence) {
    out.push_back(absence);
    return true;
  });
}

std::optional<Absence> Plan::absence_at(std::uint32_t user, Instant at) const {
  std::optional<Absence> found;
  visit_absences(user, at, [&found, at](const Absence& absence) {
    if (absence.from <= at && at < absence.until) found = absence;
    return !found && absence.from <= at;
  });
  return found;
}

bool Plan::absent(std::uint32_t user, Instant at) const { return absence_at(user, at).has_value(); }

Instant Plan::present_from(std::uint32_t user, Instant at) const {
  const auto absence = absence_at(user, at);
  return absence ? absence->until : at;
}

void Plan::lay_out_trace() {
  const std::uint32_t trace_users = classes_.front().members;
  std::vector<bool> connected(trace_users, false);
  for (const std::uint32_t user : scenario_.trace_connected) connected[user] = true;
  trace_absences_.resize(trace_users);
  std::vector<Instant> left(trace_users);
  for (const TraceEvent& event : scenario_.trace) {
    const Instant at{event.at};
    if (event.kind == TraceEvent::Kind::send) {
      trace_sends_.push_back(event);
    } else if (event.kind == TraceEvent::Kind::disconnect && connected[event.user]) {
      connected[event.user] = false;
      left[event.user] = at;
    } else if (event.kind == TraceEvent::Kind::connect && !connected[event.user]) {
      connected[event.user] = true;
      if (at > Instant{}) trace_absences_[event.user].push_back({left[event.user], at});
    }
  }
  for (std::uint32_t user = 0; user < trace_users; ++user) {
    if (!connected[user]) trace_absences_[user].push_back({left[user], Instant::max()});
  }
}

Duration Plan::copy_offset(std::uint32_t copy) const {
  // Copies are spread over one mean gap between sends, else K channels would speak in lockstep.
  const auto slots = static_cast<std::int64_t>(trace_sends_.size() + 1) * classes_.front().count;
  return duration_ / slots * copy;
}

// --- faults --------------------------------------------------------------------------------------

bool Plan::hits(std::uint32_t fault, std::uint32_t client) const {
  const Fault& what = scenario_.faults.at(fault);
  return what.kind == Fault::Kind::disconnect &&
         fault_orders_[fault].rank_of(client) < share_of(what.share, clients_);
}

bool Plan::kills(std::uint32_t fault, std::uint32_t server, std::uint32_t servers) const {
  const Fault& what = scenario_.faults.at(fault);
  if (what.kind != Fault::Kind::kill) return false;
  const Permutation order{scenario_.seed, PermutationUse::killed, fault, servers};
  return order.rank_of(server) < std::max(share_of(what.share, servers), 1U);
}

std::uint32_t servers_of(const Plan& plan) {
  const std::uint32_t clients = std::max(plan.clients(), 1U);
  const std::uint32_t of_a_server = std::max(plan.scenario().deployment.clients_per_server, 1U);
  return clients / of_a_server + (clients % of_a_server != 0 ? 1 : 0);
}

}  // namespace clamor::scenario
