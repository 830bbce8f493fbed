#include "loadgen/net/close_codes.hpp"
#include "loadgen/net/swarm.hpp"
#include "loadgen/user/send_kind.hpp"
#include "loadgen/user/stamp.hpp"
#include "loadgen/user/waiting.hpp"
#include "server/host/clock.hpp"
#include "server/protocol/about.hpp"
#include "server/protocol/codec.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>
#include <variant>

// What goes over a swarm's connections, in both directions.
namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

using protocol::CloseCode;

constexpr Duration retry_default = 250ms;

constexpr std::uint16_t code_of(CloseCode code) { return static_cast<std::uint16_t>(code); }

SendRefusal refusal_of(const protocol::Refused& refused) {
  using protocol::RefusalCode;
  switch (refused.code) {
    case RefusalCode::client_message_id_gap:
      return SendRefusal::gap;
    case RefusalCode::too_many_pending:
    case RefusalCode::overloaded:
    case RefusalCode::shutting_down:
    case RefusalCode::store_failed:
    case RefusalCode::unavailable:
      return SendRefusal::retry;
    case RefusalCode::client_message_id_too_old:
      return SendRefusal::too_old;
    default:
      return refused.retry_after > Duration{} ? SendRefusal::retry : SendRefusal::permanent;
  }
}

std::string described(const protocol::Refused& refused) {
  std::string text = "code " + std::to_string(static_cast<unsigned>(refused.code));
  if (!refused.detail.empty()) text += ", " + std::string{refused.detail};
  return text;
}

/// Of a record that a device sent; a deletion and a stub have none.
std::optional<Stamp> stamp_of(const protocol::RecordFrame& frame) {
  if (!core::is_sent(frame.record.kind) || frame.record.redacted) return std::nullopt;
  if (!frame.record.has_about) return read_stamp(frame.body);
  const auto about = protocol::read_about(frame.body);
  return about ? read_stamp(about->text) : std::nullopt;
}

}  // namespace

// --- out -----------------------------------------------------------------------------------------

void Swarm::send_out(std::uint32_t slot) {
  connections_.send(slot, scratch_);
  if (slot != control_slot()) clients_[slot].user.last_sent_at = now_;
}

void Swarm::positions_of(std::uint32_t slot, std::vector<protocol::HeldPosition>& out) const {
  const std::uint32_t client = clients_[slot].user.client;
  const auto channels = ledger_.channels_of(client);
  out.reserve(channels.size());
  for (std::size_t index = 0; index < channels.size(); ++index) {
    out.push_back({scenario::Plan::channel_id(channels[index]), {1, ledger_.held(client, index)}});
  }
}

void Swarm::perform(std::uint32_t slot, const SendLogin&) {
  Client& client = clients_[slot];
  const std::uint32_t user = plan_.user_of(client.user.client);
  ledger_.begin_session(client.user.client);
  const std::string token = client.resume_token.empty()
                                ? options_.token(scenario::Plan::user_id(user))
                                : client.resume_token;
  protocol::Login login;
  login.token = token;
  login.device = DeviceId{plan_.device_of(client.user.client)};
  login.queue_position = client.queue_position;
  positions_of(slot, login.positions);
  client.news = false;
  client.said_at = now_;
  scratch_.clear();
  protocol::encode(login, scratch_);
  send_out(slot);
}

void Swarm::perform(std::uint32_t slot, const SendMessage& send) {
  LedgerTotals& totals = ledger_.totals();
  if (send.attempt == 0) {
    ++totals.sent;
    ++interval_.sent;
  } else {
    ++totals.resends;
  }
  const std::span<std::byte> text = std::span{body_}.first(text_bytes(send.kind, send.bytes));
  if (!text.empty()) write_stamp(text, {send.due, now_, send.waited, send.revised});
  protocol::Send said{scenario::Plan::channel_id(send.channel),
                      send.client_message_id,
                      text,
                      record_kind(send.kind),
                      send.target,
                      {}};
  if (send.mentioned != scenario::nobody) {
    said.mentions.push_back(scenario::Plan::user_id(send.mentioned));
  }
  scratch_.clear();
  protocol::encode(said, scratch_);
  send_out(slot);
  set_timer({send.resend_at, slot, 0});
  // Who sends all the time has no heartbeats to put it in.
  const Client& client = clients_[slot];
  if (client.news && now_ - client.said_at >= settings_.heartbeat_interval) send_device_ack(slot);
}

void Swarm::perform(std::uint32_t slot, const SendTyping& typing) {
  scratch_.clear();
  protocol::encode(protocol::Typing{scenario::Plan::channel_id(typing.channel)}, scratch_);
  send_out(slot);
}

void Swarm::perform(std::uint32_t slot, const SendHeartbeat&) {
  if (clients_[slot].news) return send_device_ack(slot);
  scratch_.clear();
  protocol::encode(protocol::Heartbeat{}, scratch_);
  send_out(slot);
}

void Swarm::perform(std::uint32_t slot, const SubscribePresence& subscribe) {
  scratch_.clear();
  protocol::encode(protocol::SubscribePresence{static_cast<std::uint16_t>(subscribe.partners), {}},
                   scratch_);
  send_out(slot);
}

void Swarm::perform(std::uint32_t slot, const UnsubscribePresence&) {
  scratch_.clear();
  protocol::encode(protocol::UnsubscribePresence{}, scratch_);
  send_out(slot);
}

void Swarm::send_device_ack(std::uint32_t slot) {
  clients_[slot].news = false;
  clients_[slot].said_at = now_;
  protocol::DeviceAck ack{clients_[slot].queue_position, {}};
  positions_of(slot, ack.positions);
  scratch_.clear();
  protocol::encode(ack, scratch_);
  send_out(slot);
}

// --- in ------------------------------------------------------------------------------------------

void Swarm::on_open(std::uint32_t slot) {
  now_ = monotonic_now();
  if (slot != control_slot()) return tell(slot, Connected{});
  creating_ = Creating::logging_in;
  const std::string token = options_.token(UserId{plan_.users() + 1ULL + options_.worker});
  protocol::Login login;
  login.token = token;
  login.device = DeviceId{1};
  scratch_.clear();
  protocol::encode(login, scratch_);
  send_out(slot);
}

void Swarm::on_failed(std::uint32_t slot, const std::string& why) {
  now_ = monotonic_now();
  if (slot == control_slot()) {
    return break_off("cannot connect to " + options_.targets.front().host + ":" +
                     std::to_string(options_.targets.front().port) + ": " + why);
  }
  find_once("handshake", "a connection could not be opened: " + why);
  tell(slot, ConnectFailed{});
}

void Swarm::on_closed(std::uint32_t slot, std::uint16_t close_code, const std::string& reason) {
  now_ = monotonic_now();
  if (slot == control_slot()) {
    return break_off("the server closed the control session while channels were created (code " +
                     std::to_string(close_code) + ")");
  }
  const Disconnected end = disconnected_by(close_code, reason);
  const bool outage = end.how == Ended::network || close_code == code_of(CloseCode::going_away) ||
                      close_code == code_of(CloseCode::internal_error);
  if (!outage) {
    find_once("closed " + std::to_string(close_code),
              "the server closed a session: code " + std::to_string(close_code) + ", " + reason);
  }
  tell(slot, end);
}

void Swarm::on_message(std::uint32_t slot, std::span<const std::byte> payload) {
  now_ = monotonic_now();
  const auto message = protocol::decode_server(payload);
  if (!message) {
    const std::string why{protocol::name_of(message.error())};
    if (slot == control_slot()) return break_off("the server sent a malformed message: " + why);
    find_once("malformed", "the server sent a malformed message: " + why);
    connections_.reset(slot);
    return tell(slot, Disconnected{});
  }
  if (slot == control_slot()) return control_message(*message);
  std::visit([this, slot](const auto& kind) { take(slot, kind); }, *message);
}

void Swarm::take(std::uint32_t slot, const protocol::LoginAccepted& accepted) {
  if (!accepted.resume_token.empty()) clients_[slot].resume_token = accepted.resume_token;
  recording_.connect.record(static_cast<std::uint64_t>(to_ns(now_ - clients_[slot].opened_at)));
  tell(slot, LoggedIn{});
}

void Swarm::take(std::uint32_t slot, const protocol::Ack& ack) {
  if (ack.channel.value == 0 || ack.channel.value > plan_.channels()) return;
  const auto channel = static_cast<std::uint32_t>(ack.channel.value - 1);
  if (filling_) fill_next(slot, channel);  // before the ack: an empty outbox would end the visit
  tell(slot, AckCame{channel, ack.client_message_id, ack.message_id});
}

void Swarm::take(std::uint32_t slot, const protocol::RecordFrame& frame) {
  take_record(slot, frame, false);
}

void Swarm::take(std::uint32_t slot, const protocol::Page& page) {
  Client& client = clients_[slot];
  const auto index_of = [](ChannelId id) { return static_cast<std::uint32_t>(id.value - 1); };
  for (const protocol::PageItem& item : page.items) {
    if (const auto* frame = std::get_if<protocol::RecordFrame>(&item)) {
      take_record(slot, *frame, true);
    } else if (const auto* start = std::get_if<protocol::IntervalStart>(&item)) {
      ledger_.interval_start(client.user.client, index_of(start->channel), start->join);
    } else if (const auto* cut = std::get_if<protocol::HistoryTruncated>(&item)) {
      ledger_.truncated(client.user.client, index_of(cut->channel), cut->from, cut->to);
    }
  }
  client.queue_position = page.queue_position;
  if (!page.items.empty()) send_device_ack(slot);
  if (page.last) return tell(slot, CaughtUp{});
  scratch_.clear();
  protocol::encode(protocol::NextPage{}, scratch_);
  send_out(slot);
}

void Swarm::take(std::uint32_t slot, const protocol::ChannelChanged& changed) {
  find_once("channel changed", "client " + std::to_string(clients_[slot].user.client) +
                                   " was told of a change of channel_id " +
                                   std::to_string(changed.channel.value) + " it never asked for");
}

void Swarm::take(std::uint32_t slot, const protocol::Refused& refused) {
  if (refused.client_message_id.value != 0) {
    const auto how = refusal_of(refused);
    Duration wait = refused.retry_after;
    if (how == SendRefusal::retry && wait <= Duration{}) wait = retry_default;
    find_once("refused " + std::to_string(static_cast<unsigned>(refused.code)),
              "a send was refused: " + described(refused));
    return tell(slot, SendRefused{static_cast<std::uint32_t>(refused.channel.value - 1),
                                  refused.client_message_id, how, wait, refused.expected});
  }
  find_once("refused", "a request was refused: " + described(refused));
  if (clients_[slot].user.phase != Phase::logging_in) return;
  const bool may_return = refused.retry_after > Duration{};
  if (refused.code == protocol::RefusalCode::bad_token &&
      !std::exchange(clients_[slot].resume_token, {}).empty()) {
    connections_.close(slot);  // It has expired, or the server has another secret by now.
    return tell(slot, Disconnected{Ended::go_again});
  }
  if (!may_return) {
    token_refused_ = token_refused_ || refused.code == protocol::RefusalCode::bad_token;
    break_off("the server refuses logins: " + described(refused));
  }
  connections_.close(slot);
  tell(slot, Disconnected{may_return ? Ended::back_off : Ended::for_good, refused.retry_after});
}

void Swarm::take(std::uint32_t slot, const protocol::Unread&) {
  find_once("unread", "client " + std::to_string(clients_[slot].user.client) +
                          " was told what is unread, and never asked");
}

void Swarm::take(std::uint32_t slot, const protocol::Presence& presence) {
  if (window_zero_ == Instant::max()) return;  // What it finds when it comes is not measured.
  recording_.presence_notices += presence.users.size();
  const Instant received{now_ - window_zero_};
  const Instant opened{clients_[slot].opened_at - window_zero_};
  for (const protocol::PresenceState& state : presence.users) {
    if (state.online || state.user.value == 0 || state.user.value > plan_.users()) continue;
    absences_.clear();
    plan_.absences(static_cast<std::uint32_t>(state.user.value - 1), absences_);
    for (const scenario::Absence& absence : absences_) {
      // One that the session found when it came is no news.
      if (absence.from <= std::max(opened, Instant{}) || absence.from > received) continue;
      if (received >= absence.until) continue;
      recording_.offline_notice.record(static_cast<std::uint64_t>(to_ns(received - absence.from)));
    }
  }
}

void Swarm::take_record(std::uint32_t slot, const protocol::RecordFrame& frame, bool in_page) {
  Client& client = clients_[slot];
  const core::Record& record = frame.record;
  Observed observed{static_cast<std::uint32_t>(record.channel.value - 1), record.id, record.kind,
                    no_client, record.client_message_id};
  if (record.sender.value != 0 && record.sender.value <= plan_.users()) {
    const auto user = static_cast<std::uint32_t>(record.sender.value - 1);
    const std::uint32_t device = record.device.value;
    if (device >= 1 && device <= plan_.devices_of(user)) {
      observed.sender = plan_.client_of(user, device);
    }
  }
  client.news = true;
  last_delivery_ = now_;
  const Receiving received = ledger_.receive(client.user.client, observed);
  judge_holes(slot, observed.channel, received.unjudged, in_page);
  if (received.receipt == Receipt::duplicated || received.receipt == Receipt::reordered) {
    const char* const what = received.receipt == Receipt::duplicated ? "twice" : "out of order";
    find_once(what, fmt::format("client {} received message_id {} of channel_id {} {}, {}",
                                client.user.client, record.id.value, record.channel.value, what,
                                in_page ? "in a page" : "live"));
  }
  if (received.receipt != Receipt::first && received.receipt != Receipt::reordered) return;
  const auto stamp = stamp_of(frame);
  if (!stamp) return;
  if (settings_.sends_about && record.kind == core::RecordKind::message && !stamp->revised) {
    pool_.targets().note(observed.channel, record.id);
  }
  if (observed.sender != client.user.client) {
    measure_delivery(client, *stamp, observed.channel, in_page);
  }
}

void Swarm::judge_holes(std::uint32_t slot, std::uint32_t channel, std::uint64_t unjudged,
                        bool in_page) {
  // Live fan-out skips the sender's device, so holes may be the own sends whose acks come yet: the
  // last of those acks comes here again.
  const VirtualUser& user = clients_[slot].user;
  if (unjudged == 0 || unjudged <= unsettled_in(user, channel)) return;
  ledger_.judged(user.client, channel);
  ++ledger_.totals().gaps;
  // What a catch-up left out, another one would leave out too: that one is lost, not repaired.
  if (!in_page) repairs_.push_back(slot);
}

std::uint64_t Swarm::unsettled_in(const VirtualUser& user, std::uint32_t channel) const {
  std::uint64_t count = 0;
  for (std::uint32_t i = user.outbox_first; i != OutboxPool::none; i = pool_[i].next) {
    if (pool_[i].channel == channel && pool_[i].attempts > 0) ++count;
  }
  return count;
}

void Swarm::measure_delivery(const Client& client, const Stamp& stamp, std::uint32_t channel,
                             bool in_page) {
  // Planned absentees that the roll call brings back were not kept waiting by the server.
  if (client.user.leave_in_sync || client.user.flushing) return;
  absences_.clear();
  if (stamp.due < client.came_back_at) {
    plan_.absences(plan_.user_of(client.user.client), absences_);
  }
  const Instant received{now_ - window_zero_};
  const auto since = [&](Instant start) {
    const Duration waited = waiting_time(absences_, Instant{start - window_zero_}, received);
    return static_cast<std::uint64_t>(to_ns(waited));
  };
  DeliveryPath path = stamp.waited ? DeliveryPath::outbox : DeliveryPath::live;
  if (in_page) path = client.user.repairing ? DeliveryPath::repair : DeliveryPath::catchup;
  Recording::ByClass& by_class = recording_.by_class[class_of_channel_[channel]];
  const std::uint64_t latency = since(stamp.due);
  by_class.delivery[static_cast<std::size_t>(path)].record(latency);
  by_class.service[static_cast<std::size_t>(path)].record(since(stamp.sent));
  interval_.delivery.record(latency);
}

// --- channels ------------------------------------------------------------------------------------

void Swarm::begin_creating() {
  next_channel_ = options_.worker;
  if (next_channel_ >= plan_.channels()) {
    creating_ = Creating::done;
    return;
  }
  creating_ = Creating::connecting;
  connections_.open(control_slot());
}

void Swarm::control_message(const protocol::ServerMessage& message) {
  if (const auto* refused = std::get_if<protocol::Refused>(&message)) {
    if (refused->code == protocol::RefusalCode::channel_exists) {
      return break_off("channel_id " + std::to_string(refused->channel.value) +
                       " exists already: a run needs a server whose store is empty");
    }
    if (creating_ == Creating::logging_in) {
      token_refused_ = refused->code == protocol::RefusalCode::bad_token;
      return break_off("the server refuses logins: " + described(*refused));
    }
    return break_off("creating channel_id " + std::to_string(refused->channel.value) +
                     " was refused: " + described(*refused));
  }
  if (const auto* page = std::get_if<protocol::Page>(&message)) {
    if (creating_ != Creating::logging_in || !page->last) return;
    creating_ = Creating::sending;
    return create_more();
  }
  if (std::holds_alternative<protocol::ChannelChanged>(message)) {
    --creating_now_;
    create_more();
  }
}

void Swarm::create_more() {
  std::vector<std::uint32_t> members;
  // Creations of large groups are long: what the server has not read yet must not end the link.
  while (creating_now_ < options_.creating_max && next_channel_ < plan_.channels() &&
         connections_.queued_bytes(control_slot()) < Connections::queued_bytes_max / 2) {
    members.clear();
    plan_.members(next_channel_, members);
    protocol::CreateChannel create{scenario::Plan::channel_id(next_channel_), {}};
    for (const std::uint32_t user : members) {
      create.members.push_back(scenario::Plan::user_id(user));
    }
    scratch_.clear();
    protocol::encode(create, scratch_);
    send_out(control_slot());
    ++creating_now_;
    next_channel_ += options_.workers;
  }
  if (creating_now_ > 0) return;
  creating_ = Creating::done;
  connections_.close(control_slot());
}

}  // namespace clamor::loadgen
