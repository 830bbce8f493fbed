// Who is told who is there: what clients subscribe to, and what they are told.

#include "server/app/frontend.hpp"
#include "server/core/limits.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {

void Frontend::handle(gateway::SessionId id, Session& session,
                      const protocol::SubscribePresence& subscribe) {
  if (draining_ || refuse_rate(id, session, request_buckets_, {})) return;
  const UserId user = sessions_.device(session.device).user;
  if (!presence_.subscribe(id.slot, user, subscribe.users)) {
    return refuse(id, {.code = protocol::RefusalCode::too_many_subscriptions});
  }
  if (subscribe.partners > 0) {
    PartnerSearch& search = partner_searches_[id.slot];
    search.wanted = std::max(search.wanted, subscribe.partners);
    if (session.phase == Phase::live && !search.asked) ask_partners(id, session, search);
  }
  arm_presence();
}

void Frontend::handle(gateway::SessionId id, Session&,
                      const protocol::UnsubscribePresence& unsubscribe) {
  if (unsubscribe.users.empty()) partner_searches_.erase(id.slot);
  presence_.unsubscribe(id.slot, unsubscribe.users);
}

void Frontend::end_presence(gateway::SessionId id) {
  if (!partner_searches_.empty()) partner_searches_.erase(id.slot);
  presence_.end(id.slot);
}

void Frontend::resume_presence(gateway::SessionId id) {
  const Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase != Phase::live) return;
  const auto search = partner_searches_.find(id.slot);
  if (search != partner_searches_.end() && !search->second.asked) {
    ask_partners(id, *session, search->second);
  }
  presence_.resume(id.slot);
  arm_presence();
}

// --- direct partners -----------------------------------------------------------------------------

void Frontend::ask_partners(gateway::SessionId id, const Session& session, PartnerSearch& search) {
  search.asked = true;
  const auto nodes = node_.directory.nodes();
  const UserId user = sessions_.device(session.device).user;
  std::vector<bus::AskPartners> asked(nodes.size());
  for (const LiveIndex index : session.channels) {
    const ChannelId channel = live_.at(index).id;
    const NodeId owner = node_.directory.owner(channel);
    const auto place = std::find(nodes.begin(), nodes.end(), owner) - nodes.begin();
    asked[static_cast<std::size_t>(place)].channels.push_back(channel);
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    // Who is down now is left out: the client asks again when it misses somebody.
    if (asked[i].channels.empty() || !node_.bus.is_up(nodes[i])) continue;
    search.waits_for |= std::uint64_t{1} << i;
  }
  if (search.waits_for == 0) return finish_search(id);
  const std::uint64_t waits_for = search.waits_for;  // The first answer may be the last one.
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if ((waits_for >> i & 1U) == 0) continue;
    asked[i].session = ticket_of(id);
    asked[i].user = user;
    node_.bus.send(nodes[i], std::move(asked[i]));
  }
}

void Frontend::handle(NodeId from, bus::Partners&& partners) {
  const gateway::SessionId id = session_of(partners.session);
  if (sessions_.find(id) == nullptr) return;
  const auto found = partner_searches_.find(id.slot);
  if (found == partner_searches_.end()) return;
  PartnerSearch& search = found->second;
  const std::uint64_t bit = node_bit(from);
  if ((search.waits_for & bit) == 0) return;
  search.waits_for &= ~bit;
  search.found.insert(search.found.end(), partners.partners.begin(), partners.partners.end());
  if (search.waits_for == 0) finish_search(id);
}

void Frontend::finish_search(gateway::SessionId id) {
  const auto found = partner_searches_.find(id.slot);
  PartnerSearch search = std::move(found->second);
  partner_searches_.erase(found);
  const auto user = sessions_.user_of(id);
  if (!user) return;
  std::sort(search.found.begin(), search.found.end(),
            [](const auto& a, const auto& b) { return a.channel < b.channel; });
  const std::size_t most = std::min<std::size_t>(search.wanted, presence_.room(id.slot));
  std::vector<UserId> partners;
  for (const bus::Partners::Partner& partner : search.found) {
    if (partners.size() == most) break;
    if (std::find(partners.begin(), partners.end(), partner.user) != partners.end()) continue;
    partners.push_back(partner.user);
  }
  (void)presence_.subscribe(id.slot, *user, partners);  // There is room.
  arm_presence();
}

void Frontend::give_up_searches(NodeId node) {
  const std::uint64_t bit = node_bit(node);
  std::vector<gateway::SessionId> finished;
  for (auto& [slot, search] : partner_searches_) {
    if ((search.waits_for & bit) == 0) continue;
    search.waits_for &= ~bit;
    if (search.waits_for == 0) finished.push_back(sessions_.id_at(slot));
  }
  for (const gateway::SessionId id : finished) finish_search(id);
}

std::uint64_t Frontend::node_bit(NodeId node) const {
  const auto nodes = node_.directory.nodes();
  return std::uint64_t{1} << static_cast<unsigned>(std::find(nodes.begin(), nodes.end(), node) -
                                                   nodes.begin());
}

// --- notices -------------------------------------------------------------------------------------

void Frontend::handle(NodeId, bus::PresenceChanged&& changed) {
  presence_.take(changed);
  arm_presence();
}

void Frontend::arm_presence() {
  if (presence_armed_ || draining_ || !presence_.is_due()) return;
  presence_armed_ = true;
  presence_timer_.expires_after(core::presence_step);
  presence_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || draining_) return;  // A wait that is over is beyond cancel().
    presence_armed_ = false;
    node_.begin_turn();
    // Under load notices wait: whoever is told later is told the latest only.
    if (core::admit(core::MessageClass::lossy, node_.admission).taken) tell_presence();
    arm_presence();
  });
}

void Frontend::tell_presence() {
  presence_.flush(core::presence_sessions_per_step,
                  [this](std::uint32_t slot, const std::vector<protocol::PresenceState>& states) {
                    // Whoever catches up or reads too slowly is told later, of the latest only.
                    const bool told =
                        sessions_.at(slot).phase == Phase::live &&
                        gateway_->send(sessions_.id_at(slot), frame_of(protocol::Presence{states}));
                    if (told) {
                      node_.operations.presence_notices += states.size();
                    } else {
                      ++node_.incidents.presence_put_off;
                    }
                    return told;
                  });
}

}  // namespace clamor::server
