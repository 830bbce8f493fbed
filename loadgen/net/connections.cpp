#include "loadgen/net/connections.hpp"

#include "loadgen/net/handshake.hpp"
#include "server/base/assert.hpp"
#include "server/host/clock.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <utility>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t read_bytes = 256 * 1024;
constexpr int events_max = 1024;
constexpr Duration linger_time = 2s;
constexpr std::uint32_t source_addresses = 8;  // x 28,000 ephemeral ports a worker

// epoll_data: a slot with its generation, or a watched or lingering descriptor.
constexpr std::uint64_t descriptor_bit = 1ULL << 63U;
constexpr std::uint64_t tag_of(std::uint32_t slot, std::uint32_t generation) {
  return (static_cast<std::uint64_t>(generation & 0x7FFFFFFFU) << 32U) | slot;
}

std::string error_text(int code) { return std::system_category().message(code); }

/// IPv4 loopback 127.(16 + group).(1..8).1: each address has its own ephemeral ports.
sockaddr_in source_address(std::uint32_t group, std::uint32_t slot) {
  sockaddr_in source{};
  source.sin_family = AF_INET;
  const std::uint32_t middle = 16 + group % 200;
  source.sin_addr.s_addr =
      htonl((127U << 24U) | (middle << 16U) | ((1 + slot % source_addresses) << 8U) | 1U);
  return source;
}

void add_to_epoll(int epoll, int fd, std::uint32_t events, std::uint64_t tag, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(epoll, operation, fd, &event) != 0) {
    throw std::system_error{errno, std::system_category(), "epoll_ctl"};
  }
}

}  // namespace

Connections::Connections(std::vector<Target> targets, std::uint32_t slots,
                         std::uint32_t source_group, ConnectionEvents& events)
    : targets_{std::move(targets)},
      source_group_{source_group},
      events_{events},
      epoll_{epoll_create1(EPOLL_CLOEXEC)},
      links_(slots),
      next_sweep_{monotonic_now()},
      read_buffer_(read_bytes),
      ready_(events_max * sizeof(epoll_event)) {
  if (!epoll_) throw std::system_error{errno, std::system_category(), "epoll_create1"};
  for (const Target& target : targets_) {
    requests_.push_back(handshake_request(target));
    if (target.trust != nullptr) cipher_buffer_.resize(read_bytes - tls::record_bytes_max);
  }
}

Connections::~Connections() {
  for (const auto& [fd, deadline] : lingering_) ::close(fd);
}

// --- opening and closing -------------------------------------------------------------------------

void Connections::open(std::uint32_t slot, std::uint16_t target) {
  Link& link = links_[slot];
  CLAMOR_ASSERT(link.state == State::free && target < targets_.size());
  link.target = target;
  ++link.generation;
  link.state = State::connecting;
  ++opening_;
  link.decoder = {protocol::Side::client,
                  static_cast<std::uint32_t>(protocol::server_message_bytes_max)};
  link.socket.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!link.socket) {
    failures_.push_back({slot, link.generation, "socket: " + error_text(errno)});
    return;
  }
  const int fd = link.socket.get();
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const Target& server = targets_[target];
  if (server.loopback()) {
    // The port is chosen at connect, when the whole 4-tuple is known; else 28,000 in all is the
    // cap.
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const sockaddr_in source = source_address(source_group_, slot);
    ::bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source);
  }
  const int failed =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&server.address), sizeof server.address);
  if (failed != 0 && errno != EINPROGRESS) {
    failures_.push_back({slot, link.generation, "connect: " + error_text(errno)});
    return;
  }
  add_to_epoll(epoll_.get(), fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
               tag_of(slot, link.generation), EPOLL_CTL_ADD);
}

Descriptor Connections::take_socket(std::uint32_t slot) {
  Link& link = links_[slot];
  if (link.state != State::open && link.state != State::free) {
    --opening_;
    half_handshakes_.erase(slot);
  }
  if (link.secure != nullptr) {
    if (link.state == State::open) link.secure->ticket = link.secure->connection.ticket();
    link.secure->connection = {};
    drop(link.secure->cipher);
  }
  link.state = State::free;
  ++link.generation;
  link.stuck = false;
  drop(link.out);
  return std::move(link.socket);
}

void Connections::close(std::uint32_t slot) {
  Link& link = links_[slot];
  if (link.state == State::free) return;
  if (link.state == State::open && !link.stuck) {
    append_frame(link, protocol::Opcode::close,
                 protocol::close_payload(protocol::CloseCode::normal, {}));
    if (write_out(link)) {
      linger(take_socket(slot));
      return;
    }
  }
  take_socket(slot).reset();
}

void Connections::reset(std::uint32_t slot) {
  if (links_[slot].state == State::free) return;
  const Descriptor socket = take_socket(slot);
  const struct linger hard { .l_onoff = 1, .l_linger = 0 };
  if (socket) setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

bool Connections::is_open(std::uint32_t slot) const { return links_[slot].state == State::open; }

void Connections::linger(Descriptor socket) {
  // What the server still sends is read and thrown away: closing over unread data would reset the
  // connection and might take our close frame with it.
  const int fd = socket.release();
  add_to_epoll(epoll_.get(), fd, EPOLLIN | EPOLLRDHUP,
               descriptor_bit | static_cast<std::uint64_t>(fd), EPOLL_CTL_MOD);
  lingering_[fd] = monotonic_now() + linger_time;
}

void Connections::drain_lingering(int fd) {
  for (;;) {
    const ssize_t got = ::recv(fd, read_buffer_.data(), read_buffer_.size(), 0);
    if (got > 0) continue;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    ::close(fd);
    lingering_.erase(fd);
    return;
  }
}

void Connections::sweep_lingering() {
  const Instant now = monotonic_now();
  if (now < next_sweep_) return;
  next_sweep_ = now + 250ms;
  std::erase_if(lingering_, [now](const auto& entry) {
    if (entry.second > now) return false;
    ::close(entry.first);
    return true;
  });
}

void Connections::fail(std::uint32_t slot, std::string why) {
  ++counters_.handshakes_failed;
  take_socket(slot).reset();
  events_.on_failed(slot, why);
}

void Connections::ended(std::uint32_t slot, std::uint16_t close_code, const std::string& reason) {
  take_socket(slot).reset();
  events_.on_closed(slot, close_code, reason);
}

// --- the loop ------------------------------------------------------------------------------------

void Connections::watch(int fd, std::function<void()> ready) {
  watched_[fd] = std::move(ready);
  add_to_epoll(epoll_.get(), fd, EPOLLIN, descriptor_bit | static_cast<std::uint64_t>(fd),
               EPOLL_CTL_ADD);
}

void Connections::wait(Duration longest) {
  if (!failures_.empty()) longest = Duration{};
  const std::int64_t ns = std::max<std::int64_t>(to_ns(longest), 0);
  const timespec timeout{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  auto* const events = reinterpret_cast<epoll_event*>(ready_.data());
  ready_count_ = epoll_pwait2(epoll_.get(), events, events_max, &timeout, nullptr);
  if (ready_count_ < 0 && errno == ENOSYS) {  // before Linux 5.11
    ready_count_ =
        epoll_wait(epoll_.get(), events, events_max, static_cast<int>((ns + 999'999) / 1'000'000));
  }
  if (ready_count_ < 0 && errno != EINTR) {
    throw std::system_error{errno, std::system_category(), "epoll_pwait2"};
  }
}

void Connections::dispatch() {
  for (Failure& failure : std::exchange(failures_, {})) {
    const Link& link = links_[failure.slot];
    if (link.generation != failure.generation) continue;
    if (link.stuck) {
      ended(failure.slot, 0);
    } else {
      fail(failure.slot, std::move(failure.why));
    }
  }
  const int count = std::exchange(ready_count_, 0);
  for (int i = 0; i < count; ++i) {
    epoll_event event;
    std::memcpy(&event, ready_.data() + static_cast<std::size_t>(i) * sizeof event, sizeof event);
    const std::uint64_t tag = event.data.u64;
    if ((tag & descriptor_bit) == 0) {
      const auto slot = static_cast<std::uint32_t>(tag);
      // A handler before this one may have closed the slot, or closed and reopened it.
      const Link& link = links_[slot];
      if (link.state != State::free && tag == tag_of(slot, link.generation)) {
        on_ready(slot, event.events);
      }
      continue;
    }
    const auto fd = static_cast<int>(tag & ~descriptor_bit);
    if (const auto found = watched_.find(fd); found != watched_.end()) {
      found->second();
    } else if (lingering_.contains(fd)) {
      drain_lingering(fd);
    }
  }
  sweep_lingering();
}

void Connections::on_ready(std::uint32_t slot, std::uint32_t epoll_events) {
  Link& link = links_[slot];
  if (link.state == State::connecting) {
    if ((epoll_events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    const std::uint32_t generation = link.generation;
    finish_connect(slot);
    if (link.generation != generation) return;
    // What has arrived already (a refusal, an end) brings no further edge: read on.
  }
  if ((epoll_events & EPOLLOUT) != 0 && link.queued_bytes() != 0) mark_dirty(slot);
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) read(slot);
}

void Connections::finish_connect(std::uint32_t slot) {
  Link& link = links_[slot];
  int code = 0;
  socklen_t size = sizeof code;
  getsockopt(link.socket.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  if (code != 0) return fail(slot, "connect: " + error_text(code));
  if (targets_[link.target].trust != nullptr) return begin_tls(slot);
  begin_handshake(slot);
}

void Connections::begin_handshake(std::uint32_t slot) {
  Link& link = links_[slot];
  link.state = State::handshaking;
  const auto request = std::as_bytes(std::span{requests_[link.target]});
  link.out.assign(request.begin(), request.end());
  // A fresh socket takes 200 bytes.
  if (!write_out(link) || link.queued_bytes() != 0) fail(slot, "handshake: " + error_text(errno));
}

std::size_t Connections::memory_bytes() const {
  return links_.capacity() * sizeof(Link) + read_buffer_.capacity() + cipher_buffer_.capacity() +
         ready_.capacity();
}

}  // namespace clamor::loadgen
