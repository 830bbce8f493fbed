#pragma once

#include "server/protocol/codec.hpp"
#include "server/protocol/message.hpp"
#include "server/protocol/websocket_frame.hpp"
#include "tests/integration/server_process.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

namespace clamor::test {

/// A record as a device keeps it.
struct Kept {
  core::Record record;
  std::string body;
};

/// A small blocking client on server/protocol: for tests that want to see every message. Whatever
/// does not come within ten seconds throws.
class TestClient {
 public:
  static constexpr std::chrono::seconds patience{10};

  /// `receive_buffer_bytes` of the socket; 0: as the system has it.
  explicit TestClient(std::uint16_t port, int receive_buffer_bytes = 0) {
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval longest{.tv_sec = patience.count(), .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
    if (receive_buffer_bytes > 0) {
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                 sizeof receive_buffer_bytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
  }
  ~TestClient() {
    if (socket_ >= 0) ::close(socket_);
  }
  TestClient(TestClient&& other) noexcept
      : socket_{std::exchange(other.socket_, -1)},
        decoder_{std::move(other.decoder_)},
        arrived_{std::move(other.arrived_)} {}
  TestClient& operator=(TestClient&&) = delete;

  /// Does the WebSocket handshake.
  void upgrade() {
    write_all(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      char c = 0;
      wait_readable();
      if (::recv(socket_, &c, 1, 0) != 1) throw std::runtime_error("no handshake: " + head);
      head.push_back(c);
    }
    if (head.find(" 101 ") == std::string::npos) throw std::runtime_error("handshake: " + head);
  }

  /// A plain HTTP GET on a connection of its own; the whole answer.
  static std::string get(std::uint16_t port, const std::string& target) {
    TestClient client{port};
    client.write_all("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    std::string answer;
    std::array<char, 4096> buffer{};
    for (;;) {
      client.wait_readable();
      const ssize_t got = ::recv(client.socket_, buffer.data(), buffer.size(), 0);
      if (got <= 0) return answer;
      answer.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }

  template <class Message>
  void send(const Message& message) {
    std::vector<std::byte> payload;
    protocol::encode(message, payload);
    send_payload(payload);
  }
  void send_payload(std::span<const std::byte> payload) {
    std::vector<std::byte> frame;
    protocol::append_client_frame(protocol::Opcode::binary, payload, 0x5A17C3E9U, frame);
    write_all({reinterpret_cast<const char*>(frame.data()), frame.size()});
  }

  /// A message of the server, with the bytes that its views point into.
  struct Arrived {
    std::vector<std::byte> bytes;
    protocol::ServerMessage message;
  };
  struct Closed {
    std::uint16_t code = 0;  ///< 0: the connection ended without a close frame.
    std::string reason;
  };

  /// The next message. Throws where the connection closes instead.
  Arrived receive() {
    auto next = receive_any();
    if (const auto* closed = std::get_if<Closed>(&next)) {
      throw std::runtime_error("closed with " + std::to_string(closed->code) + " " +
                               closed->reason);
    }
    return std::move(std::get<Arrived>(next));
  }
  /// The next message, which must be a T. Throws else.
  template <class T>
  T expect() {
    last_ = receive();
    const T* const found = std::get_if<T>(&last_.message);
    if (found == nullptr) {
      throw std::runtime_error("another message than expected: " +
                               std::to_string(last_.message.index()) + refusal_text());
    }
    return *found;
  }
  /// Reads on until the connection closes.
  Closed expect_close() {
    for (;;) {
      auto next = receive_any();
      if (const auto* closed = std::get_if<Closed>(&next)) return *closed;
    }
  }
  /// Whether nothing at all arrives within `time`.
  bool is_silent(std::chrono::milliseconds time) {
    if (!arrived_.empty()) return false;
    pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
    return poll(&ready, 1, static_cast<int>(time.count())) == 0;
  }
  /// Ends the connection by RST.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(std::exchange(socket_, -1));
  }
  void write_all(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (written <= 0) throw std::runtime_error("the server does not read");
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

 private:
  using Next = std::variant<Arrived, Closed>;

  void wait_readable() const {
    pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, static_cast<int>(std::chrono::milliseconds{patience}.count())) != 1) {
      throw std::runtime_error("nothing came in time");
    }
  }

  Next receive_any() {
    while (arrived_.empty()) {
      wait_readable();
      std::array<std::byte, 65536> buffer{};
      const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (got <= 0) return Closed{};
      std::span<std::byte> input{buffer.data(), static_cast<std::size_t>(got)};
      take(input);
    }
    Next next = std::move(arrived_.front());
    arrived_.pop_front();
    return next;
  }

  void take(std::span<std::byte> input) {
    for (;;) {
      const protocol::FrameEvent event = decoder_.next(input);
      switch (event.kind) {
        case protocol::FrameEvent::Kind::need_more:
          return;
        case protocol::FrameEvent::Kind::message: {
          Arrived arrived{{event.payload.begin(), event.payload.end()}, {}};
          arrived.message = protocol::decode_server(arrived.bytes).value();
          arrived_.emplace_back(std::move(arrived));
          break;
        }
        case protocol::FrameEvent::Kind::close:
          arrived_.emplace_back(
              Closed{event.close_code,
                     {reinterpret_cast<const char*>(event.payload.data()), event.payload.size()}});
          return;
        case protocol::FrameEvent::Kind::error:
          throw std::runtime_error("the server sent a malformed frame");
        default:
          break;
      }
    }
  }

  [[nodiscard]] std::string refusal_text() const {
    const auto* const refused = std::get_if<protocol::Refused>(&last_.message);
    if (refused == nullptr) return "";
    return " refused with " + std::to_string(static_cast<int>(refused->code)) + " " +
           std::string{refused->detail};
  }

  int socket_ = -1;
  protocol::FrameDecoder decoder_{protocol::Side::client, 4 * 1024 * 1024};
  std::deque<Next> arrived_;
  Arrived last_;
};

/// A device that behaves: keeps what it receives, knows its positions, checks that every channel's
/// ids come densely within its intervals.
class TestDevice {
 public:
  TestDevice(std::uint64_t user, std::uint32_t device) : user_{user}, device_{device} {}
  /// From its next connection on little is received that it does not read.
  void receive_little() { receive_buffer_bytes_ = 4096; }

  /// Connects, logs in with its positions and catches up. Returns the number of pages.
  std::size_t come_online(std::uint16_t port) {
    connect(port);
    return catch_up();
  }
  /// Connects and logs in; pages follow. Where nodes are still on their way up it comes again, and
  /// sooner than it is asked to.
  void connect(std::uint16_t port) {
    const auto until = std::chrono::steady_clock::now() + TestClient::patience;
    for (;;) {
      client_.emplace(port, receive_buffer_bytes_);
      client_->upgrade();
      const std::string token = token_of(user_);
      client_->send(login(token));
      const TestClient::Arrived arrived = client_->receive();
      const auto* const refused = std::get_if<protocol::Refused>(&arrived.message);
      if (refused == nullptr) {
        const auto& accepted = std::get<protocol::LoginAccepted>(arrived.message);
        if (accepted.user != UserId{user_}) throw std::runtime_error("logged in as another user");
        return;
      }
      if (refused->code != protocol::RefusalCode::unavailable ||
          std::chrono::steady_clock::now() > until) {
        throw std::runtime_error("the login was refused with " +
                                 std::to_string(static_cast<int>(refused->code)));
      }
      if (refused->retry_after <= Duration{}) throw std::runtime_error("not told when to return");
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }
  [[nodiscard]] protocol::Login login(std::string_view token) const {
    protocol::Login login{.token = token,
                          .device = {device_},
                          .device_incarnation = 1,
                          .queue_position = queue_position_,
                          .positions = {},
                          .wants_unread = wants_unread_};
    for (const auto& [channel, at] : positions_) {
      login.positions.push_back({{channel}, {1, {at}}});
    }
    return login;
  }
  std::size_t catch_up() {
    for (std::size_t pages = 1;; ++pages) {
      if (take_page()) return pages;
      client_->send(protocol::NextPage{});
    }
  }
  /// Takes one page; whether it was the last.
  bool take_page() {
    const TestClient::Arrived arrived = client_->receive();
    return take(std::get<protocol::Page>(arrived.message));
  }
  bool take(const protocol::Page& page) {
    queue_position_ = page.queue_position;
    for (const protocol::PageItem& item : page.items) {
      if (const auto* record = std::get_if<protocol::RecordFrame>(&item)) keep(*record);
      if (const auto* start = std::get_if<protocol::IntervalStart>(&item)) {
        positions_[start->channel.value] = start->join.value - 1;
      }
      if (const auto* gone = std::get_if<protocol::HistoryTruncated>(&item)) lack(*gone);
    }
    return page.last;
  }
  /// Sends the channel's next message and waits for its ack.
  MessageId say(std::uint64_t channel, std::string_view text) {
    send(channel, ++sent_[channel], text);
    return take_ack(channel);
  }
  /// Sends the channel's next record about `target` and waits for its ack.
  MessageId say_about(std::uint64_t channel, core::RecordKind kind, std::uint64_t target,
                      std::string_view text = {}, const std::vector<std::uint64_t>& mentions = {}) {
    send_about(channel, ++sent_[channel], kind, target, text, mentions);
    return take_ack(channel);
  }
  void send_about(std::uint64_t channel, std::uint64_t client_message_id, core::RecordKind kind,
                  std::uint64_t target, std::string_view text = {},
                  const std::vector<std::uint64_t>& mentions = {}) {
    protocol::Send send{
        {channel}, {client_message_id}, std::as_bytes(std::span{text}), kind, {target}, {}};
    for (const std::uint64_t user : mentions) send.mentions.push_back({user});
    client_->send(send);
  }
  /// The refusal that the next message is.
  protocol::RefusalCode take_refusal() { return client_->expect<protocol::Refused>().code; }
  void send(std::uint64_t channel, std::uint64_t client_message_id, std::string_view text) {
    client_->send(protocol::Send{{channel}, {client_message_id}, std::as_bytes(std::span{text})});
  }
  /// Reads until an ack comes; live records before it are kept.
  MessageId take_ack(std::uint64_t channel) {
    for (;;) {
      const TestClient::Arrived arrived = client_->receive();
      if (const auto* record = std::get_if<protocol::RecordFrame>(&arrived.message)) {
        keep(*record);
        continue;
      }
      const auto* const ack = std::get_if<protocol::Ack>(&arrived.message);
      if (ack == nullptr || ack->channel != ChannelId{channel}) {
        throw std::runtime_error("expected an ack, got " + std::to_string(arrived.message.index()));
      }
      hold(channel, ack->message_id.value);
      return ack->message_id;
    }
  }
  /// Reads until a send is answered; live records before that are kept. False: it was refused.
  bool take_answer() {
    for (;;) {
      const TestClient::Arrived arrived = client_->receive();
      if (std::holds_alternative<protocol::Refused>(arrived.message)) return false;
      if (const auto* record = std::get_if<protocol::RecordFrame>(&arrived.message)) {
        keep(*record);
      } else if (const auto* ack = std::get_if<protocol::Ack>(&arrived.message)) {
        // Where acks wait for queues, the own record came before.
        if (ack->message_id.value > positions_[ack->channel.value]) {
          hold(ack->channel.value, ack->message_id.value);
        }
        return true;
      } else if (const auto* page = std::get_if<protocol::Page>(&arrived.message)) {
        // It read too slowly for live records.
        if (!take(*page)) client_->send(protocol::NextPage{});
      }
    }
  }
  /// Sends the channel's next message and does not wait for its ack.
  void say_without_waiting(std::uint64_t channel, std::string_view text) {
    send(channel, ++sent_[channel], text);
  }
  /// Handles one message of the server: a live record, a page, an ack, or the answer to a change.
  void take_any() {
    const TestClient::Arrived arrived = client_->receive();
    if (const auto* record = std::get_if<protocol::RecordFrame>(&arrived.message)) {
      keep(*record);
    } else if (const auto* page = std::get_if<protocol::Page>(&arrived.message)) {
      ++pages_;
      if (!take(*page)) client_->send(protocol::NextPage{});
    } else if (const auto* ack = std::get_if<protocol::Ack>(&arrived.message)) {
      // A page may have brought the own record before.
      if (ack->message_id.value > positions_[ack->channel.value] || pages_ == 0) {
        hold(ack->channel.value, ack->message_id.value);
      }
      acknowledged_[{ack->channel.value, ack->client_message_id.value}] = ack->message_id.value;
    } else if (!std::holds_alternative<protocol::ChannelChanged>(arrived.message)) {
      throw std::runtime_error("unexpected message " + std::to_string(arrived.message.index()));
    }
  }
  /// Handles what has arrived.
  void take_all() {
    while (!client_->is_silent(std::chrono::milliseconds{0})) take_any();
  }
  /// Message ids of acks that take_any() took, by (channel, client_message_id).
  [[nodiscard]] const auto& acknowledged() const { return acknowledged_; }
  /// Pages that take_any() took.
  [[nodiscard]] std::size_t pages() const { return pages_; }
  [[nodiscard]] std::uint64_t sent(std::uint64_t channel) { return sent_[channel]; }
  /// Reads one live record and keeps it.
  Kept hear() {
    const TestClient::Arrived arrived = client_->receive();
    return keep(std::get<protocol::RecordFrame>(arrived.message));
  }
  MessageId create(std::uint64_t channel, const std::vector<std::uint64_t>& members) {
    protocol::CreateChannel create{.channel = {channel}, .members = {}};
    for (const std::uint64_t member : members) create.members.push_back({member});
    client_->send(create);
    return take_changed();
  }
  MessageId take_changed() {
    for (;;) {
      const TestClient::Arrived arrived = client_->receive();
      if (const auto* record = std::get_if<protocol::RecordFrame>(&arrived.message)) {
        keep(*record);
        continue;
      }
      const auto* const changed = std::get_if<protocol::ChannelChanged>(&arrived.message);
      if (changed == nullptr) throw std::runtime_error("expected ChannelChanged");
      return changed->message_id;
    }
  }
  /// From the next login on it is told what its user has not read.
  void want_unread() { wants_unread_ = true; }
  /// Reads until it is told; live records before that are kept.
  std::vector<protocol::UnreadState> take_unread() {
    for (;;) {
      const TestClient::Arrived arrived = client_->receive();
      if (const auto* record = std::get_if<protocol::RecordFrame>(&arrived.message)) {
        keep(*record);
        continue;
      }
      const auto* const unread = std::get_if<protocol::Unread>(&arrived.message);
      if (unread == nullptr) throw std::runtime_error("expected Unread");
      return unread->channels;
    }
  }
  void read(std::uint64_t channel, std::uint64_t up_to) {
    client_->send(protocol::Read{{channel}, {up_to}});
  }
  void acknowledge() {
    protocol::DeviceAck ack{.queue_position = queue_position_, .positions = {}};
    for (const auto& [channel, at] : positions_) ack.positions.push_back({{channel}, {1, {at}}});
    client_->send(ack);
  }
  void go_offline() { client_.reset(); }
  void vanish() {
    client_->reset();
    client_.reset();
  }

  [[nodiscard]] TestClient& client() { return *client_; }
  [[nodiscard]] const std::vector<Kept>& kept(std::uint64_t channel) { return kept_[channel]; }
  [[nodiscard]] std::vector<std::uint64_t> ids(std::uint64_t channel) {
    std::vector<std::uint64_t> ids;
    for (const Kept& record : kept_[channel]) ids.push_back(record.record.id.value);
    return ids;
  }
  /// Ids that it was told it can have no more.
  [[nodiscard]] const std::vector<std::uint64_t>& expired(std::uint64_t channel) {
    return expired_[channel];
  }
  [[nodiscard]] std::uint64_t position(std::uint64_t channel) { return positions_[channel]; }
  [[nodiscard]] std::uint64_t user() const { return user_; }

 private:
  Kept keep(const protocol::RecordFrame& frame) {
    const std::uint64_t channel = frame.record.channel.value;
    Kept kept{frame.record, {reinterpret_cast<const char*>(frame.body.data()), frame.body.size()}};
    if (frame.record.kind == core::RecordKind::join && names_me(kept.body)) {
      positions_[channel] = std::max(positions_[channel], frame.record.id.value - 1);
    }
    hold(channel, frame.record.id.value);
    kept_[channel].push_back(kept);
    return kept;
  }
  void lack(const protocol::HistoryTruncated& gone) {
    for (MessageId id = gone.from; id <= gone.to; ++id) {
      hold(gone.channel.value, id.value);
      expired_[gone.channel.value].push_back(id.value);
    }
  }
  void hold(std::uint64_t channel, std::uint64_t id) {
    std::uint64_t& at = positions_[channel];
    if (id != at + 1) {
      throw std::runtime_error("channel " + std::to_string(channel) + " goes from " +
                               std::to_string(at) + " to " + std::to_string(id));
    }
    at = id;
  }
  [[nodiscard]] bool names_me(const std::string& body) const {
    for (std::size_t at = 0; at + 8 <= body.size(); at += 8) {
      std::uint64_t user = 0;
      for (std::size_t i = 8; i-- > 0;) {
        user = user << 8U | static_cast<unsigned char>(body[at + i]);
      }
      if (user == user_) return true;
    }
    return false;
  }

  std::uint64_t user_;
  std::uint32_t device_;
  int receive_buffer_bytes_ = 0;
  std::size_t pages_ = 0;
  bool wants_unread_ = false;
  std::optional<TestClient> client_;
  std::map<std::uint64_t, std::uint64_t> positions_;
  std::map<std::uint64_t, std::uint64_t> sent_;
  std::map<std::uint64_t, std::vector<Kept>> kept_;
  std::map<std::uint64_t, std::vector<std::uint64_t>> expired_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> acknowledged_;
  QueueSequence queue_position_;
};

/// All ids from `first` to `last`.
inline std::vector<std::uint64_t> ids_from(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> ids;
  for (std::uint64_t id = first; id <= last; ++id) ids.push_back(id);
  return ids;
}

/// One sample of a server's /metrics, by its name with labels.
inline double metric(std::uint16_t port, const std::string& name) {
  const std::string answer = TestClient::get(port, "/metrics");
  const std::size_t at = answer.find("\n" + name + " ");
  if (at == std::string::npos) throw std::runtime_error("no metric " + name);
  return std::stod(answer.substr(at + name.size() + 2));
}
/// Summed over the server's nodes.
inline double metric(const ServerProcess& server, const std::string& name) {
  double sum = 0;
  for (const std::uint16_t port : server.ports()) sum += metric(port, name);
  return sum;
}

/// A device of each user 1 to `users` that never says it holds anything: for it the queues keep
/// every entry, whatever the users' other devices acknowledge.
inline void hold_queues(std::uint16_t port, std::uint64_t users) {
  for (std::uint64_t user = 1; user <= users; ++user) {
    TestDevice device{user, 99};
    device.come_online(port);
    device.go_offline();
  }
}

/// Waits, in bounded time, until every durable record's queue entries are applied.
inline void wait_for_queues(std::uint16_t port) {
  const auto until = std::chrono::steady_clock::now() + TestClient::patience;
  while (metric(port, "clamor_fan_out_lag_records") != 0) {
    if (std::chrono::steady_clock::now() > until) throw std::runtime_error("the queues lag");
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}
inline void wait_for_queues(const ServerProcess& server) {
  for (const std::uint16_t port : server.ports()) wait_for_queues(port);
}

}  // namespace clamor::test
