// What owners publish: answers to requests, and live records for the sessions that want them.

#include "server/app/channels.hpp"
#include "server/app/frontend.hpp"
#include "server/core/fan_out.hpp"
#include "server/core/limits.hpp"
#include "server/protocol/close.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {
namespace {

/// Answers that may wait for a session's last page, beside the records.
constexpr std::size_t held_answers_max = 4096;
constexpr std::string_view joined_behind = "added to a channel while behind";
constexpr std::size_t records_per_repair = 1024;
constexpr std::size_t bytes_per_repair = std::size_t{1} << 20U;

}  // namespace

void Frontend::handle(NodeId from, bus::Published&& published) {
  follow_link(from, published);
  if (published.commit == nullptr) return;
  const store::RecordBatch& batch = published.commit->batch;
  for (const bus::Published::Entry& entry : published.entries) {
    const core::Record& record = batch.record(entry.record);
    const auto body = batch.body(entry.record);
    acknowledge(record, body, entry.answer);
    if (entry.live) relay(record, body, entry.to_sender);
  }
}

// --- answers -------------------------------------------------------------------------------------

void Frontend::acknowledge(const core::Record& record, std::span<const std::byte> body,
                           const bus::Answer& answer) {
  if (answer.kind == bus::Answer::Kind::send) {
    acknowledge_device({answer.device_ticket, record.device_incarnation, record.channel,
                        record.client_message_id, record.id});
  } else if (answer.kind == bus::Answer::Kind::change) {
    const gateway::SessionId id = session_of(answer.session);
    Session* const session = sessions_.find(id);
    if (session == nullptr) return;
    send_after_pages(id, *session,
                     {.frame = frame_of(protocol::ChannelChanged{record.channel, record.id})});
    // Whoever joined may send at once: from here on no ack overtakes the join's own record.
    const auto user = sessions_.user_of(id);
    if (record.kind != core::RecordKind::join || !user) return;
    for_each_user(body, [&](UserId joined) {
      if (joined == *user) join(id, *session, record.channel, record.id);
    });
  }
}

void Frontend::acknowledge_device(const bus::LateAck& ack) {
  if (!sessions_.has_device(ack.device_ticket)) return;  // It came over the wire.
  const auto id = sessions_.device(ack.device_ticket).session;
  if (!id || sessions_.find(*id)->device_incarnation != ack.device_incarnation) return;
  send_ack(*id, ack.channel, ack.message_id,
           frame_of(protocol::Ack{ack.channel, ack.client_message_id, ack.message_id}));
}

void Frontend::handle(NodeId, bus::LateAck&& ack) { acknowledge_device(ack); }

void Frontend::handle(NodeId, bus::Duplicate&& duplicate) {
  const gateway::SessionId id = session_of(duplicate.session);
  if (sessions_.find(id) == nullptr) return;
  send_ack(id, duplicate.channel, duplicate.message_id,
           frame_of(protocol::Ack{duplicate.channel, duplicate.client_message_id,
                                  duplicate.message_id}));
}

void Frontend::send_ack(gateway::SessionId id, ChannelId channel, MessageId message_id,
                        gateway::SharedFrame frame) {
  // For the sending device the ack is the receipt of its record: it keeps the channel's order.
  const auto index = live_.find(channel);
  if (index) {
    LiveChannel& live = live_.at(*index);
    const bool missed = live.registered && message_id > live.relayed + 1;
    const bool behind =
        missed || live.joiner(id) != nullptr || (live.repairing() && message_id > live.relayed);
    if (behind) {
      live.acks.push_back({id, message_id, std::move(frame)});
      // The ack comes before its record does: it may be the first to show that others are missing.
      if (missed) repair(*index, message_id);
      return;
    }
  }
  send_after_pages(id, *sessions_.find(id), {.frame = std::move(frame)});
}

// --- live records --------------------------------------------------------------------------------

void Frontend::relay(const core::Record& record, std::span<const std::byte> body, bool to_sender) {
  const auto index = live_.find(record.channel);
  if (!index || !live_.at(*index).registered) return;
  switch (core::relay(live_.at(*index).relayed, record.id)) {
    case core::RelayDecision::deliver:
      return deliver(*index, record, body, to_sender);
    case core::RelayDecision::drop:
      return;
    case core::RelayDecision::fetch:
      return repair(*index, record.id);
  }
}

void Frontend::deliver(LiveIndex index, const core::Record& record, std::span<const std::byte> body,
                       bool to_sender) {
  advance_joiners(index);  // Those whose join this record is.
  LiveChannel& live = live_.at(index);
  live.relayed = record.id;
  if (!live.slots.empty()) {
    const CatchUp::Waiting waiting{
        frame_of(protocol::RecordFrame{record, protocol::shown_body(record, body)}), record.channel,
        record.id};
    const auto sender = core::is_sent(record.kind)
                            ? sessions_.find_device(record.sender, record.device)
                            : std::nullopt;
    for (std::size_t i = 0; i < live.slots.size(); ++i) {
      const std::uint32_t slot = live.slots[i];
      Session& session = sessions_.at(slot);
      // For the sending device the ack is the receipt; another incarnation of it gets none.
      const bool own = sender && session.device == *sender &&
                       session.device_incarnation == record.device_incarnation;
      if (own && !to_sender) continue;
      send_after_pages(sessions_.id_at(slot), session, waiting);
    }
  }
  if (record.kind != core::RecordKind::leave && record.kind != core::RecordKind::kick) return;
  for_each_user(body, [&](UserId user) {
    sessions_.for_each_session_of(user, [&](gateway::SessionId id) {
      Session& session = sessions_.at(id.slot);
      detach(session, id.slot, index);
      CatchUp::Progress* const progress = progress_to_plan(session, record.channel);
      if (progress == nullptr || !std::exchange(progress->attached, false)) return;
      progress->up_to = record.id;  // What is relayed from here on is not the user's.
    });
  });
}

void Frontend::handle(NodeId, bus::MemberTyping&& typing) {
  const auto index = live_.find(typing.channel);
  if (!index || live_.at(*index).slots.empty()) return;
  const gateway::SharedFrame frame = frame_of(protocol::UserTyping{typing.channel, typing.user});
  for (const std::uint32_t slot : live_.at(*index).slots) {
    const Session& session = sessions_.at(slot);
    // Nothing waits for who is still catching up: it would be stale.
    if (session.phase != Phase::live || sessions_.device(session.device).user == typing.user) {
      continue;
    }
    // Nor for who reads too slowly.
    node_.operations.typing_deliveries += gateway_->send(sessions_.id_at(slot), frame) ? 1 : 0;
  }
}

void Frontend::send_after_pages(gateway::SessionId id, Session& session,
                                const CatchUp::Waiting& frame) {
  if (session.phase == Phase::live) {
    if (!send_live(id, frame)) fall_behind(id, session, {&frame, 1});
  } else if (session.catch_up != nullptr) {
    CatchUp& catch_up = *session.catch_up;
    if (catch_up.waiting.size() >= node_.settings.catch_up_held_records + held_answers_max) {
      // It sends and sends and asks for no page: answers must not pile up for it.
      return close_slow(id, session, "pages are not asked for");
    }
    const bool before = catch_up.overflowed;
    hold(catch_up, frame, node_.settings.catch_up_held_records);
    if (catch_up.overflowed && !before) ++node_.incidents.catch_up_overflows;
  }
}

bool Frontend::send_live(gateway::SessionId id, const CatchUp::Waiting& frame) {
  if (!gateway_->send(id, frame.frame)) return false;
  node_.operations.live_deliveries += frame.is_record() ? 1 : 0;
  return true;
}

// --- slow consumers ------------------------------------------------------------------------------

void Frontend::fall_behind(gateway::SessionId id, Session& session,
                           std::span<const CatchUp::Waiting> unsent) {
  ++node_.incidents.fell_behind;
  auto catch_up = std::make_unique<CatchUp>();
  catch_up->user = sessions_.device(session.device).user;
  catch_up->of_live = true;
  catch_up->accepted = true;
  catch_up->queue_position = session.queue_position;
  // As after a round of which too much came in meanwhile: the next one begins with the page that
  // is due, and that waits until the client has read what is on its way to it.
  catch_up->round = 1;
  catch_up->planned = true;
  catch_up->page_due = true;
  auto& held = catch_up->held;
  for (const LiveIndex index : session.channels) {
    const LiveChannel& live = live_.at(index);
    held.push_back({live.id, {Position{}.incarnation, live.relayed}});
  }
  std::sort(held.begin(), held.end(),
            [](const auto& a, const auto& b) { return a.channel < b.channel; });
  for (const CatchUp::Waiting& frame : unsent) {
    if (!frame.is_record()) {
      catch_up->waiting.push_back(frame);
      continue;
    }
    const auto position =
        std::lower_bound(held.begin(), held.end(), frame.channel,
                         [](const auto& one, ChannelId channel) { return one.channel < channel; });
    if (position == held.end() || position->channel != frame.channel) {
      return close_slow(id, session, joined_behind);
    }
    auto& last = position->held.message_id;
    last = std::min(last, frame.id - 1);
  }
  session.phase = Phase::catching_up;
  session.catch_up = std::move(catch_up);
}

void Frontend::on_drained(gateway::SessionId id) {
  const Session* const session = sessions_.find(id);
  if (session == nullptr) return;
  if (session->catch_up == nullptr) return resume_presence(id);
  if (session->catch_up->page_due) pages_due_.push_back(id);
}

bool Frontend::close_joiner_behind(gateway::SessionId id, Session& session) {
  if (session.catch_up == nullptr || !session.catch_up->of_live) return false;
  close_slow(id, session, joined_behind);
  return true;
}

void Frontend::close_slow(gateway::SessionId id, Session& session, std::string_view why) {
  session.phase = Phase::closing;
  session.catch_up.reset();
  gateway_->close(id, protocol::CloseCode::slow_consumer,
                  protocol::close_reason(core::retry_when_too_slow, why));
}

// --- repair --------------------------------------------------------------------------------------

void Frontend::repair(LiveIndex index, MessageId up_to) {
  LiveChannel& live = live_.at(index);
  const bool under_way = live.repairing();
  live.repair_to = std::max(live.repair_to, up_to);
  if (under_way) return;
  ++node_.incidents.repairs;
  node_.bus.send(node_.directory.owner(live.id), bus::ReadLog{.session = bus::no_session,
                                                              .reading = bus::Reading::repair,
                                                              .channel = live.id,
                                                              .after = live.relayed,
                                                              .up_to = live.repair_to,
                                                              .records_max = records_per_repair,
                                                              .bytes_max = bytes_per_repair});
}

void Frontend::on_repair_read(const bus::LogRead& read) {
  const auto index = live_.find(read.channel);
  if (!index) return;
  if (!read.from_tail && read.kept_from > live_.at(*index).relayed + 1) {
    skip_gone(*index, read.kept_from);
  }
  for (std::size_t i = 0; i < read.size(); ++i) {
    const core::Record& record = read.record(i);
    if (record.id != live_.at(*index).relayed + 1) continue;
    // The ack may be lost as well, unless it waits here for this record.
    const auto& acks = live_.at(*index).acks;
    const bool ack_is_held = std::any_of(acks.begin(), acks.end(), [&](const HeldAck& ack) {
      return ack.id == record.id && sessions_.find(ack.session) != nullptr;
    });
    deliver(*index, record, read.body(i), !ack_is_held);
  }
  LiveChannel& live = live_.at(*index);
  const MessageId up_to = std::exchange(live.repair_to, MessageId{});
  release_acks(*index, live.relayed);
  // An owner that cannot read now says so again when it can: its links begin anew then.
  if (up_to > live.relayed && read.failure.empty() && read.size() != 0) repair(*index, up_to);
}

void Frontend::skip_gone(LiveIndex index, MessageId kept_from) {
  const auto& attached = live_.at(index).slots;
  const std::vector<std::uint32_t> slots{attached.begin(), attached.end()};
  for (const std::uint32_t slot : slots) {
    const gateway::SessionId id = sessions_.id_at(slot);
    Session& session = sessions_.at(slot);
    if (session.phase == Phase::live) {
      fall_behind(id, session, {});
      if (session.catch_up != nullptr) pages_due_.push_back(id);
    } else if (session.catch_up != nullptr) {
      overflow(*session.catch_up);
    }
  }
  live_.at(index).relayed = std::max(live_.at(index).relayed, kept_from - 1);
}

}  // namespace clamor::server
