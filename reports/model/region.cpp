#include "reports/model/region.hpp"

#include <algorithm>
#include <vector>

namespace clamor::report {
namespace {

using scenario::Absence;
using scenario::Plan;

constexpr std::uint64_t sample_size = 50'000;

/// Step that visits at most about sample_size of n, evenly.
std::uint32_t stride(std::uint64_t n) {
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, n / sample_size));
}

struct Presence {
  double online = 1;   ///< Share of the run.
  double returns = 0;  ///< Planned reconnects within the run.
};

class PresenceOf {
 public:
  explicit PresenceOf(const Plan& plan) : plan_{plan} {}

  Presence operator()(std::uint32_t user) {
    absences_.clear();
    plan_.absences(user, absences_);
    const Instant end{plan_.duration()};
    Presence presence;
    Duration away{};
    for (const Absence& absence : absences_) {
      away += std::min(absence.until, end) - std::min(absence.from, end);
      if (absence.until < end) presence.returns += 1;
    }
    if (plan_.duration() > Duration::zero()) {
      presence.online = 1 - to_seconds(away) / to_seconds(plan_.duration());
    }
    return presence;
  }

 private:
  const Plan& plan_;
  std::vector<Absence> absences_;
};

std::vector<double> message_shares(const Plan& plan) {
  std::vector<double> shares(plan.classes());
  std::vector<scenario::Send> sends;
  double total = 0;
  const std::uint32_t step = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      plan.send_count() / sample_size, 1, std::max<std::uint32_t>(1, plan.send_blocks())));
  for (std::uint32_t block = 0; block < plan.send_blocks(); block += step) {
    sends.clear();
    plan.sends(block, sends);
    for (const scenario::Send& send : sends) {
      shares[plan.class_of(send.channel)] += 1;
      total += 1;
    }
  }
  for (double& share : shares) share = total > 0 ? share / total : 0;
  return shares;
}

/// Mean online share over the members of evenly chosen channels of [first, first + count).
double online_share(const Plan& plan, std::uint32_t first, std::uint64_t count,
                    std::uint32_t members_each, PresenceOf& presence_of) {
  double online = 0;
  double seen = 0;
  std::vector<std::uint32_t> members;
  const std::uint32_t step = stride(count * members_each);
  for (std::uint64_t i = 0; i < count; i += step) {
    members.clear();
    plan.members(first + static_cast<std::uint32_t>(i), members);
    for (const std::uint32_t user : members) online += presence_of(user).online;
    seen += static_cast<double>(members.size());
  }
  return seen > 0 ? online / seen : 0;
}

std::vector<GroupFacts> groups_of(const Plan& plan, PresenceOf& presence_of) {
  std::vector<GroupFacts> groups(plan.classes());
  for (std::uint32_t channel = 0; channel < plan.channels(); ++channel) {
    ++groups[plan.class_of(channel)].channels;
  }
  const std::vector<double> shares = message_shares(plan);
  std::uint32_t first = 0;  // the channels of a class are consecutive
  for (std::uint32_t c = 0; c < plan.classes(); ++c) {
    GroupFacts& group = groups[c];
    group.name = plan.class_name(c);
    group.message_share = shares[c];
    if (group.channels == 0) continue;
    group.members = plan.members_in(first);
    group.online = online_share(plan, first, group.channels, group.members, presence_of);
    first += static_cast<std::uint32_t>(group.channels);
  }
  return groups;
}

}  // namespace

Region region_of(const Plan& plan) {
  Region region;
  PresenceOf presence_of{plan};
  region.groups = groups_of(plan, presence_of);
  double memberships = 0;
  for (const GroupFacts& group : region.groups) {
    memberships += static_cast<double>(group.channels) * group.members;
  }
  double returns = 0;
  double sampled = 0;
  const std::uint32_t step = stride(plan.users());
  for (std::uint32_t user = 0; user < plan.users(); user += step) {
    const Presence presence = presence_of(user);
    region.online += presence.online;
    returns += presence.returns;
    sampled += 1;
  }
  if (sampled == 0) return region;
  region.online /= sampled;
  region.channels_per_user = memberships / plan.users();
  const double hours = to_seconds(plan.duration()) / 3600;
  if (hours <= 0) return region;
  double forced = 0;  // a fault cuts those who are online then; about their mean share
  for (const scenario::Fault& fault : plan.scenario().faults) forced += fault.share * region.online;
  region.reconnects_per_user_hour = (returns / sampled + forced) / hours;
  region.messages_per_user_hour = static_cast<double>(plan.send_count()) / plan.users() / hours;
  return region;
}

void describe_population(const Plan& plan, DeploymentFacts& out) {
  out.users = plan.users();
  out.clients = plan.clients();
  out.channels = plan.channels();
}

}  // namespace clamor::report
