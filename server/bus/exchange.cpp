#include "server/bus/exchange.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace clamor::bus {

// Everything is posted under the mutex, so that what a node is told of others, and what they send,
// come in one order.

void Exchange::connect(NodeId node, Term term, boost::asio::io_context& io, Receiver& receiver) {
  const std::lock_guard lock{mutex_};
  for (const auto& [other, place] : up_) {
    boost::asio::post(*place.io, [to = place.receiver, node, term] { to->on_node_up(node, term); });
    boost::asio::post(io, [&receiver, other = other, other_term = place.term] {
      receiver.on_node_up(other, other_term);
    });
  }
  up_.insert_or_assign(
      node, Place{term, &io, &receiver, std::make_shared<std::atomic<std::uint64_t>>(0)});
}

void Exchange::disconnect(NodeId node) {
  const std::lock_guard lock{mutex_};
  if (up_.erase(node) == 0) return;
  for (const auto& [other, place] : up_) {
    boost::asio::post(*place.io, [to = place.receiver, node] { to->on_node_down(node); });
  }
}

bool Exchange::deliver(NodeId from, NodeId to, Term term, std::vector<Message> messages) {
  const std::lock_guard lock{mutex_};
  const auto found = up_.find(to);
  if (found == up_.end() || found->second.term != term) return false;
  const Place& place = found->second;
  place.waiting->fetch_add(messages.size(), std::memory_order_relaxed);
  boost::asio::post(*place.io, [receiver = place.receiver, waiting = place.waiting, from,
                                messages = std::move(messages)]() mutable {
    waiting->fetch_sub(messages.size(), std::memory_order_relaxed);
    receiver->receive_all(from, std::move(messages));
  });
  return true;
}

std::uint64_t Exchange::waiting(NodeId node) const {
  const std::lock_guard lock{mutex_};
  const auto found = up_.find(node);
  return found == up_.end() ? 0 : found->second.waiting->load(std::memory_order_relaxed);
}

void Endpoint::send(NodeId to, Message message) {
  if (to == self_) return receiver_.receive(self_, std::move(message));
  if (links_ != nullptr && links_->leads_to(to)) {
    messages_ += links_->send(to, message) ? 1 : 0;
    return;
  }
  for (Peer& peer : peers_) {
    if (peer.node != to) continue;
    ++messages_;
    peer.waiting.push_back(std::move(message));
  }
}

void Endpoint::flush() {
  backlog_ = {};
  for (Peer& peer : peers_) {
    if (peer.waiting.empty()) continue;
    ++frames_;
    exchange_.deliver(self_, peer.node, peer.term, std::exchange(peer.waiting, {}));
    backlog_.messages = std::max(backlog_.messages, exchange_.waiting(peer.node));
  }
  if (links_ == nullptr) return;
  frames_ += links_->flush();
  backlog_.bytes = links_->waiting_bytes();
}

const Endpoint::Peer* Endpoint::find(NodeId node) const {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& peer) { return peer.node == node; });
  return found == peers_.end() ? nullptr : &*found;
}

bool Endpoint::is_up(NodeId node) const {
  return node == self_ || find(node) != nullptr || (links_ != nullptr && links_->is_up(node));
}

void Endpoint::set_up(NodeId node, Term term) {
  set_down(node);
  if (links_ != nullptr && links_->leads_to(node)) return;  // They know by themselves.
  peers_.push_back({node, term, {}});
}

void Endpoint::set_down(NodeId node) {
  std::erase_if(peers_, [&](const Peer& peer) { return peer.node == node; });
}

}  // namespace clamor::bus
