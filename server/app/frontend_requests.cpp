// What clients ask of a node: one function a message.

#include "server/app/frontend.hpp"
#include "server/core/limits.hpp"
#include "server/host/clock.hpp"
#include "server/protocol/close.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace clamor::server {
namespace {

using protocol::CloseCode;
using protocol::RefusalCode;

/// Why a list of members is none; empty where it is one.
std::string_view fault_of(std::span<const UserId> members) {
  if (members.empty()) return "a channel needs a member";
  std::vector<UserId> sorted{members.begin(), members.end()};
  std::sort(sorted.begin(), sorted.end());
  if (sorted.front() == UserId{}) return "user 0 does not exist";
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return "a member is listed twice";
  }
  return {};
}

/// Everybody once.
std::vector<UserId> distinct(std::vector<UserId> mentions) {
  std::sort(mentions.begin(), mentions.end());
  mentions.erase(std::unique(mentions.begin(), mentions.end()), mentions.end());
  if (!mentions.empty() && mentions.back() == protocol::everyone) return {protocol::everyone};
  return mentions;
}

}  // namespace

Frontend::Frontend(boost::asio::io_context& io, NodeContext& node)
    : io_{io},
      node_{node},
      key_{token::derive_key(node.settings.secret)},
      reader_{node, node.settings.page},
      presence_{node},
      presence_timer_{io},
      send_buckets_{node.settings.send_rate, rate_seed(node.settings.secret)},
      request_buckets_{node.settings.request_rate, rate_seed(node.settings.secret)},
      passwords_{{.cost = node.settings.password_cost,
                  .threads = node.settings.password_threads,
                  .waiting_max = node.settings.passwords_waiting_max}} {
  for (const NodeId id : node.directory.nodes()) links_.push_back({.owner = id});
  links_[static_cast<std::size_t>(
             std::find_if(links_.begin(), links_.end(),
                          [&](const Link& link) { return link.owner == node.self; }) -
             links_.begin())]
      .term = node.term;
}

void Frontend::on_message(gateway::SessionId id, std::span<const std::byte> payload) {
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase == Phase::closing) return;
  const auto message = protocol::decode_client(payload);
  if (!message) {
    ++node_.incidents.malformed[static_cast<std::size_t>(message.error())];
    const bool version = message.error() == protocol::DecodeError::unsupported_version;
    refuse_and_close(id,
                     {.code = version ? RefusalCode::unsupported_version : RefusalCode::malformed,
                      .detail = protocol::name_of(message.error())},
                     CloseCode::malformed);
    return;
  }
  const bool may_come_first = std::holds_alternative<protocol::Login>(*message) ||
                              std::holds_alternative<protocol::Authenticate>(*message) ||
                              std::holds_alternative<protocol::SetAccount>(*message);
  if (session->phase == Phase::connected && !may_come_first) {
    refuse_and_close(id, {.code = RefusalCode::not_logged_in, .detail = "log in first"},
                     CloseCode::unauthorized);
    return;
  }
  std::visit([&](const auto& request) { handle(id, *session, request); }, *message);
}

void Frontend::on_end(gateway::SessionId id, Duration silent_for) {
  Session* const session = sessions_.find(id);
  if (session == nullptr) return;
  detach_all(id, *session);
  end_presence(id);
  asking_.erase(ticket_of(id));
  if (sessions_.user_of(id)) {
    const Device& device = sessions_.device(session->device);
    node_.bus.send(node_.directory.owner(device.user),
                   bus::UserLogout{ticket_of(id), device.user, device.id, silent_for});
  }
  sessions_.end(id);
}

// --- sessions ------------------------------------------------------------------------------------

void Frontend::handle(gateway::SessionId id, Session& session, const protocol::Login& login) {
  if (session.phase != Phase::connected)
    return refuse(id, {.code = RefusalCode::already_logged_in});
  if (logins_end_) {
    return refuse_and_close(
        id, {.code = RefusalCode::shutting_down, .retry_after = retry_when_draining},
        CloseCode::draining);
  }
  if (const auto admission = core::admit(core::MessageClass::login, node_.admission);
      !admission.taken) {
    ++node_.operations.logins_refused;
    return refuse_and_close(id,
                            {.code = RefusalCode::overloaded,
                             .retry_after = admission.retry_after,
                             .detail = "too much waits; logins are refused for a while"},
                            CloseCode::overloaded);
  }
  const token::Checked token = token::check(key_, login.token, login.device, unix_seconds());
  if (!token.holds()) {
    return refuse_and_close(
        id, {.code = RefusalCode::bad_token, .detail = token::fault_of(token.verdict)},
        CloseCode::unauthorized);
  }
  if (token.user == UserId{} || login.device == DeviceId{}) {
    return refuse_and_close(
        id, {.code = RefusalCode::malformed, .detail = "users and devices are numbered from 1"},
        CloseCode::malformed);
  }
  const auto superseded = sessions_.login(id, token.user, login.device, login.device_incarnation);
  if (superseded) supersede(*superseded);
  session.catch_up = std::make_unique<CatchUp>();
  CatchUp& catch_up = *session.catch_up;
  catch_up.user = token.user;
  catch_up.resumed = token.verdict == token::Verdict::resume;
  catch_up.queue_position = login.queue_position;
  catch_up.held = login.positions;
  std::stable_sort(catch_up.held.begin(), catch_up.held.end(),
                   [](const auto& a, const auto& b) { return a.channel < b.channel; });
  catch_up.page_due = true;
  session.wants_unread = login.wants_unread;
  report(session, login.positions, true);
  begin_round(id, catch_up);
}

void Frontend::supersede(gateway::SessionId old) {
  Session* const session = sessions_.find(old);
  if (session == nullptr || session->phase == Phase::closing) return;
  ++node_.incidents.superseded;
  close(old, *session, CloseCode::superseded, "the device logged in elsewhere");
}

void Frontend::handle(NodeId, bus::Supersede&& superseded) {
  supersede(session_of(superseded.session));
}

void Frontend::handle(gateway::SessionId id, Session& session, const protocol::NextPage&) {
  if (session.catch_up == nullptr || session.catch_up->page_due) {
    return refuse_and_close(id,
                            {.code = RefusalCode::malformed, .detail = "no further page is due"},
                            CloseCode::malformed);
  }
  session.catch_up->page_due = true;
  pages_due_.push_back(id);
}

void Frontend::handle(gateway::SessionId, Session& session, const protocol::DeviceAck& ack) {
  ++node_.operations.device_acks;
  // The next one, or the login, says it as well.
  if (!bus::is_full(node_.bus.backlog())) report(session, ack.positions, false);
}

void Frontend::report(const Session& session, std::span<const protocol::HeldPosition> positions,
                      bool login) {
  const Device& device = sessions_.device(session.device);
  bus::DeviceHolds holds{{.user = device.user, .device = device.id, .login = login, .holds = {}}};
  holds.report.holds.reserve(positions.size());
  for (const auto& [channel, held] : positions) {
    // Of a log that is lost a position says nothing.
    if (held.incarnation == Position{}.incarnation) {
      holds.report.holds.push_back({channel, held.message_id});
    }
  }
  std::sort(holds.report.holds.begin(), holds.report.holds.end(),
            [](const auto& a, const auto& b) { return a.channel < b.channel; });
  node_.bus.send(node_.directory.owner(device.user), std::move(holds));
}

void Frontend::handle(gateway::SessionId, Session&, const protocol::Heartbeat&) {}

void Frontend::handle(gateway::SessionId, Session& session, const protocol::Read& read) {
  const UserId user = sessions_.device(session.device).user;
  if (request_buckets_.take(user.value, node_.now) > Duration{} ||
      bus::is_full(node_.bus.backlog())) {
    ++node_.incidents.reads_dropped;
    return;
  }
  node_.bus.send(node_.directory.owner(read.channel),
                 bus::ReadRequest{user, read.channel, read.up_to});
}

void Frontend::handle(gateway::SessionId, Session& session, const protocol::Typing& typing) {
  if (node_.now < session.may_type_at) {
    ++node_.incidents.typing_dropped;
    return;
  }
  if (!core::admit(core::MessageClass::lossy, node_.admission).taken ||
      bus::is_full(node_.bus.backlog())) {
    ++node_.operations.lossy_shed;
    return;
  }
  session.may_type_at = node_.now + core::typing_interval;
  ++node_.operations.typing_notices;
  node_.bus.send(node_.directory.owner(typing.channel),
                 bus::TypingRequest{sessions_.device(session.device).user, typing.channel});
}

void Frontend::handle(NodeId, bus::UnreadChanged&& changed) {
  const gateway::SessionId id = session_of(changed.session);
  Session* const session = sessions_.find(id);
  if (session == nullptr || !session->wants_unread) return;
  send_after_pages(id, *session, {.frame = frame_of(protocol::Unread{{changed.state}})});
}

// --- requests that append ------------------------------------------------------------------------

void Frontend::handle(gateway::SessionId id, Session& session, const protocol::Send& send) {
  protocol::Refused refusal{.channel = send.channel, .client_message_id = send.client_message_id};
  if (refuse_append(id, session, refusal)) return;
  if (refuse_rate(id, session, send_buckets_, refusal)) return;
  if (send.body.size() > node_.settings.body_bytes_max) {
    refusal.code = RefusalCode::body_too_large;
    return refuse(id, refusal);
  }
  const bool reacts =
      send.kind == core::RecordKind::reaction || send.kind == core::RecordKind::reaction_removed;
  if (reacts && send.body.size() > core::reaction_bytes_max) {
    refusal.code = RefusalCode::body_too_large;
    return refuse(id, refusal);
  }
  if (send.mentions.size() > core::mentions_max) {
    refusal.code = RefusalCode::too_many_mentions;
    return refuse(id, refusal);
  }
  const Device& device = sessions_.device(session.device);
  node_.bus.send(node_.directory.owner(send.channel),
                 bus::SendRequest{.session = ticket_of(id),
                                  .device_ticket = session.device,
                                  .user = device.user,
                                  .device = device.id,
                                  .device_incarnation = session.device_incarnation,
                                  .channel = send.channel,
                                  .client_message_id = send.client_message_id,
                                  .kind = send.kind,
                                  .target = send.target,
                                  .mentions = distinct(send.mentions),
                                  .body = {send.body.begin(), send.body.end()}});
}

void Frontend::handle(gateway::SessionId id, Session& session,
                      const protocol::CreateChannel& create) {
  if (refuse_append(id, session, {.channel = create.channel})) return;
  if (refuse_rate(id, session, request_buckets_, {.channel = create.channel})) return;
  std::string_view fault = fault_of(create.members);
  if (create.channel == ChannelId{}) fault = "channels are numbered from 1";
  if (!fault.empty()) {
    return refuse_and_close(
        id, {.code = RefusalCode::malformed, .channel = create.channel, .detail = fault},
        CloseCode::malformed);
  }
  const UserId user = sessions_.device(session.device).user;
  const bool joins =
      std::find(create.members.begin(), create.members.end(), user) != create.members.end();
  if (joins && refuse_channel(id, session, create.channel)) return;
  node_.bus.send(node_.directory.owner(create.channel),
                 bus::CreateRequest{ticket_of(id), create.channel, create.members, user});
}

void Frontend::handle(gateway::SessionId id, Session& session, const protocol::Join& join) {
  if (refuse_append(id, session, {.channel = join.channel})) return;
  if (refuse_rate(id, session, request_buckets_, {.channel = join.channel})) return;
  if (refuse_channel(id, session, join.channel)) return;
  const UserId user = sessions_.device(session.device).user;
  node_.bus.send(node_.directory.owner(join.channel),
                 bus::JoinRequest{ticket_of(id), user, join.channel});
}

void Frontend::handle(gateway::SessionId id, Session& session, const protocol::Leave& leave) {
  if (refuse_append(id, session, {.channel = leave.channel})) return;
  if (refuse_rate(id, session, request_buckets_, {.channel = leave.channel})) return;
  const UserId user = sessions_.device(session.device).user;
  node_.bus.send(node_.directory.owner(leave.channel),
                 bus::LeaveRequest{ticket_of(id), user, leave.channel});
}

// --- refusals ------------------------------------------------------------------------------------

bool Frontend::refuse_append(gateway::SessionId id, const Session& session,
                             const protocol::Refused& naming) {
  protocol::Refused refusal = naming;
  if (draining_ || session.leaving) {
    refusal.code = RefusalCode::shutting_down;
    refusal.retry_after = retry_when_draining;
  } else if (!node_.bus.is_up(node_.directory.owner(naming.channel))) {
    refusal.code = RefusalCode::unavailable;
    refusal.retry_after = core::retry_when_unavailable;
  } else if (const auto admission = core::admit(core::MessageClass::message, node_.admission);
             !admission.taken || bus::is_full(node_.bus.backlog())) {
    refusal.code = RefusalCode::overloaded;
    refusal.retry_after = std::max(admission.retry_after, core::retry_when_overloaded);
    ++node_.operations.messages_refused;
  } else {
    return false;
  }
  refuse(id, refusal);
  return true;
}

bool Frontend::refuse_rate(gateway::SessionId id, const Session& session,
                           core::TokenBuckets& buckets, const protocol::Refused& naming) {
  const Duration wait = buckets.take(sessions_.device(session.device).user.value, node_.now);
  if (wait <= Duration{}) return false;
  protocol::Refused refusal = naming;
  refusal.code = RefusalCode::too_many_requests;
  refusal.retry_after = wait;
  refuse(id, refusal);
  return true;
}

bool Frontend::refuse_channel(gateway::SessionId id, const Session& session, ChannelId channel) {
  if (session.channels.size() < node_.settings.channels_per_user_max) return false;
  refuse(id, {.code = RefusalCode::too_many_channels, .channel = channel});
  return true;
}

void Frontend::handle(NodeId, bus::Refusal&& refusal) {
  const gateway::SessionId id = session_of(refusal.session);
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase == Phase::closing) return;
  const protocol::Refused refused{.code = refusal.code,
                                  .retry_after = refusal.retry_after,
                                  .channel = refusal.channel,
                                  .client_message_id = refusal.client_message_id,
                                  .expected = refusal.expected};
  if (refusal.channel != ChannelId{}) return refuse(id, refused);
  // A live session's login, said again to an owner that was away, is answered once it can be.
  if (session->catch_up == nullptr && refusal.code == RefusalCode::unavailable) return;
  // A login or a read for its catch-up: the client comes back and begins anew.
  refuse_and_close(id, refused, CloseCode::internal_error);
}

void Frontend::refuse(gateway::SessionId id, const protocol::Refused& refusal) {
  ++node_.incidents.refused[static_cast<std::size_t>(refusal.code)];
  gateway::SharedFrame frame = frame_of(refusal);
  if (gateway_->send(id, frame)) return;
  if (Session* const session = sessions_.find(id)) {
    send_after_pages(id, *session, {.frame = std::move(frame)});
  }
}

void Frontend::refuse_and_close(gateway::SessionId id, const protocol::Refused& refusal,
                                CloseCode code) {
  node_.log.debug("session refused", {{"slot", id.slot},
                                      {"code", static_cast<std::uint64_t>(refusal.code)},
                                      {"detail", refusal.detail}});
  refuse(id, refusal);
  close(id, *sessions_.find(id), code, protocol::close_reason(refusal.retry_after, refusal.detail));
}

void Frontend::close(gateway::SessionId id, Session& session, CloseCode code,
                     std::string_view reason) {
  detach_all(id, session);
  session.phase = Phase::closing;
  session.catch_up.reset();
  gateway_->close(id, code, reason);
}

}  // namespace clamor::server
