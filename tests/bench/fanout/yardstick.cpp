#include "tests/bench/fanout/yardstick.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <vector>

namespace clamor::bench {
namespace {

constexpr std::string_view upgraded =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";  // for the key that Peers sends

class Yardstick {
 public:
  Yardstick(Descriptor listener, Writes writes)
      : listener_{std::move(listener)},
        epoll_{::epoll_create1(EPOLL_CLOEXEC)},
        writes_{writes},
        read_(64 * 1024) {
    watch(EPOLL_CTL_ADD, listener_.get(), nullptr, EPOLLIN);
  }

  void turn() {
    std::array<epoll_event, 512> events{};
    const int ready =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == nullptr) {
        accept_all();
        continue;
      }
      Member& member = *static_cast<Member*>(event.data.ptr);
      if ((event.events & EPOLLOUT) != 0) write_out(member);
      if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(member);
    }
    for (Member* const member : dirty_) write_out(*member);
    dirty_.clear();
  }

 private:
  struct Member {
    Descriptor socket;
    protocol::FrameDecoder decoder{protocol::Side::server, 64 * 1024};
    std::uint32_t group = 0;
    bool open = true;
    bool upgraded = false;
    bool dirty = false;
    bool waits_for_room = false;
    Buffer out;
  };

  void watch(int operation, int fd, Member* member, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = member;
    if (::epoll_ctl(epoll_.get(), operation, fd, &event) != 0) throw_errno("epoll_ctl");
  }

  void accept_all() {
    for (;;) {
      Descriptor socket{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (socket.get() < 0) return;
      const int on = 1;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      Member& member = *all_.emplace_back(std::make_unique<Member>());
      member.socket = std::move(socket);
      watch(EPOLL_CTL_ADD, member.socket.get(), &member, EPOLLIN);
    }
  }

  void receive(Member& member) {
    const ssize_t got = ::recv(member.socket.get(), read_.data(), read_.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return close(member);
    if (!member.upgraded) {
      // Clients send the request in one piece and wait: all of it is here.
      member.upgraded = true;
      append(member, std::as_bytes(std::span{upgraded}));
      return write_out(member);
    }
    std::span<std::byte> input{read_.data(), static_cast<std::size_t>(got)};
    using Kind = protocol::FrameEvent::Kind;
    for (auto event = member.decoder.next(input); event.kind != Kind::need_more;
         event = member.decoder.next(input)) {
      if (event.kind != Kind::message) return close(member);
      handle(member, event.payload);
    }
  }

  void handle(Member& member, Bytes payload) {
    frame_.clear();
    if (payload.size() == 5 && payload[0] == join_tag) {
      std::memcpy(&member.group, &payload[1], sizeof member.group);
      if (groups_.size() <= member.group) groups_.resize(member.group + 1);
      groups_[member.group].push_back(&member);
      protocol::append_server_frame(protocol::Opcode::binary, Bytes{&ready_tag, 1}, frame_);
      return offer(member);
    }
    protocol::append_server_frame(protocol::Opcode::binary, payload, frame_);
    for (Member* const other : groups_[member.group]) offer(*other);
  }

  void offer(Member& member) {
    if (!member.open) return;
    append(member, frame_);
    if (writes_ == Writes::one_per_member) {
      write_out(member);
    } else if (!member.dirty) {
      member.dirty = true;
      dirty_.push_back(&member);
    }
  }

  static void append(Member& member, Bytes bytes) {
    member.out.insert(member.out.end(), bytes.begin(), bytes.end());
  }

  void write_out(Member& member) {
    member.dirty = false;
    if (!member.open) return;
    const ssize_t sent =
        ::send(member.socket.get(), member.out.data(), member.out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return close(member);
    if (sent > 0) member.out.erase(member.out.begin(), member.out.begin() + sent);
    const bool waits = !member.out.empty();
    if (waits == member.waits_for_room) return;
    member.waits_for_room = waits;
    watch(EPOLL_CTL_MOD, member.socket.get(), &member,
          EPOLLIN | (waits ? static_cast<std::uint32_t>(EPOLLOUT) : 0U));
  }

  /// The member stays in its group's list, which may be in use right now.
  void close(Member& member) {
    member.open = false;
    member.socket = Descriptor{};
  }

  Descriptor listener_;
  Descriptor epoll_;
  Writes writes_;
  Buffer read_;
  Buffer frame_;
  std::vector<std::unique_ptr<Member>> all_;
  std::vector<std::vector<Member*>> groups_;
  std::vector<Member*> dirty_;
};

}  // namespace

void run_yardstick(Descriptor listener, Writes writes) {
  Yardstick yardstick{std::move(listener), writes};
  for (;;) yardstick.turn();
}

}  // namespace clamor::bench
