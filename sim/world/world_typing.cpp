#include "server/core/limits.hpp"
#include "sim/world/wire_sizes.hpp"
#include "sim/world/world.hpp"

// Typing notices: from a client to its gateway, the channel's owner, and the gateways of the other
// members who are there. Nothing of them is kept.
namespace clamor::sim {

void World::next_typing() {
  const Duration ahead = plan_.scenario().population.typing;
  if (typing_.at != 0) {  // the one that is due
    const scenario::Send& send = typing_.sends[typing_.at - 1];
    step(topology_.slot_of(send.client), loadgen::TypingDue{send.channel});
  }
  for (;;) {
    while (typing_.at == typing_.sends.size()) {
      if (typing_.block == plan_.send_blocks()) return;
      typing_.sends.clear();
      typing_.at = 0;
      plan_.sends(typing_.block++, typing_.sends);
    }
    const scenario::Send& send = typing_.sends[typing_.at++];
    if (!scenario::is_typed(send.kind) || send.due < Instant{} + ahead) continue;
    return push(to_ns(send.due - ahead), EventKind::next_typing, 0);
  }
}

void World::take_typing(std::uint32_t index, std::uint32_t what) {
  Flight typing = flights_[what];
  switch (typing.stage) {
    case Stage::typing_at_node: {
      frame_in(wire::typing_payload);
      std::int64_t& may_type_ns = typing_.may_type_ns[typing.slot];
      if (!in_session(typing) || now_ns_ < may_type_ns) return land(what);
      if (!core::admit(core::MessageClass::lossy, nodes_[index].admission).taken) {
        ++operations_.lossy_shed;
        return land(what);
      }
      may_type_ns = now_ns_ + to_ns(core::typing_interval);
      ++operations_.typing_notices;
      if (topology_.owner_of(typing.channel) == index) break;
      flights_[what].stage = Stage::typing_at_owner;
      turn_.posts(1);
      ++operations_.bus_frames;
      return out_.flights_to_node.push_back(what);
    }
    case Stage::typing_at_owner:
      turn_.frames(1, wire::user_typing);
      break;
    case Stage::typing_at_member_node:
      turn_.frames(1, wire::user_typing);
      land(what);
      return deliver_typing(typing, topology_.members_on(typing.channel, index));
    default:
      broken("a flight that is no typing notice");
  }
  land(what);
  tell_typing(index, typing);
}

void World::tell_typing(std::uint32_t index, const Flight& typing) {
  if (topology_.members_of(typing.channel).size() > core::typing_members_max) return;
  if (!core::admit(core::MessageClass::lossy, nodes_[index].admission).taken) {
    ++operations_.lossy_shed;
    return;
  }
  interested_nodes(typing.channel);
  for (const std::uint32_t i : live_plan_.runs) {
    const core::NodeRun& run = node_runs_[i];
    if (run.node.value == index) {
      deliver_typing(typing, topology_.members_on(typing.channel, index));
      continue;
    }
    Flight relayed = typing;
    relayed.stage = Stage::typing_at_member_node;
    relayed.number = run.node.value;
    turn_.posts(1);
    ++operations_.bus_frames;
    out_.flights_to_node.push_back(fly(relayed));
  }
}

void World::deliver_typing(const Flight& typing, std::span<const std::uint32_t> members) {
  for (const std::uint32_t first : members) {
    if (topology_.user_of(first) == topology_.user_of(typing.slot)) continue;
    const std::uint32_t end = first + topology_.devices_at(first);
    for (std::uint32_t slot = first; slot < end; ++slot) {
      const Session& session = sessions_[slot];
      if (session.attached == none || session.sync != none) continue;
      turn_.send(slot, wire::user_typing);
      ++operations_.typing_deliveries;
      ++operations_.frames_out;
    }
  }
}

}  // namespace clamor::sim
