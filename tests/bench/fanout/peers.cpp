#include "tests/bench/fanout/peers.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

namespace clamor::bench {
namespace {

constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::uint32_t handshakes_under_way = 64;
constexpr std::chrono::seconds upgrade_limit{30};
constexpr const char* upgrades = "connections are upgraded";

Descriptor connect_to(std::uint16_t port) {
  Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (socket.get() < 0) throw_errno("cannot make a socket");
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw_errno("cannot connect to port " + std::to_string(port));
  }
  return socket;
}

constexpr std::string_view upgrade_request =
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

}  // namespace

void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);  // the old one closes with `other`
  return *this;
}

Peers::Peers(OnMessage on_message, bool stamped)
    : on_message_{std::move(on_message)},
      epoll_{::epoll_create1(EPOLL_CLOEXEC)},
      read_(read_bytes),
      stamped_{stamped} {
  if (epoll_.get() < 0) throw_errno("cannot make an epoll instance");
}

void Peers::begin(std::uint16_t port, OnOpen on_open) {
  Connection& connection = all_.emplace_back();
  connection.socket = connect_to(port);
  const int on = 1;
  if (stamped_ &&
      ::setsockopt(connection.socket.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) {
    throw_errno("cannot ask for the times of arrivals");
  }
  connection.upgrade = std::make_unique<Upgrade>(Upgrade{std::move(on_open), {}});
  if (::send(connection.socket.get(), upgrade_request.data(), upgrade_request.size(),
             MSG_NOSIGNAL) != static_cast<ssize_t>(upgrade_request.size())) {
    throw_errno("cannot send the upgrade request");
  }
  watch(size() - 1, false, true);
}

void Peers::connect(std::uint16_t port, std::uint32_t count) {
  std::uint32_t open = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    begin(port, [&open](std::uint32_t) { ++open; });
    turn_until([&] { return i + 1 - open < handshakes_under_way; }, upgrade_limit, upgrades);
  }
  turn_until([&] { return open == count; }, upgrade_limit, upgrades);
}

void Peers::disconnect() {
  all_.clear();
  dirty_.clear();
}

void Peers::watch(std::uint32_t connection, bool for_room, bool added) {
  epoll_event event{};
  event.events = EPOLLIN | (for_room ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.u32 = connection;
  if (::epoll_ctl(epoll_.get(), added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                  all_[connection].socket.get(), &event) != 0) {
    throw_errno("epoll_ctl");
  }
  all_[connection].waits_for_room = for_room;
}

void Peers::send(std::uint32_t connection, Bytes payload) {
  Connection& to = all_[connection];
  mask_ = mask_ * 1664525U + 1013904223U;
  protocol::append_client_frame(protocol::Opcode::binary, payload, mask_, to.out);
  if (!to.dirty) {
    to.dirty = true;
    dirty_.push_back(connection);
  }
}

void Peers::turn(std::chrono::nanoseconds wait) {
  std::array<epoll_event, 512> events{};
  if (!dirty_.empty()) wait = {};
  const timespec limit{.tv_sec = wait / std::chrono::seconds{1},
                       .tv_nsec = (wait % std::chrono::seconds{1}).count()};
  const int ready =
      ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &limit, nullptr);
  if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(event.data.u32);
    if ((event.events & EPOLLOUT) != 0) flush(event.data.u32);
  }
  const std::vector<std::uint32_t> dirty = std::move(dirty_);
  dirty_.clear();
  for (const std::uint32_t connection : dirty) flush(connection);
}

void Peers::turn_until(const std::function<bool()>& done, std::chrono::seconds limit,
                       const std::string& what) {
  const auto deadline = Clock::now() + limit;
  while (!done()) {
    if (Clock::now() > deadline) {
      throw std::runtime_error("not within " + std::to_string(limit.count()) + " s: " + what);
    }
    turn(std::chrono::milliseconds{10});
  }
}

void Peers::receive(std::uint32_t connection) {
  Connection& from = all_[connection];
  const std::size_t got = read_from(from.socket);
  if (got == 0) return;
  std::span<std::byte> input{read_.data(), got};
  if (from.upgrade != nullptr) take_upgrade(connection, input);
  using Kind = protocol::FrameEvent::Kind;
  for (auto event = from.decoder.next(input); event.kind != Kind::need_more;
       event = from.decoder.next(input)) {
    if (event.kind == Kind::message) {
      on_message_(connection, event.payload);
    } else if (event.kind == Kind::close) {
      throw std::runtime_error("the server closed a session with code " +
                               std::to_string(event.close_code));
    } else if (event.kind == Kind::error) {
      throw std::runtime_error("the server sent a frame that is none: " +
                               std::string{name_of(event.error)});
    }
  }
}

/// Reads what is there, if anything, into read_.
std::size_t Peers::read_from(const Descriptor& socket) {
  iovec place{.iov_base = read_.data(), .iov_len = read_.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(timespec))> beside{};
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  if (stamped_) {
    message.msg_control = beside.data();
    message.msg_controllen = beside.size();
  }
  const ssize_t got = ::recvmsg(socket.get(), &message, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got <= 0) throw std::runtime_error("the server closed a connection");
  if (stamped_) {
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_TIMESTAMPNS) {
      throw std::runtime_error("the kernel did not say when bytes arrived");
    }
    timespec at{};
    std::memcpy(&at, CMSG_DATA(header), sizeof at);
    arrived_ns_ = at.tv_sec * 1'000'000'000LL + at.tv_nsec;
  }
  return static_cast<std::size_t>(got);
}

/// Takes the answer to the upgrade request off the input.
void Peers::take_upgrade(std::uint32_t connection, std::span<std::byte>& input) {
  static constexpr std::string_view end = "\r\n\r\n";
  std::string& answer = all_[connection].upgrade->answer;
  const std::size_t before = answer.size();
  answer.append(reinterpret_cast<const char*>(input.data()), input.size());
  const std::size_t at = answer.find(end);
  if (at == std::string::npos) {
    input = {};
    return;
  }
  if (!answer.starts_with("HTTP/1.1 101")) {
    throw std::runtime_error("the server refused the upgrade: " +
                             answer.substr(0, answer.find('\r')));
  }
  input = input.subspan(at + end.size() - before);
  const auto upgrade = std::move(all_[connection].upgrade);
  upgrade->on_open(connection);
}

void Peers::flush(std::uint32_t connection) {
  Connection& to = all_[connection];
  to.dirty = false;
  const ssize_t sent =
      ::send(to.socket.get(), to.out.data(), to.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) throw_errno("cannot send");
  if (sent > 0) to.out.erase(to.out.begin(), to.out.begin() + sent);
  if (to.waits_for_room != !to.out.empty()) watch(connection, !to.out.empty(), false);
}

}  // namespace clamor::bench
