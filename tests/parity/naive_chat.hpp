#pragma once

#include "server/base/id.hpp"
#include "server/base/operations.hpp"
#include "server/base/queue_design.hpp"
#include "server/core/placement.hpp"
#include "server/core/record.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace clamor::parity {

/// Deliberate errors of a NaiveChat, to show that a comparison with it can fail.
struct NaiveErrors {
  bool leaver_without_entry = false;
  bool no_hysteresis = false;
  bool queue_below_a_change = false;  ///< Catch-up by the queue, wherever the device stands.
  bool scan_at_every_login = false;
  bool one_node_only = false;          ///< A record goes to one of the nodes with interest.
  bool every_login_is_a_read = false;  ///< adaptive: also one that finds nothing new.
};

/// A chat on some nodes, written down a second time and without any thrift: each record knows whom
/// it is owed, and everything is counted by going through all of it. For histories in which one
/// thing happens after another: nothing is under way when the next begins.
class NaiveChat {
 public:
  using User = std::uint64_t;
  using Device = std::pair<User, std::uint32_t>;
  struct Record {
    core::RecordKind kind = core::RecordKind::message;
    std::set<User> owed;
  };
  struct Channel {
    std::vector<Record> records;  ///< Id 1 first.
    std::set<User> members;
    bool queued = true;            ///< Its records have queue entries now.
    std::uint64_t queue_from = 0;  ///< The latest design_changed.
    // adaptive
    std::map<User, std::uint64_t> queue_of;  ///< Who has a queue, and from which id on.
    std::map<User, std::uint32_t> reads;     ///< Of members, since the last look.
    std::set<NodeId> nodes;                  ///< Where a member has had a session.
  };

  NaiveChat(DesignSpec spec, std::uint32_t nodes, NaiveErrors errors)
      : spec_{spec}, errors_{errors} {
    for (std::uint32_t node = 0; node < nodes; ++node) nodes_.push_back({node});
  }

  void create(std::uint64_t id, const std::set<User>& members, Device by) {
    Channel& channel = channels_[id];
    channel.queued = !adaptive() && wants_queues(true, members.size());
    enter(channel, id, members, by);
    attach_all(channel, members);
  }
  void join(std::uint64_t id, Device by) {
    enter(channels_[id], id, {by.first}, by);
    follow_design(channels_[id], id);
    look(channels_[id], id);
    attach_all(channels_[id], {by.first});
  }
  void leave(std::uint64_t id, User user) {
    Channel& channel = channels_[id];
    append(channel, id, core::RecordKind::leave, channel.members, nullptr, user);
    channel.members.erase(user);
    channel.reads.erase(user);
    follow_design(channel, id);
    look(channel, id);
  }
  void send(std::uint64_t id, Device device) {
    Channel& channel = channels_[id];
    append(channel, id, core::RecordKind::message, channel.members, &device);
    positions_[device][id] = channel.records.size();  // by the ack
    look(channel, id);
  }
  void go_offline(Device device) { online_.erase(device); }
  void come_online(Device device, NodeId node) {
    online_[device] = node;
    ++counts_.logins;
    bool user_queue = errors_.scan_at_every_login;
    for (auto& [id, channel] : channels_) {
      if (!ever_in(channel, device.first)) continue;
      ++counts_.head_comparisons;
      if (channel.members.contains(device.first)) attach(channel, node);
      catch_up(device, id, channel, user_queue);
    }
    counts_.queue_scans += user_queue ? 1 : 0;
  }

  [[nodiscard]] const Operations& counts() const { return counts_; }
  [[nodiscard]] const std::map<std::uint64_t, Channel>& channels() const { return channels_; }
  [[nodiscard]] bool online(Device device) const { return online_.contains(device); }
  /// Devices that are, with their gateways' nodes.
  [[nodiscard]] const std::map<Device, NodeId>& online() const { return online_; }
  /// Highest id that the device holds.
  [[nodiscard]] std::uint64_t position(Device device, std::uint64_t channel) {
    return positions_[device][channel];
  }
  /// Ids in each (user, channel)'s queue.
  [[nodiscard]] const auto& queues() const { return queues_; }

 private:
  [[nodiscard]] bool adaptive() const { return spec_.design == QueueDesign::adaptive; }
  [[nodiscard]] bool has_queue(const Channel& channel, User user) const {
    return adaptive() ? channel.queue_of.contains(user) : channel.queued;
  }
  /// A look at the members, where a window ends: who reads every second record gets a queue, who
  /// reads not even every fourth loses it.
  void look(Channel& channel, std::uint64_t id) {
    if (!adaptive() || channel.records.size() % spec_.window != 0) return;
    const std::uint64_t next = channel.records.size() + 1;
    bool changed = false;
    for (const User user : channel.members) {
      const std::uint32_t reads = channel.reads[user];
      const bool queued = channel.queue_of.contains(user);
      if (!queued && 2 * reads >= spec_.window) channel.queue_of[user] = next;
      if (queued && 4 * reads < spec_.window) channel.queue_of.erase(user);
      changed = changed || queued != channel.queue_of.contains(user);
    }
    channel.reads.clear();
    if (!changed) return;
    ++counts_.mode_records;
    append(channel, id, core::RecordKind::member_mode, channel.members, nullptr);
  }
  [[nodiscard]] bool wants_queues(bool has_them, std::size_t members) const {
    if (spec_.design != QueueDesign::hybrid) return spec_.design != QueueDesign::per_group;
    if (has_them || errors_.no_hysteresis) return members <= spec_.threshold;
    return 10 * members <= 8 * std::size_t{spec_.threshold};
  }
  static bool ever_in(const Channel& channel, User user) {
    return std::any_of(channel.records.begin(), channel.records.end(),
                       [user](const Record& record) { return record.owed.contains(user); });
  }
  [[nodiscard]] std::uint32_t partitions() const {
    return core::partition_count(static_cast<std::uint32_t>(nodes_.size()));
  }
  template <class Id>
  [[nodiscard]] NodeId owner_of(Id id) const {
    return core::owner_of(core::partition_of(id, partitions()), nodes_);
  }
  void attach(Channel& channel, NodeId node) {
    if (channel.nodes.insert(node).second) ++counts_.interest_updates;
  }
  void attach_all(Channel& channel, const std::set<User>& users) {
    for (const auto& [device, node] : online_) {
      if (users.contains(device.first)) attach(channel, node);
    }
  }
  /// Nodes hear of a join once it is published, and register then. Only the channel's own node may
  /// hear of it before: by the answer to its session, or as the owner of the user too.
  void enter(Channel& channel, std::uint64_t id, const std::set<User>& users, Device by) {
    channel.members.insert(users.begin(), users.end());
    for (const User user : users) channel.queue_of.erase(user);  // Of an earlier membership.
    counts_.membership_intervals += users.size();
    const NodeId own = owner_of(ChannelId{id});
    for (const auto& [device, node] : online_) {
      if (!users.contains(device.first) || node != own) continue;
      if (device == by || owner_of(UserId{device.first}) == own) attach(channel, own);
    }
    append(channel, id, core::RecordKind::join, channel.members, nullptr);
  }
  void follow_design(Channel& channel, std::uint64_t id) {
    if (adaptive()) return;
    const bool wanted = wants_queues(channel.queued, channel.members.size());
    if (wanted == channel.queued) return;
    channel.queued = wanted;
    channel.queue_from = channel.records.size() + 1;
    append(channel, id, core::RecordKind::design_changed, channel.members, nullptr);
  }
  void append(Channel& channel, std::uint64_t id, core::RecordKind kind, const std::set<User>& owed,
              const Device* sender, User leaver = 0) {
    channel.records.push_back({kind, owed});
    const std::uint64_t message = channel.records.size();
    ++counts_.records;
    counts_.record_node_pairs += errors_.one_node_only
                                     ? std::min<std::size_t>(channel.nodes.size(), 1)
                                     : channel.nodes.size();
    if (channel.queued || adaptive()) {
      std::set<PartitionId> of_users;
      for (const User user : owed) {
        if (!has_queue(channel, user)) continue;
        if (errors_.leaver_without_entry && user == leaver) continue;
        queues_[{user, id}].push_back(message);
        ++counts_.queue_entries;
        of_users.insert(core::partition_of(UserId{user}, partitions()));
      }
      counts_.record_user_partition_pairs += of_users.size();
    }
    for (const auto& [device, node] : online_) {
      if (!owed.contains(device.first) || (sender != nullptr && device == *sender)) continue;
      ++counts_.live_deliveries;
      positions_[device][id] = message;
    }
  }
  void catch_up(Device device, std::uint64_t id, Channel& channel, bool& user_queue) {
    std::uint64_t& position = positions_[device][id];
    std::uint64_t first = 0;
    std::uint64_t news = 0;
    for (std::uint64_t message = position + 1; message <= channel.records.size(); ++message) {
      if (!channel.records[message - 1].owed.contains(device.first)) continue;
      if (news++ == 0) first = message;
      position = message;
    }
    const User user = device.first;
    if ((news != 0 || errors_.every_login_is_a_read) && channel.members.contains(user)) {
      ++channel.reads[user];
    }
    if (news == 0) return;
    counts_.catch_up_deliveries += news;
    const std::uint64_t from =
        adaptive() && has_queue(channel, user) ? channel.queue_of.at(user) : channel.queue_from;
    if (!has_queue(channel, user) || (first < from && !errors_.queue_below_a_change)) {
      ++counts_.log_scans;
      return;
    }
    counts_.log_gets += news;
    if (spec_.design == QueueDesign::per_member) ++counts_.queue_scans;
    if (spec_.design != QueueDesign::per_member) user_queue = true;
  }

  DesignSpec spec_;
  NaiveErrors errors_;
  std::vector<NodeId> nodes_;
  Operations counts_;
  std::map<std::uint64_t, Channel> channels_;
  std::map<Device, NodeId> online_;
  std::map<Device, std::map<std::uint64_t, std::uint64_t>> positions_;
  std::map<std::pair<User, std::uint64_t>, std::vector<std::uint64_t>> queues_;
};

}  // namespace clamor::parity
