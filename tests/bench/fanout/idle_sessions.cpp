#include "tests/bench/fanout/idle_sessions.hpp"

#include "server/protocol/codec.hpp"
#include "server/token/token.hpp"
#include "tests/bench/fanout/server_process.hpp"

#include <algorithm>
#include <ctime>
#include <stdexcept>
#include <variant>
#include <vector>

namespace clamor::bench {
namespace {

constexpr std::chrono::seconds step_limit{120};
constexpr std::uint32_t channels_per_user = 5;
constexpr std::uint32_t members_per_channel = 10;
constexpr std::uint32_t window = 256;  ///< Requests under way at a time.

/// The sessions and what has come back so far.
class Sessions {
 public:
  Sessions(std::uint16_t port, std::uint32_t count)
      : port_{port},
        count_{count},
        received_(count, 0),
        peers_{
            [this](std::uint32_t connection, Bytes payload) { on_message(connection, payload); }} {}

  /// One user of no channel creates them all, then leaves.
  void create_channels() {
    peers_.connect(port_, 1);
    login(0, count_ + 1);
    const std::uint32_t channels = count_ * channels_per_user / members_per_channel;
    const std::uint32_t stride = count_ / members_per_channel;
    for (std::uint32_t channel = 0; channel < channels; ++channel) {
      wait_until([&] { return channel - created_ < window; }, "channels are created");
      // Five rounds over the users, each of another stride, so that a user meets 45 others.
      protocol::CreateChannel create{.channel = {channel + 1}};
      const std::uint32_t round = channel / stride;
      for (std::uint32_t member = 0; member < members_per_channel; ++member) {
        const std::uint32_t shifted = (channel + member * round) % stride;
        create.members.push_back({member * stride + shifted + 1});
      }
      say(0, create);
    }
    wait_until([&] { return created_ == channels; }, "all channels exist");
    peers_.disconnect();
    ready_ = 0;
  }
  void log_in_all() {
    for (std::uint32_t first = 0; first < count_; first += window) {
      const std::uint32_t end = std::min(first + window, count_);
      peers_.connect(port_, end - first);
      for (std::uint32_t i = first; i < end; ++i) login(i, i + 1);
      wait_until([&] { return ready_ == end; }, "sessions are in");
    }
  }
  /// User u sends once, in his channel of the first round: number u % stride.
  void everybody_sends_once() {
    const std::uint32_t stride = count_ / members_per_channel;
    const Buffer body(100, std::byte{'x'});
    for (std::uint32_t i = 0; i < count_; ++i) {
      wait_until([&] { return i - acked_ < window; }, "sends are acknowledged");
      say(i,
          protocol::Send{
              .channel = {i % stride + 1}, .client_message_id = ClientMessageId{1}, .body = body});
    }
    wait_until(
        [&] {
          return acked_ == count_ &&
                 std::all_of(received_.begin(), received_.end(),
                             [](std::uint32_t n) { return n == members_per_channel - 1; });
        },
        "everybody has sent and received");
  }
  void stay_idle(std::uint32_t seconds) {
    const auto end = Clock::now() + std::chrono::seconds{seconds};
    while (Clock::now() < end) peers_.turn(std::chrono::milliseconds{100});
  }

 private:
  void wait_until(const std::function<bool()>& done, const std::string& what) {
    peers_.turn_until(done, step_limit, what);
  }
  void login(std::uint32_t connection, std::uint64_t user) {
    const std::string token = token::mint(key_, UserId{user}, std::time(nullptr) + 3600);
    say(connection, protocol::Login{.token = token, .device = {1}});
  }
  template <class Message>
  void say(std::uint32_t connection, const Message& message) {
    out_.clear();
    protocol::encode(message, out_);
    peers_.send(connection, out_);
  }
  void on_message(std::uint32_t connection, Bytes payload) {
    const auto decoded = protocol::decode_server(payload);
    if (!decoded) throw std::runtime_error("the server sent a message that is none");
    if (const auto* const page = std::get_if<protocol::Page>(&*decoded)) {
      if (page->last) {
        ++ready_;
      } else {
        say(connection, protocol::NextPage{});
      }
    } else if (const auto* const frame = std::get_if<protocol::RecordFrame>(&*decoded)) {
      if (frame->record.kind == core::RecordKind::message) ++received_[connection];
    } else if (std::holds_alternative<protocol::Ack>(*decoded)) {
      ++acked_;
    } else if (std::holds_alternative<protocol::ChannelChanged>(*decoded)) {
      ++created_;
    } else if (const auto* const refused = std::get_if<protocol::Refused>(&*decoded)) {
      throw std::runtime_error("the server refused: " + std::string{refused->detail});
    }
  }

  std::uint16_t port_;
  std::uint32_t count_;
  std::vector<std::uint32_t> received_;
  Peers peers_;
  Buffer out_;
  token::Key key_ = token::derive_key(server_secret);
  std::uint32_t ready_ = 0;
  std::uint32_t created_ = 0;
  std::uint32_t acked_ = 0;
};

}  // namespace

IdleMemory measure_idle_sessions(const std::string& binary, std::uint32_t sessions,
                                 std::uint32_t idle_seconds) {
  if (sessions == 0 || sessions % members_per_channel != 0) {
    throw std::runtime_error("--idle-sessions takes a multiple of 10");
  }
  const ServerProcess server = ServerProcess::clamor(binary);
  IdleMemory memory{.sessions = sessions, .fresh_bytes = server.resident_bytes()};
  Sessions users{server.port(), sessions};
  users.create_channels();
  memory.channels_bytes = server.resident_bytes();
  users.log_in_all();
  users.everybody_sends_once();
  users.stay_idle(idle_seconds);
  memory.idle_bytes = server.resident_bytes();
  return memory;
}

}  // namespace clamor::bench
