// Which sessions get which channel's records, and from which record on.

#include "server/app/channels.hpp"
#include "server/app/frontend.hpp"
#include "server/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {
namespace {

constexpr std::size_t records_per_joining_read = 256;
constexpr std::size_t bytes_per_joining_read = std::size_t{256} * 1024;

}  // namespace

// --- attached sessions ---------------------------------------------------------------------------

bool Frontend::is_attached(const Session& session, LiveIndex index) {
  return std::find(session.channels.begin(), session.channels.end(), index) !=
         session.channels.end();
}

void Frontend::attach(gateway::SessionId id, Session& session, LiveIndex index) {
  if (is_attached(session, index)) return;
  session.channels.push_back(index);
  live_.at(index).slots.push_back(id.slot);
}

void Frontend::detach(Session& session, std::uint32_t slot, LiveIndex index) {
  if (erase(session.channels, index) == 0) return;
  auto& slots = live_.at(index).slots;
  *std::find(slots.begin(), slots.end(), slot) = slots.back();
  slots.pop_back();
}

void Frontend::detach_all(gateway::SessionId id, Session& session) {
  while (!session.channels.empty()) detach(session, id.slot, session.channels.back());
}

// --- sessions that were added to a channel -------------------------------------------------------

void Frontend::handle(NodeId, bus::Joined&& joined) {
  const gateway::SessionId id = session_of(joined.session);
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase == Phase::closing) return;
  if (close_joiner_behind(id, *session)) return;
  if (joined.at != MessageId{}) return join(id, *session, joined.channel, joined.at);
  // The notice of the join itself was lost. Where the session learnt of it otherwise it is well.
  if (session->catch_up != nullptr && !session->catch_up->planned) {
    return register_channels(id, *session->catch_up, std::span{&joined.channel, 1});
  }
  refresh(id, *session, std::span{&joined.channel, 1});
}

void Frontend::join(gateway::SessionId id, Session& session, ChannelId channel, MessageId at) {
  if (session.phase == Phase::closing || close_joiner_behind(id, session)) return;
  if (session.catch_up != nullptr && !session.catch_up->planned) {
    // The plan that is to be made knows of it.
    return register_channels(id, *session.catch_up, std::span{&channel, 1});
  }
  const LiveIndex index = live_.index_of(channel);
  LiveChannel& live = live_.at(index);
  if (live.joiner(id) != nullptr) return;
  if (live.registered && at <= live.relayed && is_attached(session, index)) return;
  live.joiners.push_back({.session = id, .next = at});
  if (live.registered) return advance_joiners(index);
  if (std::exchange(live.asked, true)) return;
  node_.bus.send(node_.directory.owner(channel),
                 bus::Register{.session = bus::no_session, .user = {}, .channels = {channel}});
}

void Frontend::advance_joiners(LiveIndex index) {
  for (std::size_t i = 0; i < live_.at(index).joiners.size();) {
    LiveChannel& live = live_.at(index);
    Joiner& joiner = live.joiners[i];
    Session* const session = sessions_.find(joiner.session);
    if (session != nullptr) close_joiner_behind(joiner.session, *session);
    if (session == nullptr || session->phase == Phase::closing) {
      erase_if(live.acks, [&](const HeldAck& ack) { return ack.session == joiner.session; });
      live.joiners.erase(live.joiners.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    if (joiner.next == live.relayed + 1) {
      const gateway::SessionId id = joiner.session;
      live.joiners.erase(live.joiners.begin() + static_cast<std::ptrdiff_t>(i));
      attach(id, *session, index);
      // The plan reads up to where the session is attached: until then it holds no records.
      if (auto* const progress = progress_to_plan(*session, live.id)) progress->attached = true;
      release_acks(index, live.relayed);
      continue;
    }
    ++i;
    if (joiner.next > live.relayed || joiner.reading) continue;
    joiner.reading = true;
    node_.bus.send(node_.directory.owner(live.id),
                   bus::ReadLog{.session = ticket_of(joiner.session),
                                .reading = bus::Reading::joining,
                                .channel = live.id,
                                .after = joiner.next - 1,
                                .up_to = live.relayed,
                                .records_max = records_per_joining_read,
                                .bytes_max = bytes_per_joining_read});
    i = 0;  // The answer may have come already, and changed who joins.
  }
}

void Frontend::on_joining_read(const bus::LogRead& read) {
  const auto index = live_.find(read.channel);
  const gateway::SessionId id = session_of(read.session);
  if (!index || live_.at(*index).joiner(id) == nullptr) return;
  live_.at(*index).joiner(id)->reading = false;
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase == Phase::closing) return;
  const bool gone = !read.from_tail && read.kept_from > live_.at(*index).joiner(id)->next;
  if (gone) {
    // Pages alone can say that records are gone.
    return close_slow(id, *session, "what it was added to is gone by now");
  }
  if (!read.failure.empty() || read.size() == 0) {
    return close(id, *session, protocol::CloseCode::internal_error, "the store cannot be read");
  }
  for (std::size_t i = 0; i < read.size(); ++i) {
    give_to_joiner(*index, id, read.record(i), read.body(i));
  }
  advance_joiners(*index);
}

void Frontend::give_to_joiner(LiveIndex index, gateway::SessionId id, const core::Record& record,
                              std::span<const std::byte> body) {
  Joiner* const joiner = live_.at(index).joiner(id);
  Session* const session = sessions_.find(id);
  if (joiner == nullptr || session == nullptr || record.id != joiner->next) return;
  ++joiner->next;
  auto& acks = live_.at(index).acks;
  const auto ack = std::find_if(acks.begin(), acks.end(), [&](const HeldAck& held) {
    return held.session == id && held.id == record.id;
  });
  if (ack != acks.end()) {
    send_after_pages(id, *session, {.frame = std::move(ack->frame)});
    acks.erase(ack);
    return;
  }
  send_after_pages(id, *session,
                   {frame_of(protocol::RecordFrame{record, protocol::shown_body(record, body)}),
                    record.channel, record.id});
  if (record.kind != core::RecordKind::leave && record.kind != core::RecordKind::kick) return;
  const auto user = sessions_.user_of(id);
  for_each_user(body, [&](UserId left) {
    if (user && left == *user) live_.at(index).drop_joiner(id);
  });
}

void Frontend::release_acks(LiveIndex index, MessageId up_to) {
  LiveChannel& live = live_.at(index);
  for (std::size_t i = 0; i < live.acks.size();) {
    const gateway::SessionId id = live.acks[i].session;
    Session* const session = sessions_.find(id);
    const bool waits =
        session != nullptr && (live.acks[i].id > up_to || live.joiner(id) != nullptr);
    if (waits) {
      ++i;
      continue;
    }
    if (session != nullptr) {
      send_after_pages(id, *session, {.frame = std::move(live.acks[i].frame)});
    }
    live.acks.erase(live.acks.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

MessageId Frontend::joined_at(core::Intervals intervals, MessageId head) {
  const auto joined = std::find_if(intervals.begin(), intervals.end(), [&](const auto& interval) {
    return interval.join <= head && head < interval.leave;
  });
  CLAMOR_ASSERT(joined != intervals.end());
  return joined->join;
}

// --- registrations -------------------------------------------------------------------------------

void Frontend::handle(NodeId from, bus::Rebuilt&&) { register_again(from); }

void Frontend::register_again(NodeId owner) {
  bus::Register wanted{.session = bus::no_session, .user = {}, .channels = {}};
  for (LiveChannel& live : live_.all()) {
    if (!live.asked || node_.directory.owner(live.id) != owner) continue;
    live.repair_to = {};  // A read that was under way may never be answered.
    wanted.channels.push_back(live.id);
  }
  if (!wanted.channels.empty()) node_.bus.send(owner, std::move(wanted));
}

void Frontend::set_registered(LiveIndex index, MessageId head) {
  LiveChannel& live = live_.at(index);
  live.asked = true;
  if (!std::exchange(live.registered, true)) {
    live.relayed = head;
  } else if (head > live.relayed) {
    repair(index, head);
  }
  advance_joiners(index);
}

void Frontend::handle(NodeId, bus::Registered&& registered) {
  const gateway::SessionId id = session_of(registered.session);
  std::uint32_t begin = 0;
  for (const bus::ChannelState& state : registered.channels) {
    const auto intervals =
        std::span{registered.intervals}.subspan(begin, state.intervals_end - begin);
    begin = state.intervals_end;
    if (state.registered) set_registered(live_.index_of(state.channel), state.head);
    Session* const session = sessions_.find(id);
    if (session == nullptr || session->phase == Phase::closing) continue;
    if (session->catch_up != nullptr && !session->catch_up->planned) {
      learn(id, *session, state, intervals);
    } else if (state.registered) {
      join(id, *session, state.channel, joined_at(intervals, state.head));
    }
  }
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->catch_up == nullptr) return;
  CatchUp& catch_up = *session->catch_up;
  CatchUpReader::learn_redacted(catch_up, registered.redacted);
  // refresh() asks for no round; its answer may come when another is open.
  if (registered.round != catch_up.round) return;
  // A channel that the user joined meanwhile may be known before all others are.
  if (--catch_up.answers_due == 0 && !catch_up.round_due) plan(id, catch_up);
}

}  // namespace clamor::server
