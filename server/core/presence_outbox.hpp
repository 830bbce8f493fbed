#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

namespace clamor::core {

/// Whom a gateway's sessions are still to be told about: each user once a session, however often
/// the status changes meanwhile; what is told is the status at that time. Bounded by what sessions
/// subscribe to; nothing for a session without news. Users go by the caller's numbers.
class PresenceOutbox {
 public:
  /// The session is to be told about the user.
  void add(std::uint32_t session, std::uint32_t user);
  /// No more.
  void remove(std::uint32_t session, std::uint32_t user);
  void remove(std::uint32_t session);

  /// Calls send(session, users) for the first `sessions_max` sessions that have news, in the order
  /// in which they got it. Where it returns false, the session is passed over until resume(); it
  /// must not change the outbox.
  template <class Send>
  void flush(std::size_t sessions_max, const Send& send);
  /// The session takes news again.
  void resume(std::uint32_t session);

  /// Whether flush() has something to do. Held-up sessions do not count.
  [[nodiscard]] bool is_due() const { return !order_.empty(); }
  /// At most so many sessions are due.
  [[nodiscard]] std::size_t due() const { return order_.size(); }

 private:
  struct News {
    std::vector<std::uint32_t> users;
    bool queued = false;  ///< In order_.
  };
  void enqueue(std::uint32_t session, News& news);

  std::unordered_map<std::uint32_t, News> news_;  ///< By session.
  std::deque<std::uint32_t> order_;               ///< Of sessions; some may have no news any more.
};

template <class Send>
void PresenceOutbox::flush(std::size_t sessions_max, const Send& send) {
  for (std::size_t told = 0; told < sessions_max && !order_.empty();) {
    const std::uint32_t session = order_.front();
    order_.pop_front();
    const auto found = news_.find(session);
    if (found == news_.end() || !found->second.queued) continue;
    found->second.queued = false;
    ++told;
    if (send(session, std::span<const std::uint32_t>{found->second.users})) news_.erase(found);
  }
}

}  // namespace clamor::core
