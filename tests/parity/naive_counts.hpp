#pragma once

#include "scenarios/model/plan.hpp"
#include "server/base/operations.hpp"
#include "server/base/queue_design.hpp"
#include "server/core/placement.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <vector>

/// What the plan's servers must do for it, counted message by message and device by device, with
/// none of the simulator's short cuts and none of the server's code but the placement. Right where
/// no absence begins or ends and no fault hits while a message is on its way.
namespace clamor::parity {

class NaiveCount {
 public:
  NaiveCount(const scenario::Plan& plan, DesignSpec spec) : plan_{plan}, spec_{spec} {
    for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends_);
    const std::uint32_t per_server = plan.scenario().deployment.clients_per_server;
    const std::uint32_t servers = (plan.clients() + per_server - 1) / per_server;
    for (std::uint32_t node = 0; node < servers; ++node) nodes_.push_back({node});
    for (std::uint32_t channel = 0; channel < plan.channels(); ++channel) {
      if (plan.prefill_in(channel) > 0) fillers_.insert(plan.prefill_sender(channel));
    }
  }

  Operations count() {
    for (std::uint32_t client = 0; client < plan_.clients(); ++client) count_logins(client);
    if (spec_.design == QueueDesign::adaptive) {
      count_by_modes();
    } else {
      for (const scenario::Send& send : sends_) count_send(send);
    }
    count_typing();
    for (std::uint32_t channel = 0; channel < plan_.channels(); ++channel) count_interest(channel);
    if (plan_.scenario().population.presence_subscribe > 0) {
      for (std::uint32_t user = 0; user < plan_.users(); ++user) count_presence(user);
    }
    return operations_;
  }
  /// Queue entries of what the channels begin with.
  [[nodiscard]] std::uint64_t prefill_entries() const {
    std::uint64_t entries = 0;
    for (std::uint32_t channel = 0; channel < plan_.channels(); ++channel) {
      const std::size_t members = members_of(channel).size();
      // Under adaptive nobody has a queue before somebody has read.
      if (spec_.design != QueueDesign::adaptive && has_queue(members))
        entries += plan_.prefill_in(channel) * members;
    }
    return entries;
  }
  /// Under adaptive: live deliveries of records of modes. They carry no time at which they were
  /// due, so that clients do not tell them from those of a catch-up.
  [[nodiscard]] std::uint64_t modes_delivered_live() const { return modes_delivered_live_; }
  /// Of the (record, node) pairs those that cross the bus: the node is not the channel's own.
  [[nodiscard]] std::uint64_t pairs_between_nodes() const { return pairs_between_nodes_; }
  /// (channel, node that is not its own) with interest in the end.
  [[nodiscard]] std::uint64_t interest_between_nodes() const {
    std::uint64_t count = 0;
    for (std::uint32_t channel = 0; channel < plan_.channels(); ++channel) {
      count += others(interested(channel, Instant::max()), channel);
    }
    return count;
  }

  // --- what nobody but the plan can tell of a run. @pre count().
  /// Live deliveries of deletions: they carry no time.
  [[nodiscard]] std::uint64_t live_deletions() const { return live_deletions_; }
  /// Of messages that were deleted.
  [[nodiscard]] std::uint64_t mentions_deleted() const { return mentions_deleted_; }

  /// Whether nobody who could get a message leaves, comes or is cut off within `apart` of it, or of
  /// the notice before it.
  bool quiet(Duration apart) const {
    const Duration ahead = plan_.scenario().population.typing;
    for (const scenario::Send& send : sends_) {
      for (const scenario::Fault& fault : plan_.scenario().faults) {
        const Instant at{fault.at};
        if (send.due > at - apart && send.due - ahead < at + apart) return false;
      }
      for (const std::uint32_t user : members_of(send.channel)) {
        for (const scenario::Absence& absence : absences_of(user)) {
          for (const Instant edge : {absence.from, absence.until}) {
            const bool inside = edge > Instant{} && edge < Instant{plan_.duration()};
            if (inside && send.due > edge - apart && send.due - ahead < edge + apart) return false;
          }
        }
      }
    }
    return true;
  }
  /// Whether nobody who is told about a user leaves, comes or is cut off within `apart` of when
  /// that is due, and nobody is back at about the time of the second look.
  [[nodiscard]] bool presence_is_quiet(Duration apart) const {
    const auto near = [apart](Instant a, Instant b) { return a > b - apart && a < b + apart; };
    const Duration delay = plan_.scenario().heartbeat.offline_delay;
    const Instant end{plan_.duration()};
    for (std::uint32_t user = 0; user < plan_.users(); ++user) {
      std::vector<Instant> told;
      for (const scenario::Absence& absence : absences_of(user)) {
        if (near(absence.from + delay, absence.until)) return false;
        if (absence.until < absence.from + delay) continue;  // Nobody is told.
        if (absence.from > Instant{}) told.push_back(absence.from + delay);
        if (absence.until < end) told.push_back(absence.until);
      }
      for (const Instant at : told) {
        if (near(at, end)) return false;
        for (const scenario::Fault& fault : plan_.scenario().faults) {
          if (near(at, Instant{fault.at})) return false;
        }
        for (const std::uint32_t partner : partners_of(user)) {
          for (const scenario::Absence& absence : absences_of(partner)) {
            if (near(at, absence.from) || near(at, absence.until)) return false;
          }
        }
      }
    }
    return true;
  }

 private:
  std::vector<std::uint32_t> members_of(std::uint32_t channel) const {
    std::vector<std::uint32_t> members;
    plan_.members(channel, members);
    return members;
  }
  std::vector<scenario::Absence> absences_of(std::uint32_t user) const {
    std::vector<scenario::Absence> absences;
    plan_.absences(user, absences);
    return absences;
  }
  bool has_queue(std::size_t members) const {
    if (spec_.design == QueueDesign::hybrid) return members <= spec_.threshold;
    return spec_.design != QueueDesign::per_group;
  }

  [[nodiscard]] std::uint32_t partitions() const {
    return core::partition_count(static_cast<std::uint32_t>(nodes_.size()));
  }
  /// Nodes to which members of the channel have connected by then: a node stays interested.
  std::set<NodeId> interested(std::uint32_t channel, Instant at) const {
    std::set<NodeId> nodes;
    for (const std::uint32_t user : members_of(channel)) {
      const auto absences = absences_of(user);
      const bool came = fillers_.contains(user) || absences.empty() ||
                        absences.front().from > Instant{} || absences.front().until <= at;
      if (came) nodes.insert(core::gateway_of(scenario::Plan::user_id(user), nodes_));
    }
    return nodes;
  }

  /// How many of the nodes are not the channel's own.
  [[nodiscard]] std::uint64_t others(const std::set<NodeId>& nodes, std::uint32_t channel) const {
    const auto partition = core::partition_of(scenario::Plan::channel_id(channel), partitions());
    return nodes.size() - nodes.count(core::owner_of(partition, nodes_));
  }

  void count_kind(const scenario::Send& send) {
    using scenario::SendKind;
    operations_.replies += send.kind == SendKind::reply ? 1 : 0;
    operations_.reactions += send.kind == SendKind::reaction ? 1 : 0;
    operations_.edits += send.kind == SendKind::edit ? 1 : 0;
    operations_.deletions += send.kind == SendKind::deletion ? 1 : 0;
    operations_.mentions += send.mentioned == scenario::nobody ? 0 : 1;
    if (send.kind != SendKind::deletion) return;
    mentions_deleted_ += static_cast<std::uint64_t>(
        std::count_if(sends_.begin(), sends_.end(), [&](const scenario::Send& other) {
          return other.pair == send.pair && other.mentioned != scenario::nobody;
        }));
  }

  /// A notice of each text's sender, so long before it, if a second after the last one.
  void count_typing() {
    const Duration ahead = plan_.scenario().population.typing;
    if (ahead == Duration{}) return;
    std::map<std::uint32_t, Instant> typed;
    for (const scenario::Send& send : sends_) {
      const Instant at = send.due - ahead;
      const std::uint32_t author = plan_.user_of(send.client);
      if (!scenario::is_typed(send.kind) || at < Instant{} || plan_.absent(author, at)) continue;
      const auto last = typed.find(send.client);
      if (last != typed.end() && at < last->second + std::chrono::seconds{1}) continue;
      typed[send.client] = at;
      ++operations_.typing_notices;
      const auto members = members_of(send.channel);
      if (members.size() > 100) continue;
      for (const std::uint32_t user : members) {
        if (user == author || plan_.absent(user, at)) continue;
        operations_.typing_deliveries += plan_.devices_of(user);
      }
    }
  }

  void count_send(const scenario::Send& send) {
    const auto members = members_of(send.channel);
    ++operations_.records;
    count_kind(send);
    const auto nodes = interested(send.channel, send.due);
    operations_.record_node_pairs += nodes.size();
    pairs_between_nodes_ += others(nodes, send.channel);
    if (has_queue(members.size())) {
      std::set<PartitionId> of_users;
      for (const std::uint32_t user : members) {
        ++operations_.queue_entries;
        of_users.insert(core::partition_of(scenario::Plan::user_id(user), partitions()));
      }
      operations_.record_user_partition_pairs += of_users.size();
    }
    for (const std::uint32_t user : members) {
      for (std::uint32_t device = 1; device <= plan_.devices_of(user); ++device) {
        if (plan_.client_of(user, device) == send.client) continue;  // the ack is its receipt
        ++operations_.expected_deliveries;
        const bool absent = plan_.absent(user, send.due);
        ++(absent ? operations_.catch_up_deliveries : operations_.live_deliveries);
        if (!absent && send.kind == scenario::SendKind::deletion) ++live_deletions_;
      }
    }
  }

  /// One login at the end of each absence, or in the roll call where it lasts to the end; and one
  /// after each fault that cuts the client off, without news.
  void count_logins(std::uint32_t client) {
    const std::uint32_t user = plan_.user_of(client);
    std::vector<std::uint32_t> channels;
    plan_.channels_of(user, channels);
    const auto& faults = plan_.scenario().faults;
    for (std::uint32_t fault = 0; fault < faults.size(); ++fault) {
      if (!plan_.hits(fault, client) || plan_.absent(user, Instant{faults[fault].at})) continue;
      ++operations_.logins;
      operations_.head_comparisons += channels.size();
    }
    for (const scenario::Absence& absence : absences_of(user)) {
      ++operations_.logins;
      operations_.head_comparisons += channels.size();
      bool user_queue = false;
      for (const std::uint32_t channel : channels) {
        const auto news = std::count_if(sends_.begin(), sends_.end(), [&](const auto& send) {
          return send.channel == channel && absence.from <= send.due && send.due < absence.until;
        });
        if (news == 0) continue;
        if (!has_queue(plan_.members_in(channel))) {
          ++operations_.log_scans;
          continue;
        }
        operations_.log_gets += static_cast<std::uint64_t>(news);
        if (spec_.design == QueueDesign::per_member) ++operations_.queue_scans;
        if (spec_.design != QueueDesign::per_member) user_queue = true;
      }
      if (user_queue) ++operations_.queue_scans;
    }
  }

  /// The other members of the user's channels of two, each once.
  [[nodiscard]] std::set<std::uint32_t> partners_of(std::uint32_t user) const {
    std::set<std::uint32_t> partners;
    std::vector<std::uint32_t> channels;
    plan_.channels_of(user, channels);
    for (const std::uint32_t channel : channels) {
      if (plan_.members_in(channel) != 2) continue;
      for (const std::uint32_t member : members_of(channel)) {
        if (member != user) partners.insert(member);
      }
    }
    return partners;
  }

  /// All partners are subscribed to, by each session anew: it is told of each of them once. Whoever
  /// is away for longer than the delay is told to those sessions of partners that are there then,
  /// and so is the return.
  void count_presence(std::uint32_t user) {
    const auto partners = partners_of(user);
    const Instant end{plan_.duration()};
    const auto& faults = plan_.scenario().faults;
    for (std::uint32_t device = 1; device <= plan_.devices_of(user); ++device) {
      for (std::uint32_t fault = 0; fault < faults.size(); ++fault) {
        const bool cut = plan_.hits(fault, plan_.client_of(user, device)) &&
                         !plan_.absent(user, Instant{faults[fault].at});
        if (cut) operations_.presence_notices += partners.size();
      }
      for (const scenario::Absence& absence : absences_of(user)) {
        if (absence.until < end) operations_.presence_notices += partners.size();
      }
    }
    const auto tell = [&](Instant at) {
      std::uint64_t sessions = 0;
      for (const std::uint32_t partner : partners) {
        if (!plan_.absent(partner, at)) sessions += plan_.devices_of(partner);
      }
      operations_.presence_notices += sessions;
      operations_.presence_changes += sessions > 0 ? 1 : 0;
    };
    const Duration delay = plan_.scenario().heartbeat.offline_delay;
    for (const scenario::Absence& absence : absences_of(user)) {
      const bool told = absence.until > absence.from + delay;
      const bool left = absence.from > Instant{};
      if (told && left && absence.from + delay < end) tell(absence.from + delay);
      if ((told || !left) && absence.until < end) tell(absence.until);
    }
  }

  /// Registrations that were not made before the window: nobody of the channel was at the node. By
  /// the end of the roll call everybody has been.
  void count_interest(std::uint32_t channel) {
    operations_.interest_updates += interested(channel, Instant::max()).size();
    operations_.interest_updates -= interested(channel, Instant{}).size();
  }

  // --- adaptive: records, reads and looks in the order of time

  struct Logged {
    Instant at;
    std::uint32_t sender = no_client;
  };
  struct Channel {
    std::vector<Logged> records;                      ///< From id `first` on.
    std::uint64_t first = 2;                          ///< Behind the join and the pre-fill.
    std::map<std::uint32_t, std::uint64_t> queue_of;  ///< Users; from which id on.
    std::map<std::uint32_t, std::uint32_t> reads;     ///< By user, since the last look.
    [[nodiscard]] std::uint64_t head() const { return first + records.size() - 1; }
  };

  void count_by_modes() {
    struct Login {
      std::uint32_t client;
      scenario::Absence absence;
    };
    std::vector<Login> logins;  // By their time; without news they are no reads.
    for (std::uint32_t client = 0; client < plan_.clients(); ++client) {
      for (const auto& absence : absences_of(plan_.user_of(client))) {
        logins.push_back({client, absence});
      }
    }
    std::stable_sort(logins.begin(), logins.end(), [](const Login& a, const Login& b) {
      return a.absence.until < b.absence.until;
    });
    // Scans are counted again, by modes.
    operations_.log_scans = operations_.queue_scans = operations_.log_gets = 0;
    std::map<std::uint32_t, Channel> channels;
    for (std::uint32_t channel = 0; channel < plan_.channels(); ++channel) {
      channels[channel].first += plan_.prefill_in(channel);
    }
    std::size_t login = 0;
    const auto log_in_until = [&](Instant at) {
      for (; login < logins.size() && logins[login].absence.until <= at; ++login) {
        read(logins[login].client, logins[login].absence, channels);
      }
    };
    std::stable_sort(sends_.begin(), sends_.end(),
                     [](const auto& a, const auto& b) { return a.due < b.due; });
    for (const scenario::Send& send : sends_) {
      log_in_until(send.due);
      count_kind(send);
      append(send.channel, channels[send.channel], {send.due, send.client});
      look(send.channel, channels[send.channel], send.due);
    }
    log_in_until(Instant::max());
  }

  void append(std::uint32_t id, Channel& channel, Logged record) {
    channel.records.push_back(record);
    ++operations_.records;
    const auto nodes = interested(id, record.at);
    operations_.record_node_pairs += nodes.size();
    if (record.sender != no_client) pairs_between_nodes_ += others(nodes, id);
    std::set<PartitionId> of_users;
    for (const std::uint32_t user : members_of(id)) {
      if (channel.queue_of.contains(user)) {
        ++operations_.queue_entries;
        of_users.insert(core::partition_of(scenario::Plan::user_id(user), partitions()));
      }
      for (std::uint32_t device = 1; device <= plan_.devices_of(user); ++device) {
        if (plan_.client_of(user, device) == record.sender) continue;
        ++operations_.expected_deliveries;
        const bool absent = plan_.absent(user, record.at);
        ++(absent ? operations_.catch_up_deliveries : operations_.live_deliveries);
        if (!absent && record.sender == no_client) ++modes_delivered_live_;
      }
    }
    operations_.record_user_partition_pairs += of_users.size();
  }

  /// Where a window ends: who reads every second record gets a queue, who reads not even every
  /// fourth loses it.
  void look(std::uint32_t id, Channel& channel, Instant at) {
    if (channel.head() % spec_.window != 0) return;
    bool changed = false;
    for (const std::uint32_t user : members_of(id)) {
      const std::uint32_t reads = channel.reads[user];
      const bool queued = channel.queue_of.contains(user);
      if (!queued && 2 * reads >= spec_.window) channel.queue_of[user] = channel.head() + 1;
      if (queued && 4 * reads < spec_.window) channel.queue_of.erase(user);
      changed = changed || queued != channel.queue_of.contains(user);
    }
    channel.reads.clear();
    if (!changed) return;
    ++operations_.mode_records;
    append(id, channel, {at, no_client});
  }

  void read(std::uint32_t client, const scenario::Absence& absence,
            std::map<std::uint32_t, Channel>& channels) {
    const std::uint32_t user = plan_.user_of(client);
    std::vector<std::uint32_t> of_user;
    plan_.channels_of(user, of_user);
    bool user_queue = false;
    for (const std::uint32_t id : of_user) {
      Channel& channel = channels[id];
      std::uint64_t first = 0;
      std::uint64_t news = 0;
      for (std::size_t i = 0; i < channel.records.size(); ++i) {
        const Instant at = channel.records[i].at;
        if (at < absence.from || at >= absence.until) continue;
        if (news++ == 0) first = channel.first + i;
      }
      if (news == 0) continue;
      ++channel.reads[user];
      const auto queue = channel.queue_of.find(user);
      if (queue == channel.queue_of.end() || first < queue->second) {
        ++operations_.log_scans;
        continue;
      }
      operations_.log_gets += news;
      user_queue = true;
    }
    if (user_queue) ++operations_.queue_scans;
  }

  static constexpr std::uint32_t no_client = std::numeric_limits<std::uint32_t>::max();

  const scenario::Plan& plan_;
  DesignSpec spec_;
  std::vector<scenario::Send> sends_;
  std::vector<NodeId> nodes_;
  std::set<std::uint32_t> fillers_;  ///< Users.
  Operations operations_;
  std::uint64_t pairs_between_nodes_ = 0;
  std::uint64_t live_deletions_ = 0;
  std::uint64_t mentions_deleted_ = 0;
  std::uint64_t modes_delivered_live_ = 0;
};

/// The counts of the logical and phase classes; the physical ones stay 0.
inline Operations naive_counts(const scenario::Plan& plan, DesignSpec design) {
  return NaiveCount{plan, design}.count();
}

}  // namespace clamor::parity
