#include "loadgen/net/schedule.hpp"

#include <algorithm>
#include <tuple>

namespace clamor::loadgen {

Schedule::Schedule(const scenario::Plan& plan, std::uint32_t first, std::uint32_t last)
    : plan_{plan}, first_{first}, last_{last} {
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

void Schedule::load_sends() {
  while (next_send_ >= sends_.size() && next_block_ < plan_.send_blocks()) {
    sends_.clear();
    next_send_ = 0;
    plan_.sends(next_block_++, sends_);
    std::erase_if(sends_, [this](const scenario::Send& send) {
      return send.client < first_ || send.client >= last_;
    });
  }
}

Instant Schedule::next_at() {
  load_sends();
  const Instant change =
      next_change_ < changes_.size() ? changes_[next_change_].at : Instant::max();
  const Instant send = next_send_ < sends_.size() ? sends_[next_send_].due : Instant::max();
  return std::min(change, send);
}

std::optional<PlannedEvent> Schedule::take(Instant now) {
  const Instant at = next_at();
  if (at > now || at == Instant::max()) return std::nullopt;
  if (next_change_ < changes_.size() && changes_[next_change_].at == at) {
    return changes_[next_change_++];
  }
  const scenario::Send& send = sends_[next_send_++];
  return PlannedEvent{at, PlannedEvent::Kind::send, send.client, 0, send};
}

std::vector<Instant> quiet_points(const scenario::Plan& plan) {
  std::vector<Instant> points;
  Schedule all{plan, 0, plan.clients()};
  std::optional<PlannedEvent> before;
  while (auto event = all.take(Instant{plan.duration()})) {
    const bool alike =
        before && before->kind == event->kind && event->kind != PlannedEvent::Kind::fault;
    if (before && !alike && before->at < event->at) points.push_back(event->at);
    before = std::move(event);
  }
  return points;
}

}  // namespace clamor::loadgen
