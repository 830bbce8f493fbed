#include "server/gateway/poller.hpp"

#include "server/base/assert.hpp"

#include <boost/system/system_error.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <sys/epoll.h>

namespace clamor::gateway {
namespace {

using boost::system::error_code;

int make_epoll() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) {
    throw boost::system::system_error{{errno, boost::system::system_category()}, "epoll"};
  }
  return epoll;
}

epoll_event event_of(SessionId session, bool for_input, bool for_room) {
  epoll_event event{};
  event.events = (for_input ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
                 (for_room ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.u64 = std::uint64_t{session.slot} << 32U | session.generation;
  return event;
}

}  // namespace

Poller::Poller(boost::asio::io_context& io, PollerOwner& owner)
    : owner_{owner}, epoll_{io.get_executor(), make_epoll()} {
  wait();
}

bool Poller::add(int socket, SessionId session) {
  epoll_event event = event_of(session, true, false);
  return ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket, &event) == 0;
}

void Poller::watch(int socket, SessionId session, bool for_input, bool for_room) {
  epoll_event event = event_of(session, for_input, for_room);
  CLAMOR_ASSERT(::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, socket, &event) == 0);
}

void Poller::stop() {
  error_code ignored;
  epoll_.cancel(ignored);
}

void Poller::wait() {
  epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const error_code& ec) {
    if (ec) return;
    take_ready();
    wait();
  });
}

void Poller::take_ready() {
  std::array<epoll_event, batch> events{};
  const int ready =
      ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    constexpr std::uint32_t over = EPOLLERR | EPOLLHUP;
    const SessionId session{static_cast<std::uint32_t>(event.data.u64 >> 32U),
                            static_cast<std::uint32_t>(event.data.u64)};
    owner_.on_ready(session, (event.events & (EPOLLIN | over)) != 0,
                    (event.events & (EPOLLOUT | over)) != 0);
  }
}

}  // namespace clamor::gateway
