#pragma once

#include "server/gateway/gateway.hpp"
#include "server/gateway/socket.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <cstdint>

namespace clamor::gateway {

/// What a poller tells of.
class PollerOwner {
 public:
  virtual ~PollerOwner() = default;
  /// The socket has input, has ended, or has room, of what is watched for; either may turn out not
  /// to be so. The session may be gone.
  virtual void on_ready(SessionId session, bool readable, bool writable) = 0;
};

/// Says which of many sockets are ready: an epoll instance of their own, which is one descriptor to
/// Asio. A watched socket costs no memory here, and nothing is armed again after an event
/// (level-triggered): an Asio socket with a pending wait takes 300 bytes, and a system call an
/// event. One I/O thread.
class Poller {
 public:
  /// Sockets that are told of at a time; the others that are ready follow, in their order.
  static constexpr std::uint32_t batch = 128;

  /// Begins to wait; `owner` must outlive it. Throws boost::system::system_error where the system
  /// has no descriptor left.
  Poller(boost::asio::io_context& io, PollerOwner& owner);

  /// Watches a socket for input until it is closed. False: the system cannot.
  [[nodiscard]] bool add(int socket, SessionId session);
  /// Changes what a socket is watched for.
  void watch(int socket, SessionId session, bool for_input, bool for_room);
  /// Waits no more, so that io may run out of work.
  void stop();

 private:
  void wait();
  void take_ready();

  PollerOwner& owner_;
  boost::asio::posix::basic_stream_descriptor<Executor> epoll_;
};

}  // namespace clamor::gateway
