#include "tests/unit/server/core/small_chat_gateway.hpp"

#include "server/base/assert.hpp"
#include "server/core/placement.hpp"
#include "server/core/silence.hpp"

#include <algorithm>

namespace clamor::core::small_chat {
namespace {

std::size_t bytes_of(const Down& frame) {
  return Gateways::record_bytes * std::max<std::size_t>(frame.items.size(), 1);
}

}  // namespace

Gateways::Gateways(Partitions& partitions, Cases& cases)
    : partitions_{partitions}, cases_{cases}, nodes_(count) {}

Gateways::Node& Gateways::node_of(UserId user) {
  static const std::vector<NodeId> ids = [] {
    std::vector<NodeId> all;
    for (std::uint32_t i = 0; i < count; ++i) all.push_back({i});
    return all;
  }();
  return nodes_[gateway_of(user, ids).value];
}

Session* Gateways::find(DeviceName device, std::uint64_t serial) {
  Node& node = node_of(device.user);
  const auto found = node.sessions.find(device);
  const bool open = found != node.sessions.end() && found->second.serial == serial;
  return open ? &found->second : nullptr;
}

bool Gateways::is_open(DeviceName device, std::uint64_t serial) {
  return find(device, serial) != nullptr;
}

bool Gateways::is_caught_up(DeviceName device, std::uint64_t serial) {
  const Session* session = find(device, serial);
  return session != nullptr && !session->syncing && session->down.empty();
}

/// The registration's answer is the head up to which catch-up reads; live records follow it. A
/// node that is interested already may lag behind the owner: its own head counts.
MessageId Gateways::register_interest(Node& node, ChannelId channel, MessageId relayed) {
  return node.relayed.try_emplace(channel, relayed).first->second;
}

std::uint64_t Gateways::login(DeviceName device, std::uint32_t incarnation, bool starts_empty,
                              const std::map<ChannelId, MessageId>& positions,
                              std::uint64_t queue_position, Instant now) {
  Node& node = node_of(device.user);
  if (node.sessions.erase(device) > 0) ++cases_.superseded_sessions;
  partitions_.device_logged_in(device, starts_empty);
  Session& session = node.sessions[device];
  session.serial = ++last_serial_;
  session.incarnation = incarnation;
  session.sent = positions;
  session.queue_position = queue_position;
  session.last_seen = now;
  plan_catch_up(node, device, session);
  if (device.device.value > 1) ++cases_.logins_of_second_devices;
  if (starts_empty && incarnation > 1) ++cases_.logins_of_wiped_devices;
  ++(session.plan.records > 0 ? cases_.reconnects_with_news : cases_.reconnects_without_news);
  const std::uint64_t serial = session.serial;
  send_page(node, device, now);
  return serial;
}

void Gateways::disconnect(DeviceName device, std::uint64_t serial) {
  if (find(device, serial) != nullptr) node_of(device.user).sessions.erase(device);
}

std::optional<Down> Gateways::take(DeviceName device, std::uint64_t serial, Instant now) {
  Session* session = find(device, serial);
  if (session == nullptr || session->down.empty()) return std::nullopt;
  Down frame = std::move(session->down.front());
  session->down.pop_front();
  flushed(session->buffer, bytes_of(frame), now);
  return frame;
}

/// Queues a frame, or ends the session of a consumer that fell behind, the harder case for its
/// device; false when it was ended.
bool Gateways::send(Node& node, DeviceName device, Down frame, Instant now) {
  Session& session = node.sessions.at(device);
  if (offer(session.buffer, bytes_of(frame), now, limits) == SendDecision::fall_back) {
    ++cases_.slow_consumers_closed;
    node.sessions.erase(device);
    return false;
  }
  session.down.push_back(std::move(frame));
  return true;
}

void Gateways::handle(DeviceName device, std::uint64_t serial, const Up& up, Instant now) {
  Session* session = find(device, serial);
  if (session == nullptr) return;
  session->last_seen = now;
  Node& node = node_of(device.user);
  switch (up.kind) {
    case Up::Kind::send:
      answer_send(node, device, up, now);
      break;
    case Up::Kind::acknowledge:
      for (const auto& [channel, held] : up.held) partitions_.acknowledge(device, channel, held);
      break;
    case Up::Kind::next_page:
      if (session->syncing) send_page(node, device, now);
      break;
  }
}

void Gateways::answer_send(Node& node, DeviceName device, const Up& up, Instant now) {
  Session& session = node.sessions.at(device);
  Down answer{.channel = up.channel, .client_message_id = up.client_message_id};
  if (!partitions_.is_member(up.channel, device.user)) {
    ++cases_.sends_refused_not_member;
    answer.kind = Down::Kind::not_member;
    send(node, device, answer, now);
    return;
  }
  const Accepted accepted =
      partitions_.send(up.channel, device, session.incarnation, up.client_message_id);
  switch (accepted.outcome) {
    case AcceptOutcome::accepted:
      ++cases_.sends;
      return;  // acknowledged by committed()
    case AcceptOutcome::duplicate_pending:
      ++cases_.resends_answered_pending;
      return;
    case AcceptOutcome::duplicate:
      ++cases_.resends_answered_duplicate;
      answer.kind = Down::Kind::ack;
      answer.id = accepted.id;
      session.receipts.emplace(up.channel, accepted.id);
      break;
    case AcceptOutcome::expected_next:
      ++cases_.sends_answered_expected_next;
      answer.kind = Down::Kind::expected_next;
      answer.client_message_id = accepted.expected;
      break;
    case AcceptOutcome::too_old:
    case AcceptOutcome::too_many_pending:
      CLAMOR_ASSERT(!"the small chat's devices bound what they have pending");
  }
  send(node, device, answer, now);
}

void Gateways::committed(const Partitions::Committed& committed, Instant now) {
  const Channel& channel = partitions_.channels().at(committed.channel);
  const LogRecord& logged = channel.log[committed.id.value - 1];
  if (logged.record.kind == RecordKind::join) {
    // An online user who joins makes his node interested, from the join on.
    Node& node = node_of(logged.member);
    const bool online = std::any_of(node.sessions.begin(), node.sessions.end(),
                                    [&](const auto& s) { return s.first.user == logged.member; });
    if (online) register_interest(node, committed.channel, committed.id - 1);
  }
  if (logged.record.kind == RecordKind::message) {
    const DeviceName sender{logged.record.sender, logged.record.device};
    Node& node = node_of(sender.user);
    const auto session = node.sessions.find(sender);
    if (session != node.sessions.end() &&
        session->second.incarnation == logged.record.device_incarnation) {
      session->second.receipts.emplace(committed.channel, committed.id);
      send(node, sender,
           {.kind = Down::Kind::ack,
            .channel = committed.channel,
            .client_message_id = logged.record.client_message_id,
            .id = committed.id},
           now);
    }
  }
  std::vector<NodeRun> runs;
  for (std::uint32_t i = 0; i < count; ++i) {
    runs.push_back({.node = {i}, .interested = nodes_[i].relayed.contains(committed.channel)});
  }
  LivePlan plan;
  plan_live(runs, plan);
  for (const std::uint32_t run : plan.runs) nodes_[runs[run].node.value].link.push_back(committed);
}

void Gateways::deliver_link(std::uint32_t node_index, std::size_t frames, Instant now) {
  Node& node = nodes_[node_index];
  for (; frames > 0 && !node.link.empty(); --frames) {
    const auto [channel, id] = node.link.front();
    node.link.pop_front();
    const auto interest = node.relayed.find(channel);
    if (interest == node.relayed.end()) continue;
    MessageId& relayed = interest->second;
    switch (relay(relayed, id)) {
      case RelayDecision::drop:
        ++cases_.link_repeats_dropped;
        break;
      case RelayDecision::fetch:
        ++cases_.link_gaps_fetched;
        while (relayed + 1 < id) fan_out(node, channel, ++relayed, now);
        [[fallthrough]];
      case RelayDecision::deliver:
        fan_out(node, channel, relayed = id, now);
        break;
    }
  }
}

void Gateways::fan_out(Node& node, ChannelId channel, MessageId id, Instant now) {
  std::vector<DeviceName> devices;
  for (const auto& [device, session] : node.sessions) {
    const Intervals intervals = partitions_.channels().at(channel).intervals(device.user);
    if (contains(intervals, id)) devices.push_back(device);
  }
  for (const DeviceName device : devices) {
    Session& session = node.sessions.at(device);
    MessageId& sent = session.sent[channel];
    if (session.syncing) {
      session.overflowed = session.overflowed || session.waiting.size() == waiting_max;
      if (!session.overflowed) session.waiting.emplace_back(channel, id);
    } else if (id > sent) {
      sent = id;
      // The session that was sent the ack has its receipt.
      if (session.receipts.contains({channel, id})) continue;
      send(node, device, {.kind = Down::Kind::record, .channel = channel, .id = id}, now);
    }
  }
}

void Gateways::lose_link_frame(std::uint32_t node) {
  if (!nodes_[node].link.empty()) nodes_[node].link.pop_front();
}

void Gateways::repeat_heads(std::uint32_t node) {
  for (const auto& [channel, relayed] : nodes_[node].relayed) {
    nodes_[node].link.push_back({channel, partitions_.channels().at(channel).head.durable_head});
  }
}

void Gateways::withdraw_idle_interest(std::uint32_t node_index) {
  Node& node = nodes_[node_index];
  std::erase_if(node.relayed, [&](const auto& interest) {
    const Channel& channel = partitions_.channels().at(interest.first);
    return std::none_of(node.sessions.begin(), node.sessions.end(), [&](const auto& session) {
      return !channel.intervals(session.first.user).empty();
    });
  });
}

void Gateways::close_silent(std::uint32_t node_index, Instant now) {
  Node& node = nodes_[node_index];
  std::vector<DeviceName> devices;
  std::vector<Instant> last_seen;
  for (const auto& [device, session] : node.sessions) {
    devices.push_back(device);
    last_seen.push_back(session.last_seen);
  }
  std::vector<std::uint32_t> silent;
  sweep_silent(last_seen, now, offline_after, silent);
  for (const std::uint32_t slot : silent) node.sessions.erase(devices[slot]);
  cases_.silent_sessions_closed += silent.size();
}

bool Gateways::links_are_empty() const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [](const Node& node) { return node.link.empty(); });
}

}  // namespace clamor::core::small_chat
