#include "loadgen/net/schedule.hpp"

#include <algorithm>
#include <tuple>

namespace clamor::loadgen {

Schedule::Schedule(const scenario::Plan& plan, std::uint32_t first, std::uint32_t last)
    : plan_{plan}, first_{first}, last_{last} {
  typing_.ahead = plan.scenario().population.typing;
  const Instant end{plan.duration()};
  std::vector<scenario::Absence> absences;
  for (std::uint32_t client = first; client < last; ++client) {
    const std::uint32_t user = plan.user_of(client);
    if (plan.dormant(user)) continue;
    absences.clear();
    plan.absences(user, absences);
    for (const scenario::Absence& absence : absences) {
      if (absence.from >= end) continue;
      if (absence.from > Instant{} || absence.until == absence.from) {
        changes_.push_back({absence.from, PlannedEvent::Kind::leave, client, 0, {}});
      }
      // One that reaches beyond the window ends in the roll call.
      if (absence.until < end) {
        changes_.push_back({absence.until, PlannedEvent::Kind::come_back, client, 0, {}});
      }
    }
  }
  const auto& faults = plan.scenario().faults;
  for (std::uint32_t fault = 0; fault < faults.size(); ++fault) {
    changes_.push_back({Instant{faults[fault].at}, PlannedEvent::Kind::fault, 0, fault, {}});
  }
  std::stable_sort(changes_.begin(), changes_.end(),
                   [](const PlannedEvent& a, const PlannedEvent& b) {
                     return std::tuple{a.at, a.kind == PlannedEvent::Kind::fault} <
                            std::tuple{b.at, b.kind == PlannedEvent::Kind::fault};
                   });
}

bool Schedule::connects_at_start(const scenario::Plan& plan, std::uint32_t client) {
  const std::uint32_t user = plan.user_of(client);
  return !plan.dormant(user) && !plan.absent(user, Instant{});
}

void Schedule::load(Stream& stream) {
  const bool typing = stream.ahead > Duration{};
  while (stream.next >= stream.sends.size() && stream.next_block < plan_.send_blocks()) {
    stream.sends.clear();
    stream.next = 0;
    plan_.sends(stream.next_block++, stream.sends);
    std::erase_if(stream.sends, [&](const scenario::Send& send) {
      if (send.client < first_ || send.client >= last_) return true;
      return typing && (!scenario::is_typed(send.kind) || send.due < Instant{} + stream.ahead);
    });
  }
}

Instant Schedule::next_of(const Stream& stream) {
  return stream.next < stream.sends.size() ? stream.sends[stream.next].due - stream.ahead
                                           : Instant::max();
}

Instant Schedule::next_at() {
  load(sends_);
  if (typing_.ahead > Duration{}) load(typing_);
  const Instant change =
      next_change_ < changes_.size() ? changes_[next_change_].at : Instant::max();
  return std::min({change, next_of(typing_), next_of(sends_)});
}

std::optional<PlannedEvent> Schedule::take(Instant now) {
  const Instant at = next_at();
  if (at > now || at == Instant::max()) return std::nullopt;
  if (next_change_ < changes_.size() && changes_[next_change_].at == at) {
    return changes_[next_change_++];
  }
  const bool typing = next_of(typing_) == at;
  Stream& stream = typing ? typing_ : sends_;
  const scenario::Send& send = stream.sends[stream.next++];
  return PlannedEvent{at, typing ? PlannedEvent::Kind::typing : PlannedEvent::Kind::send,
                      send.client, 0, send};
}

namespace {

/// Whether the one may be under way when the other comes.
bool may_meet(const PlannedEvent& one, const PlannedEvent& other) {
  using Kind = PlannedEvent::Kind;
  const auto writes = [](Kind kind) { return kind == Kind::typing || kind == Kind::send; };
  if (!writes(one.kind) || !writes(other.kind)) {
    return one.kind == other.kind && other.kind != Kind::fault;
  }
  // What a send is about is in the log by then.
  return other.kind == Kind::typing || other.send.kind == scenario::SendKind::message;
}

}  // namespace

std::vector<Instant> quiet_points(const scenario::Plan& plan) {
  std::vector<Instant> points;
  Schedule all{plan, 0, plan.clients()};
  std::optional<PlannedEvent> before;
  while (auto event = all.take(Instant{plan.duration()})) {
    const bool apart = before && !may_meet(*before, *event);
    if (apart && before->at < event->at) points.push_back(event->at);
    before = std::move(event);
  }
  return points;
}

}  // namespace clamor::loadgen
