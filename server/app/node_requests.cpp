// What clients ask of a node: one function a message.

#include "server/app/node.hpp"
#include "server/core/limits.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

namespace clamor::server {
namespace {

using protocol::CloseCode;
using protocol::RefusalCode;

using core::retry_when_overloaded;
constexpr Duration retry_when_store_failed = 1s;
constexpr Duration retry_when_draining = 1s;

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

protocol::Refused naming(const protocol::Send& send) {
  return {.channel = send.channel, .client_message_id = send.client_message_id};
}

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

}  // namespace

void Node::on_message(gateway::SessionId id, std::span<const std::byte> payload, Instant now) {
  now_ = now;
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase == Phase::closing) return;
  const auto message = protocol::decode_client(payload);
  if (!message) {
    ++incidents_.malformed[static_cast<std::size_t>(message.error())];
    const bool version = message.error() == protocol::DecodeError::unsupported_version;
    refuse_and_close(id,
                     {.code = version ? RefusalCode::unsupported_version : RefusalCode::malformed,
                      .detail = protocol::name_of(message.error())},
                     CloseCode::malformed);
    return;
  }
  if (session->phase == Phase::connected && !std::holds_alternative<protocol::Login>(*message)) {
    refuse_and_close(id, {.code = RefusalCode::not_logged_in, .detail = "log in first"},
                     CloseCode::unauthorized);
    return;
  }
  std::visit([&](const auto& request) { handle(id, *session, request); }, *message);
}

// --- sessions ------------------------------------------------------------------------------------

void Node::handle(gateway::SessionId id, Session& session, const protocol::Login& login) {
  if (session.phase != Phase::connected)
    return refuse(id, {.code = RefusalCode::already_logged_in});
  if (draining_) {
    return refuse_and_close(
        id, {.code = RefusalCode::shutting_down, .retry_after = retry_when_draining},
        CloseCode::draining);
  }
  // Until the rebuild nobody knows what the log holds: a catch-up from that state would be wrong.
  if (store_failed_) {
    return refuse_and_close(
        id, {.code = RefusalCode::store_failed, .retry_after = retry_when_store_failed},
        CloseCode::internal_error);
  }
  const auto user = token::verify(key_, login.token, unix_seconds());
  if (!user) {
    return refuse_and_close(
        id, {.code = RefusalCode::bad_token, .detail = "the token is malformed, forged or expired"},
        CloseCode::unauthorized);
  }
  if (*user == UserId{} || login.device == DeviceId{}) {
    return refuse_and_close(
        id, {.code = RefusalCode::malformed, .detail = "users and devices are numbered from 1"},
        CloseCode::malformed);
  }
  const auto superseded = sessions_.login(id, *user, login.device, login.device_incarnation);
  if (superseded) supersede(*superseded, *user);
  ++operations_.logins;
  gateway_->send(
      id, frame_of(protocol::LoginAccepted{.user = *user,
                                           .term = store_.term(),
                                           .heartbeat_interval = settings_.heartbeat_interval}));
  attach(id.slot, *user);
  session.catch_up = std::make_unique<CatchUp>();
  reader_.begin(*channels_, *user, login.positions, login.queue_position, *session.catch_up);
  session.catch_up->page_due = true;
  pages_due_.push_back(id);
}

void Node::supersede(gateway::SessionId old, UserId user) {
  detach(old.slot, user);
  Session* const session = sessions_.find(old);
  session->phase = Phase::closing;
  session->catch_up.reset();
  ++incidents_.superseded;
  gateway_->close(old, CloseCode::superseded, "the device logged in elsewhere");
}

void Node::handle(gateway::SessionId id, Session& session, const protocol::NextPage&) {
  if (session.catch_up == nullptr || session.catch_up->page_due) {
    return refuse_and_close(id,
                            {.code = RefusalCode::malformed, .detail = "no further page is due"},
                            CloseCode::malformed);
  }
  session.catch_up->page_due = true;
  pages_due_.push_back(id);
}

void Node::handle(gateway::SessionId, Session&, const protocol::DeviceAck&) {
  ++incidents_.device_acks;
}

void Node::handle(gateway::SessionId, Session&, const protocol::Heartbeat&) {}

// --- requests that append ------------------------------------------------------------------------

void Node::handle(gateway::SessionId id, Session& session, const protocol::Send& send) {
  protocol::Refused refusal = naming(send);
  if (refuse_append(id, refusal)) return;
  if (send.body.size() > settings_.body_bytes_max) {
    refusal.code = RefusalCode::body_too_large;
    return refuse(id, refusal);
  }
  const Device& device = sessions_.device(session.device);
  const auto answer = channels_->send(device.user, device.id, session.device_incarnation, send,
                                      now_, *open_.commit);
  if (answer.refused) {
    refusal.code = *answer.refused;
    return refuse(id, refusal);
  }
  switch (answer.accepted.outcome) {
    case core::AcceptOutcome::accepted:
      return note_requests(Request::Kind::send, id, session);
    case core::AcceptOutcome::duplicate:
      ++operations_.duplicate_sends;
      if (settings_.ack_after == AckAfter::fanout &&
          channels_->channel(*channels_->find(send.channel)).lags(answer.accepted.id)) {
        return;  // Its ack is due and goes to the device's session.
      }
      return send_after_pages(
          id, session,
          frame_of(protocol::Ack{send.channel, send.client_message_id, answer.accepted.id}), false);
    case core::AcceptOutcome::duplicate_pending:
      ++operations_.duplicate_sends;  // The pending commit's ack goes to the device's session.
      return;
    case core::AcceptOutcome::expected_next:
      refusal.code = RefusalCode::client_message_id_gap;
      refusal.expected = answer.accepted.expected;
      break;
    case core::AcceptOutcome::too_old:
      refusal.code = RefusalCode::client_message_id_too_old;
      break;
    case core::AcceptOutcome::too_many_pending:
      refusal.code = RefusalCode::too_many_pending;
      refusal.retry_after = retry_when_overloaded;
      break;
  }
  refuse(id, refusal);
}

void Node::handle(gateway::SessionId id, Session& session, const protocol::CreateChannel& create) {
  if (refuse_append(id, {.channel = create.channel})) return;
  std::string_view fault = fault_of(create.members);
  if (create.channel == ChannelId{}) fault = "channels are numbered from 1";
  if (!fault.empty()) {
    return refuse_and_close(
        id, {.code = RefusalCode::malformed, .channel = create.channel, .detail = fault},
        CloseCode::malformed);
  }
  answer(id, session, create.channel,
         channels_->create(create.channel, create.members, now_, *open_.commit));
}

void Node::handle(gateway::SessionId id, Session& session, const protocol::Join& join) {
  if (refuse_append(id, {.channel = join.channel})) return;
  const UserId user = sessions_.device(session.device).user;
  answer(id, session, join.channel, channels_->join(join.channel, user, now_, *open_.commit));
}

void Node::handle(gateway::SessionId id, Session& session, const protocol::Leave& leave) {
  if (refuse_append(id, {.channel = leave.channel})) return;
  const UserId user = sessions_.device(session.device).user;
  answer(id, session, leave.channel, channels_->leave(leave.channel, user, now_, *open_.commit));
}

void Node::answer(gateway::SessionId id, const Session& session, ChannelId channel,
                  const ChangeResult& result) {
  if (!result) return refuse(id, {.code = result.error(), .channel = channel});
  note_requests(Request::Kind::change, id, session);
}

void Node::note_requests(Request::Kind kind, gateway::SessionId id, const Session& session) {
  // The first new record answers the request; a design_changed behind it answers nobody.
  open_.requests.push_back({kind, session.device, id});
  open_.requests.resize(open_.commit->batch.size());
}

bool Node::refuse_append(gateway::SessionId id, const protocol::Refused& naming) {
  protocol::Refused refusal = naming;
  if (draining_) {
    refusal.code = RefusalCode::shutting_down;
    refusal.retry_after = retry_when_draining;
  } else if (store_failed_) {
    refusal.code = RefusalCode::store_failed;
    refusal.retry_after = retry_when_store_failed;
  } else if (committer_->pending_bytes() + open_.commit->batch.bytes() >
                 settings_.commit_queue_bytes ||
             fan_out_lag_records_ > settings_.fan_out_lag_records ||
             fan_out_lag_entries_ > settings_.fan_out_lag_entries) {
    refusal.code = RefusalCode::overloaded;
    refusal.retry_after = retry_when_overloaded;
  } else {
    return false;
  }
  refuse(id, refusal);
  return true;
}

void Node::refuse(gateway::SessionId id, protocol::Refused refusal) {
  ++incidents_.refused[static_cast<std::size_t>(refusal.code)];
  gateway_->send(id, frame_of(refusal));
}

void Node::refuse_and_close(gateway::SessionId id, const protocol::Refused& refusal,
                            CloseCode code) {
  refuse(id, refusal);
  sessions_.find(id)->phase = Phase::closing;
  gateway_->close(id, code, refusal.detail);
}

}  // namespace clamor::server
