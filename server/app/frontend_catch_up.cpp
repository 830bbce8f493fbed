// Logins and catch-ups: registrations, plans, pages.

#include "server/app/frontend.hpp"
#include "server/base/assert.hpp"
#include "server/host/clock.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace clamor::server {
namespace {

/// Bounds of the catch-up work of one turn; the rest waits for the next.
constexpr std::size_t pages_per_turn = 64;
constexpr std::uint64_t page_records_per_turn = 4096;

}  // namespace

void Frontend::add_to(NodeMetrics& metrics) const {
  metrics.sessions = sessions_.logged_in();
  metrics.pages_due = pages_due_.size();
  metrics.presence_due = presence_.waits() + partner_searches_.size();
  metrics.send_buckets = send_buckets_.in_use(node_.now);
  metrics.request_buckets = request_buckets_.in_use(node_.now);
  for (std::uint32_t slot = 0; slot < sessions_.slots(); ++slot) {
    const Session& session = sessions_.at(slot);
    const CatchUp* const catch_up = session.catch_up.get();
    if (session.phase == Phase::connected || (catch_up != nullptr && !catch_up->accepted)) {
      ++metrics.logins_waiting;
    }
    if (catch_up == nullptr) continue;
    metrics.catch_up_held += catch_up->waiting.size();
    metrics.catch_up_held_most =
        std::max<std::uint64_t>(metrics.catch_up_held_most, catch_up->waiting.size());
  }
  for (const LiveChannel& live : live_.all()) metrics.acks_held += live.acks.size();
  metrics.passwords_waiting = asking_.size() + passwords_.waiting();
  metrics.password_seconds = passwords_.seconds();
}

// --- a round: what channels there are, how they stand, what is to be read ------------------------

void Frontend::begin_round(gateway::SessionId id, CatchUp& catch_up) {
  if (catch_up.of_live) {
    ++catch_up.round;
    catch_up.planned = false;
    std::vector<ChannelId> channels;
    for (const auto& [channel, position] : catch_up.held) channels.push_back(channel);
    return register_channels(id, catch_up, channels);
  }
  const NodeId owner = node_.directory.owner(catch_up.user);
  if (!node_.bus.is_up(owner)) return refuse_unavailable(id);
  const Device& device = sessions_.device(sessions_.find(id)->device);
  ++catch_up.round;
  catch_up.round_due = true;
  catch_up.planned = false;
  node_.bus.send(owner, bus::UserLogin{ticket_of(id), catch_up.user, device.id});
}

void Frontend::handle(NodeId, bus::UserChannels&& found) {
  const gateway::SessionId id = session_of(found.session);
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase == Phase::closing) return;
  if (session->catch_up == nullptr || session->catch_up->planned) {
    return refresh(id, *session, found.channels);
  }
  CatchUp& catch_up = *session->catch_up;
  if (!std::exchange(catch_up.round_due, false)) return;
  if (!std::exchange(catch_up.accepted, true)) {
    if (!accept_login(id, *session)) return;
  }
  register_channels(id, catch_up, found.channels);
}

bool Frontend::accept_login(gateway::SessionId id, Session& session) {
  const CatchUp& catch_up = *session.catch_up;
  std::string resume_token;
  if (!catch_up.resumed) {
    resume_token = token::mint_resume(
        key_, catch_up.user, sessions_.device(session.device).id,
        unix_seconds() +
            std::chrono::ceil<std::chrono::seconds>(node_.settings.resume_for).count());
  }
  ++(catch_up.resumed ? node_.incidents.resumed_logins : node_.incidents.token_logins);
  ++node_.operations.logins;
  const bool sent = gateway_->send(
      id, frame_of(protocol::LoginAccepted{.user = catch_up.user,
                                           .term = node_.term,
                                           .heartbeat_interval = node_.settings.heartbeat_interval,
                                           .resume_token = resume_token}));
  if (!sent) close_slow(id, session, "reads no pongs");  // Nothing else was sent to it yet.
  return sent;
}

void Frontend::register_channels(gateway::SessionId id, CatchUp& catch_up,
                                 std::span<const ChannelId> channels) {
  if (channels.empty() && catch_up.answers_due == 0) return plan(id, catch_up);
  auto asked = registrations(id, catch_up.user, channels);
  for (auto& [node, wanted] : asked) {
    if (!node_.bus.is_up(node)) return refuse_unavailable(id);
    wanted.round = catch_up.round;
    wanted.wants_unread = sessions_.find(id)->wants_unread;
    if (node_.settings.payload == QueuePayload::copy ||
        node_.settings.design.design == QueueDesign::adaptive) {
      for (const ChannelId channel : wanted.channels)
        wanted.held.push_back(catch_up.holds(channel));
    }
  }
  catch_up.answers_due += asked.size();
  // Each may be answered at once; `catch_up` is not to be looked at from here on.
  for (auto& [node, wanted] : asked) node_.bus.send(node, std::move(wanted));
}

std::vector<std::pair<NodeId, bus::Register>> Frontend::registrations(
    gateway::SessionId id, UserId user, std::span<const ChannelId> channels) const {
  std::vector<std::pair<NodeId, bus::Register>> asked;
  for (const NodeId node : node_.directory.nodes()) {
    asked.push_back({node, {.session = ticket_of(id), .user = user, .channels = {}}});
  }
  for (const ChannelId channel : channels) {
    const NodeId owner = node_.directory.owner(channel);
    for (auto& [node, wanted] : asked) {
      if (node == owner) wanted.channels.push_back(channel);
    }
  }
  std::erase_if(asked, [](const auto& one) { return one.second.channels.empty(); });
  return asked;
}

void Frontend::learn(gateway::SessionId id, Session& session, const bus::ChannelState& state,
                     core::Intervals intervals) {
  reader_.learn(*session.catch_up, state, intervals);
  CatchUp::Progress& progress = *session.catch_up->find(state.channel);
  progress.attached = false;
  if (!state.registered) return;
  const LiveIndex index = live_.index_of(state.channel);
  const MessageId relayed = live_.at(index).relayed;
  const MessageId joined = joined_at(intervals, state.head);
  live_.at(index).drop_joiner(id);
  if (joined <= relayed) {
    progress.attached = true;
    attach(id, session, index);
  } else {
    // The join itself is still on its way here.
    progress.up_to = joined - 1;
    live_.at(index).joiners.push_back({.session = id, .next = joined});
  }
  release_acks(index, relayed);
}

CatchUp::Progress* Frontend::progress_to_plan(Session& session, ChannelId channel) {
  if (session.catch_up == nullptr || session.catch_up->planned) return nullptr;
  return session.catch_up->find(channel);
}

void Frontend::plan(gateway::SessionId id, CatchUp& catch_up) {
  for (CatchUp::Progress& progress : catch_up.channels) {
    if (progress.attached) progress.up_to = live_.at(*live_.find(progress.channel)).relayed;
  }
  reader_.plan(catch_up);
  if (catch_up.page_due) pages_due_.push_back(id);
}

// --- reads ---------------------------------------------------------------------------------------

template <class Answer>
void Frontend::take_answer(Answer&& answer) {
  const gateway::SessionId id = session_of(answer.session);
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->catch_up == nullptr || !session->catch_up->asking) return;
  session->catch_up->answer = std::forward<Answer>(answer);
  if (serving_ == id) return;
  pages_due_.push_front(id);
}

void Frontend::handle(NodeId, bus::LogRead&& read) {
  switch (read.reading) {
    case bus::Reading::catch_up:
      return take_answer(std::move(read));
    case bus::Reading::joining:
      return on_joining_read(read);
    case bus::Reading::repair:
      return on_repair_read(read);
  }
}

void Frontend::handle(NodeId, bus::UserQueueRead&& read) { take_answer(std::move(read)); }
void Frontend::handle(NodeId, bus::MemberQueueRead&& read) { take_answer(std::move(read)); }

// --- pages ---------------------------------------------------------------------------------------

void Frontend::end_turn() {
  const std::uint64_t records_max = node_.operations.catch_up_deliveries + page_records_per_turn;
  for (std::size_t pages = 0; !pages_due_.empty(); ++pages) {
    if (pages == pages_per_turn || node_.operations.catch_up_deliveries >= records_max) {
      boost::asio::post(io_, [this] { node_.begin_turn(); });
      return;
    }
    const gateway::SessionId id = pages_due_.front();
    pages_due_.pop_front();
    Session* const session = sessions_.find(id);
    if (session != nullptr && session->phase == Phase::catching_up) serve_page(id, *session);
  }
}

void Frontend::serve_page(gateway::SessionId id, Session& session) {
  CatchUp& catch_up = *session.catch_up;
  // on_drained() comes back to a page that there is no room for.
  if (!catch_up.planned || !catch_up.page_due || !gateway_->has_room(id)) return;
  if (catch_up.page == nullptr) catch_up.page = std::make_unique<CatchUp::OpenPage>();
  const Instant began = monotonic_now();
  serving_ = id;
  const auto filled = reader_.fill(catch_up, ticket_of(id));
  serving_.reset();
  node_.operations.scan_ns += static_cast<std::uint64_t>(to_ns(monotonic_now() - began));
  if (!filled) {
    node_.log.error("catch-up failed",
                    {{"user", catch_up.user.value}, {"error", filled.error().what}});
    ++node_.incidents.catch_up_failures;
    return close(id, session, protocol::CloseCode::internal_error, "the store cannot be read");
  }
  if (*filled == CatchUpReader::Filled::waits) return;
  const bool complete = *filled == CatchUpReader::Filled::complete;
  // What came in meanwhile was too much to hold: it is read like the rest.
  if (complete && catch_up.overflowed) return begin_round(id, catch_up);
  const std::unique_ptr<CatchUp::OpenPage> page = std::move(catch_up.page);
  catch_up.page_due = false;
  page->writer.finish(complete, catch_up.queue_position);
  const bool sent = gateway_->send(id, gateway::make_frame(page->bytes));
  CLAMOR_ASSERT(sent);  // Nothing else was sent since has_room().
  ++node_.incidents.pages;
  if (complete) finish_catch_up(id, session);
}

void Frontend::finish_catch_up(gateway::SessionId id, Session& session) {
  const auto catch_up = std::move(session.catch_up);
  session.phase = Phase::live;
  session.queue_position = catch_up->queue_position;
  std::span<const CatchUp::Waiting> unsent{catch_up->waiting};
  // One that is not sent now is out of date by the end of the next pages, which have their own.
  const bool told =
      !session.wants_unread || send_live(id, {.frame = frame_of(unread_of(*catch_up))});
  if (!told) return fall_behind(id, session, unsent);
  for (; !unsent.empty(); unsent = unsent.subspan(1)) {
    if (!send_live(id, unsent.front())) return fall_behind(id, session, unsent);
  }
  resume_presence(id);
}

}  // namespace clamor::server
