// Ten thousand logins, as fast as they can be sent: an answer for each, whatever it is, and those
// who are there hardly notice.

#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace clamor::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t logins = 10'000;
constexpr std::size_t at_once = 700;

/// One attempt: connects, sends handshake and login in one go, waits for what it leads to.
class Attempt {
 public:
  enum class Outcome : std::uint8_t { under_way, accepted, turned_away, refused, broken };

  Attempt(std::uint16_t port, const std::string& said) : said_{said} {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int result = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (result != 0 && errno != EINPROGRESS) outcome_ = Outcome::broken;
  }
  ~Attempt() {
    if (fd_ < 0) return;
    const linger at_end{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_end, sizeof at_end);  // no TIME_WAIT of thousands
    close(fd_);
  }
  Attempt(Attempt&& other) noexcept
      : said_{std::move(other.said_)},
        heard_{std::move(other.heard_)},
        fd_{std::exchange(other.fd_, -1)},
        outcome_{other.outcome_} {}
  Attempt& operator=(Attempt&& other) noexcept {
    std::swap(said_, other.said_);
    std::swap(heard_, other.heard_);
    std::swap(fd_, other.fd_);
    std::swap(outcome_, other.outcome_);
    return *this;
  }

  [[nodiscard]] pollfd wants() const {
    return {
        .fd = fd_, .events = static_cast<short>(said_.empty() ? POLLIN : POLLOUT), .revents = 0};
  }
  Outcome go_on() {
    if (outcome_ != Outcome::under_way) return outcome_;
    if (!said_.empty()) {
      const ssize_t sent = send(fd_, said_.data(), said_.size(), MSG_NOSIGNAL);
      if (sent > 0) said_.erase(0, static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) outcome_ = Outcome::broken;
      return outcome_;
    }
    std::array<char, 2048> buffer{};
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got > 0) heard_.append(buffer.data(), static_cast<std::size_t>(got));
    const bool ended = got == 0 || (got < 0 && errno != EAGAIN);
    const std::size_t head = heard_.find("\r\n\r\n");
    if (head != std::string::npos) {
      if (heard_.find(" 503 ") < head) return outcome_ = Outcome::turned_away;
      // Behind the handshake the first frame: two bytes, or four, then the message's type.
      const std::string_view frame = std::string_view{heard_}.substr(head + 4);
      const std::size_t type = frame.size() > 1 && frame[1] == 126 ? 4 : 2;
      if (frame.size() > type) {
        const auto kind = static_cast<std::uint8_t>(frame[type]);
        outcome_ = kind == 0x81   ? Outcome::accepted
                   : kind == 0x86 ? Outcome::refused
                                  : Outcome::broken;
        return outcome_;
      }
    }
    if (ended) outcome_ = Outcome::broken;
    return outcome_;
  }

 private:
  std::string said_;  ///< Still to be sent.
  std::string heard_;
  int fd_ = -1;
  Outcome outcome_ = Outcome::under_way;
};

std::string handshake_and_login(std::uint64_t user) {
  std::string said =
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  std::vector<std::byte> payload;
  std::vector<std::byte> frame;
  const std::string token = token_of(user);
  protocol::encode(TestDevice{user, 1}.login(token), payload);
  protocol::append_client_frame(protocol::Opcode::binary, payload, 0x5A17C3E9U, frame);
  return said.append(reinterpret_cast<const char*>(frame.data()), frame.size());
}

/// Turns of any length may be too long for a moment: it comes again.
void log_in(TestDevice& device, std::uint16_t port) {
  const auto until = Clock::now() + 3 * TestClient::patience;
  for (;;) {
    try {
      device.come_online(port);
      return;
    } catch (const std::runtime_error&) {
      if (Clock::now() > until) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }
}

TEST(LoginStorm, EveryLoginIsAnsweredInBoundedTimeAndSessionsGoOn) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  // Logins are refused from a queue age on that such a storm is sure to make.
  ServerProcess server{
      "durability: os\n"
      "admission: {lossy_age: 100us, login_age: 300us, message_age: 0s, sustained: 0s}\n"};
  TestDevice resident{1, 1};
  log_in(resident, server.port());
  resident.create(10, {1});
  resident.hear();

  std::map<Attempt::Outcome, std::size_t> outcomes;
  std::vector<Attempt> under_way;
  std::vector<pollfd> waits;
  std::size_t begun = 0;
  std::size_t said = 0;
  std::size_t heard = 0;
  const auto began = Clock::now();
  const auto until = began + std::chrono::seconds{60};
  while (begun < logins || !under_way.empty()) {
    ASSERT_LT(Clock::now(), until) << "an answer is missing, " << under_way.size() << " are left";
    for (; begun < logins && under_way.size() < at_once; ++begun) {
      under_way.emplace_back(server.port(), handshake_and_login(2 + begun));
    }
    waits.clear();
    for (const Attempt& attempt : under_way) waits.push_back(attempt.wants());
    ASSERT_GE(poll(waits.data(), waits.size(), 100), 0);
    for (std::size_t i = under_way.size(); i-- > 0;) {
      if (waits[i].revents == 0) continue;
      const auto outcome = under_way[i].go_on();
      if (outcome == Attempt::Outcome::under_way) continue;
      ++outcomes[outcome];
      under_way[i] = std::move(under_way.back());
      under_way.pop_back();
    }
    // The one who is there talks on.
    if (said == heard) resident.say_without_waiting(10, std::to_string(++said));
    if (!resident.client().is_silent(std::chrono::milliseconds{0})) {
      resident.take_ack(10);
      ++heard;
    }
  }
  const auto took = Clock::now() - began;
  std::printf("%zu logins in %.1f s: %zu accepted, %zu turned away, %zu refused; %zu messages\n",
              logins, std::chrono::duration<double>(took).count(),
              outcomes[Attempt::Outcome::accepted], outcomes[Attempt::Outcome::turned_away],
              outcomes[Attempt::Outcome::refused], heard);
  EXPECT_EQ(outcomes[Attempt::Outcome::broken], 0U);
  const std::size_t away =
      outcomes[Attempt::Outcome::turned_away] + outcomes[Attempt::Outcome::refused];
  EXPECT_GT(away, 0U) << "the storm did not bite";
  EXPECT_EQ(metric(server, "clamor_logins_refused_total"), static_cast<double>(away));
  EXPECT_GT(heard, 10U) << "sessions starve";
  TestDevice late{1, 2};
  EXPECT_NO_THROW(log_in(late, server.port())) << "once the storm is over";
}

}  // namespace
}  // namespace clamor::test
