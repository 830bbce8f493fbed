// Other nodes come and go: their links, and what they are asked.

#include "server/app/frontend.hpp"
#include "server/core/limits.hpp"

#include <algorithm>
#include <utility>

namespace clamor::server {

void Frontend::follow_link(NodeId owner, const bus::Published& published) {
  const auto link = std::find_if(links_.begin(), links_.end(),
                                 [&](const Link& one) { return one.owner == owner; });
  const std::uint64_t expected = link->number + (published.commit == nullptr ? 0 : 1);
  const bool continues = published.term == link->term && published.number == expected;
  link->term = published.term;
  link->number = published.number;
  if (!continues) register_again(owner);
}

void Frontend::on_node_up(NodeId node, Term term) {
  const auto link = std::find_if(links_.begin(), links_.end(),
                                 [&](const Link& one) { return one.owner == node; });
  *link = {.owner = node, .term = term};
  // What it knew of this node is gone: which channels it wants, and who is logged in here.
  register_again(node);
  sessions_.for_each_logged_in([&](gateway::SessionId id) {
    const Device& device = sessions_.device(sessions_.find(id)->device);
    if (node_.directory.owner(device.user) != node) return;
    node_.bus.send(node, bus::UserLogin{ticket_of(id), device.user, device.id, true});
  });
  presence_.watch_again(node);
}

void Frontend::on_node_down(NodeId node) {
  // Whoever catches up comes back: an answer, or a page still to come, may need this node.
  std::vector<gateway::SessionId> waiting;
  sessions_.for_each_logged_in([&](gateway::SessionId id) {
    if (sessions_.find(id)->catch_up != nullptr) waiting.push_back(id);
  });
  for (LiveChannel& live : live_.all()) {
    if (node_.directory.owner(live.id) != node) continue;
    for (const Joiner& joiner : live.joiners) waiting.push_back(joiner.session);
  }
  for (const auto& [ticket, asking] : asking_) {
    if (node_.directory.owner(asking.user) == node) waiting.push_back(session_of(ticket));
  }
  for (const gateway::SessionId id : waiting) refuse_unavailable(id);
  give_up_searches(node);
}

void Frontend::refuse_unavailable(gateway::SessionId id) {
  const Session* const session = sessions_.find(id);
  if (session == nullptr || session->phase == Phase::closing) return;
  refuse_and_close(id,
                   {.code = protocol::RefusalCode::unavailable,
                    .retry_after = core::retry_when_unavailable,
                    .detail = "a node of the deployment is down"},
                   protocol::CloseCode::internal_error);
}

void Frontend::refresh(gateway::SessionId id, Session& session,
                       std::span<const ChannelId> channels) {
  const auto user = sessions_.user_of(id);
  if (!user) return;
  std::vector<ChannelId> missing;
  for (const ChannelId channel : channels) {
    const auto index = live_.find(channel);
    const bool known =
        index && (is_attached(session, *index) || live_.at(*index).joiner(id) != nullptr);
    if (!known) missing.push_back(channel);
  }
  auto asked = registrations(id, *user, missing);
  for (const auto& [node, wanted] : asked) {
    if (!node_.bus.is_up(node)) return refuse_unavailable(id);
  }
  for (auto& [node, wanted] : asked) node_.bus.send(node, std::move(wanted));
}

}  // namespace clamor::server
