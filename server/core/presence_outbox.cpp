#include "server/core/presence_outbox.hpp"

#include <algorithm>

namespace clamor::core {

void PresenceOutbox::add(std::uint32_t session, std::uint32_t user) {
  const auto [found, is_new] = news_.try_emplace(session);
  News& news = found->second;
  if (std::find(news.users.begin(), news.users.end(), user) == news.users.end()) {
    news.users.push_back(user);
  }
  if (is_new) enqueue(session, news);
}

void PresenceOutbox::remove(std::uint32_t session, std::uint32_t user) {
  const auto found = news_.find(session);
  if (found == news_.end()) return;
  std::erase(found->second.users, user);
  if (found->second.users.empty()) news_.erase(found);
}

void PresenceOutbox::remove(std::uint32_t session) { news_.erase(session); }

void PresenceOutbox::resume(std::uint32_t session) {
  const auto found = news_.find(session);
  if (found != news_.end() && !found->second.queued) enqueue(session, found->second);
}

void PresenceOutbox::enqueue(std::uint32_t session, News& news) {
  news.queued = true;
  order_.push_back(session);
}

}  // namespace clamor::core
