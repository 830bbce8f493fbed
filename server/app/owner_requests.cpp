// What gateways ask of the owner of channels and users, but for reads: one function a message.

#include "server/app/owner.hpp"
#include "server/core/limits.hpp"
#include "server/protocol/about.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {

using protocol::RefusalCode;

// --- requests that append ------------------------------------------------------------------------

void Owner::handle(NodeId from, bus::SendRequest&& send) {
  bus::Refusal refusal{.session = send.session,
                       .channel = send.channel,
                       .client_message_id = send.client_message_id};
  if (refuse_append(from, refusal)) return;
  const protocol::Send said{send.channel, send.client_message_id,  send.body, send.kind,
                            send.target,  std::move(send.mentions)};
  const auto target = target_of(said);
  if (!target) {
    refusal.code = RefusalCode::store_failed;
    refusal.retry_after = rebuild_retry;
    return node_.bus.send(from, refusal);
  }
  const auto decided = channels_->send(send.user, send.device, send.device_incarnation, said,
                                       node_.now, *open_.commit, *target ? &**target : nullptr);
  if (decided.refused) {
    refusal.code = *decided.refused;
    if (refusal.code == RefusalCode::too_many_pending) {
      refusal.retry_after = core::retry_when_overloaded;
    }
    return node_.bus.send(from, refusal);
  }
  switch (decided.accepted.outcome) {
    case core::AcceptOutcome::accepted:
      return note_requests(from, {bus::Answer::Kind::send, send.device_ticket, send.session});
    case core::AcceptOutcome::duplicate:
      ++node_.operations.duplicate_sends;
      if (node_.settings.ack_after == AckAfter::fanout &&
          channels_->channel(*channels_->find(send.channel)).lags(decided.accepted.id)) {
        return;  // Its ack is due and goes to the device's session.
      }
      return node_.bus.send(from, bus::Duplicate{send.session, send.channel, send.client_message_id,
                                                 decided.accepted.id});
    case core::AcceptOutcome::duplicate_pending:
      ++node_.operations.duplicate_sends;  // The pending commit's ack goes to the device's session.
      return;
    case core::AcceptOutcome::expected_next:
      refusal.code = RefusalCode::client_message_id_gap;
      refusal.expected = decided.accepted.expected;
      break;
    case core::AcceptOutcome::too_old:
      refusal.code = RefusalCode::client_message_id_too_old;
      break;
    case core::AcceptOutcome::too_many_pending:
      refusal.code = RefusalCode::too_many_pending;
      refusal.retry_after = core::retry_when_overloaded;
      break;
  }
  node_.bus.send(from, refusal);
}

store::Result<std::optional<Target>> Owner::target_of(const protocol::Send& send) const {
  const auto index = channels_->find(send.channel);
  const bool none = send.target == MessageId{} || !index;
  if (none || send.target > channels_->channel(*index).announced) return std::optional<Target>{};
  store::RecordBatch found;
  const auto read = store_.get_log(send.channel, std::span{&send.target, 1}, found);
  if (!read) return read.error();
  if (found.empty()) return std::optional<Target>{};
  Target target{found.record(0), {}, {}};
  if (target.record.has_about) {
    if (auto about = protocol::read_about(found.body(0))) target.mentioned = about->mentions;
  }
  if (send.kind != core::RecordKind::edit && send.kind != core::RecordKind::deletion) {
    return std::optional{std::move(target)};
  }
  const auto edits = store_.edits_of(send.channel, send.target, core::edits_max);
  if (!edits) return edits.error();
  found.clear();
  const auto edits_read = store_.get_log(send.channel, *edits, found);
  if (!edits_read) return edits_read.error();
  target.edits.assign(found.records().begin(), found.records().end());
  return std::optional{std::move(target)};
}

void Owner::handle(NodeId from, bus::CreateRequest&& create) {
  if (refuse_append(from, {.session = create.session, .channel = create.channel})) return;
  answer(from, create.session, create.channel,
         channels_->create(create.channel, create.admin, create.members, node_.now, *open_.commit));
}

void Owner::handle(NodeId from, bus::JoinRequest&& join) {
  if (refuse_append(from, {.session = join.session, .channel = join.channel})) return;
  answer(from, join.session, join.channel,
         channels_->join(join.channel, join.user, node_.now, *open_.commit));
}

void Owner::handle(NodeId from, bus::LeaveRequest&& leave) {
  if (refuse_append(from, {.session = leave.session, .channel = leave.channel})) return;
  answer(from, leave.session, leave.channel,
         channels_->leave(leave.channel, leave.user, node_.now, *open_.commit));
}

void Owner::handle(NodeId, bus::ReadRequest&& read) {
  const auto index = channels_->find(read.channel);
  if (!index || !channels_->is_member(*index, read.user) || cannot_append()) return;
  const core::CountedId known = channels_->read_mark(*index, read.user);
  if (read.up_to <= known.id) return;
  const auto at = counted(channels_->channel(*index), read.up_to);
  if (at && at->id > known.id) open_.commit->reads.push_back({read.channel, read.user, *at});
}

void Owner::handle(NodeId, bus::TypingRequest&& typing) {
  const auto index = channels_->find(typing.channel);
  if (!index || !channels_->is_member(*index, typing.user) || store_failed_) return;
  if (channels_->channel(*index).members_now > core::typing_members_max) return;
  if (!core::admit(core::MessageClass::lossy, node_.admission).taken) {
    ++node_.operations.lossy_shed;
    return;
  }
  const std::uint64_t interest = *index < interest_.size() ? interest_[*index] : 0;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if ((interest >> i & 1U) == 0) continue;
    node_.bus.send(links_[i].node, bus::MemberTyping{typing.channel, typing.user});
  }
}

void Owner::handle(NodeId from, bus::AskPartners&& ask) {
  bus::Partners answer{.session = ask.session, .partners = {}};
  for (const ChannelId channel : ask.channels) {
    const auto index = channels_->find(channel);
    if (!index || !channels_->is_member(*index, ask.user)) continue;
    if (const auto partner = channels_->partner_in(*index, ask.user)) {
      answer.partners.push_back({channel, *partner});
    }
  }
  node_.bus.send(from, std::move(answer));
}

std::optional<core::CountedId> Owner::counted(const Channel& channel, MessageId up_to) {
  // Who has read it all, as most have, costs no read of the log.
  if (up_to >= channel.announced) return channel.counted_head();
  store::RecordBatch found;
  if (!store_.get_log(channel.id, std::span{&up_to, 1}, found) || found.empty()) return {};
  return core::CountedId{up_to, found.record(0).uncountable};
}

MessageId Owner::kept_from(const Channel& channel) const {
  return std::max(core::kept_from(node_.settings.retention, channel.announced),
                  channel.trimmed.id + 1);
}

core::CountedId Owner::read_of(ChannelIndex index, UserId user) {
  const Channel& channel = channels_->channel(index);
  core::CountedId read = channels_->read_mark(index, user);
  core::advance(read, channel.trimmed);
  const MessageId gone = kept_from(channel) - 1;
  if (read.id >= gone) return read;
  // Not trimmed yet: the log knows how it counts. Of a store that cannot be read that would be the
  // least trouble.
  const auto at = counted(channel, gone);
  if (at) core::advance(read, *at);
  return read;
}

protocol::UnreadState Owner::unread_of(ChannelIndex index, UserId user) {
  const Channel& channel = channels_->channel(index);
  const core::CountedId read = read_of(index, user);
  const core::CountedId head = channel.counted_head();
  return {.channel = channel.id,
          .read = read.id,
          .at = head.id,
          .unread = static_cast<std::uint32_t>(core::unread(head, read)),
          .mentions = channels_->mentions(index, user, read.id, head.id)};
}

void Owner::answer(NodeId from, bus::Ticket session, ChannelId channel,
                   const ChangeResult& result) {
  if (result) return note_requests(from, {bus::Answer::Kind::change, 0, session});
  node_.bus.send(from,
                 bus::Refusal{.session = session, .code = result.error(), .channel = channel});
}

void Owner::note_requests(NodeId from, const bus::Answer& answer) {
  // The first new record answers the request; a design_changed or member_mode behind it answers
  // nobody.
  open_.requests.push_back({from, answer});
  open_.requests.resize(open_.commit->batch.size());
}

std::optional<bus::Refusal> Owner::cannot_append() const {
  const Settings& settings = node_.settings;
  if (draining_) {
    return bus::Refusal{.code = RefusalCode::shutting_down, .retry_after = retry_when_draining};
  }
  if (store_failed_) {
    return bus::Refusal{.code = RefusalCode::store_failed, .retry_after = rebuild_retry};
  }
  const core::AppendBacklog backlog{
      .commit_bytes = committer_->pending_bytes() + open_.commit->bytes(),
      .lag_records = source_.lag_records(),
      .lag_entries = source_.lag_entries()};
  const bool full = core::is_full(backlog, {.commit_bytes = settings.commit_queue_bytes,
                                            .lag_records = settings.fan_out_lag_records,
                                            .lag_entries = settings.fan_out_lag_entries});
  if (full || bus::is_full(node_.bus.backlog())) {
    return bus::Refusal{.code = RefusalCode::overloaded,
                        .retry_after = core::retry_when_overloaded};
  }
  const core::Admission admission = core::admit(core::MessageClass::message, node_.admission);
  if (!admission.taken) {
    return bus::Refusal{.code = RefusalCode::overloaded, .retry_after = admission.retry_after};
  }
  return std::nullopt;
}

bool Owner::refuse_append(NodeId from, const bus::Refusal& naming) {
  const auto refusal = cannot_append();
  if (!refusal) return false;
  if (refusal->code == RefusalCode::overloaded) ++node_.operations.messages_refused;
  bus::Refusal named = naming;
  named.code = refusal->code;
  named.retry_after = refusal->retry_after;
  node_.bus.send(from, named);
  return true;
}

bool Owner::refuse_login(NodeId from, bus::Ticket session) {
  if (!store_failed_) return false;
  // Until the rebuild nobody knows what the log holds: a catch-up from that state would be wrong.
  node_.bus.send(from, bus::Refusal{.session = session,
                                    .code = RefusalCode::store_failed,
                                    .retry_after = rebuild_retry});
  return true;
}

// --- users and their channels --------------------------------------------------------------------

void Owner::handle(NodeId from, bus::UserLogin&& login) {
  if (refuse_login(from, login.session)) return;
  const SessionPlace place{from, login.session};
  if (login.again) {
    const auto known = users_.session_of(login.user, login.device);
    if (known && *known != place) {
      node_.bus.send(from, bus::Supersede{login.session});
      return;
    }
  }
  const auto superseded = users_.login(login.user, login.device, place);
  presence_.came(login.user);
  // A gateway sees for itself that its own session is superseded.
  if (superseded && superseded->node != from) {
    node_.bus.send(superseded->node, bus::Supersede{superseded->ticket});
  }
  if (sink_.complete()) return answer_login(login.user, place);
  // Answered once it is. Meanwhile a catch-up would know of some channels only, and hand out the
  // others' history again later.
  if (sink_.lacks_node()) refuse_waiting(place);
}

void Owner::refuse_waiting(const SessionPlace& place) {
  node_.bus.send(place.node, bus::Refusal{.session = place.ticket,
                                          .code = RefusalCode::unavailable,
                                          .retry_after = core::retry_when_unavailable});
}

void Owner::answer_login(UserId user, const SessionPlace& place) {
  const auto channels = users_.channels_of(user);
  node_.bus.send(place.node, bus::UserChannels{place.ticket, {channels.begin(), channels.end()}});
}

void Owner::handle(NodeId from, bus::FanOutCaughtUp&& up) {
  const bool was_complete = sink_.complete();
  sink_.handle(from, std::move(up));
  if (was_complete || !sink_.complete()) return;
  std::vector<std::pair<UserId, SessionPlace>> waiting;  // An answer may come back to users_.
  users_.for_each_login(
      [&](UserId user, const SessionPlace& place) { waiting.emplace_back(user, place); });
  for (const auto& [user, place] : waiting) answer_login(user, place);
}

void Owner::handle(NodeId from, bus::UserLogout&& logout) {
  users_.logout(logout.user, logout.device, {from, logout.session});
  presence_.left(logout.user, logout.silent_for);
  // The device was there until now, whatever it acknowledged last.
  sink_.report({.user = logout.user, .device = logout.device, .holds = {}});
}

void Owner::handle(NodeId, bus::DeviceHolds&& holds) {
  const auto channels = users_.channels_of(holds.report.user);
  // What a client claims of channels that are not its user's must take no memory.
  std::erase_if(holds.report.holds, [channels](const core::HeldUpTo& held) {
    return !std::binary_search(channels.begin(), channels.end(), held.channel);
  });
  sink_.report(std::move(holds.report));
}

void Owner::handle(NodeId, bus::UsersJoined&& joined) {
  std::vector<SessionPlace> places;  // What is sent may come back to users_ at once.
  for (const UserId user : joined.users) {
    users_.add_channel(user, joined.channel);
    users_.for_each_session(user, [&](const SessionPlace& place) { places.push_back(place); });
  }
  for (const SessionPlace& place : places) {
    node_.bus.send(place.node, bus::Joined{place.ticket, joined.channel, joined.at});
  }
}

void Owner::handle(NodeId, bus::ReadMoved&& moved) {
  std::vector<SessionPlace> places;  // What is sent may come back to users_ at once.
  users_.for_each_session(moved.user, [&](const SessionPlace& place) { places.push_back(place); });
  for (const SessionPlace& place : places) {
    node_.bus.send(place.node, bus::UnreadChanged{place.ticket, moved.state});
  }
}

void Owner::handle(NodeId from, bus::Register&& wanted) {
  if (refuse_login(from, wanted.session)) return;
  bus::Registered answer{.session = wanted.session,
                         .round = wanted.round,
                         .channels = {},
                         .intervals = {},
                         .redacted = {}};
  answer.channels.reserve(wanted.channels.size());
  for (std::size_t i = 0; i < wanted.channels.size(); ++i) {
    const ChannelId id = wanted.channels[i];
    const auto index = channels_->find(id);
    if (!index) continue;
    if (i < wanted.held.size()) {
      // Further rounds of a catch-up only go on with what its first one began.
      if (wanted.round == 1) channels_->note_catch_up(*index, wanted.user, wanted.held[i]);
      for (const MessageId gone : channels_->redacted(*index, wanted.held[i])) {
        answer.redacted.push_back({id, gone});
      }
    }
    bus::ChannelState state = state_of(*index, wanted.user, answer.intervals);
    if (wanted.session == bus::no_session) state.registered = true;
    if (state.registered && wanted.wants_unread) state.unread = unread_of(*index, wanted.user);
    if (state.registered && !set_interest(*index, from)) ++node_.operations.interest_updates;
    answer.channels.push_back(state);
  }
  node_.bus.send(from, std::move(answer));
}

bus::ChannelState Owner::state_of(ChannelIndex index, UserId user,
                                  std::vector<core::Interval>& intervals) const {
  const Channel& channel = channels_->channel(index);
  const Channels::Served served = channels_->served(index, user);
  const std::size_t begin = intervals.size();
  channels_->add_intervals(index, user, intervals);
  // Joins and leaves that are not durable yet take effect when they are.
  const MessageId head = channel.announced;
  const bool member =
      std::any_of(intervals.begin() + static_cast<std::ptrdiff_t>(begin), intervals.end(),
                  [head](const core::Interval& i) { return i.join <= head && head < i.leave; });
  return {.channel = channel.id,
          .head = head,
          .covered = channel.covered,
          .queue_from = served.queue_from,
          .kept_from = kept_from(channel),
          .incarnation = channel.head.incarnation,
          .design = served.design,
          .registered = member,
          .intervals_end = static_cast<std::uint32_t>(intervals.size())};
}

}  // namespace clamor::server
