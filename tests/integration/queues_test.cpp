// Nothing in a server grows without bound: every kind of rude client at once, while each of its
// queues, as /metrics shows them, must stay within the bound that it is said to have.

#include "server/app/settings.hpp"
#include "server/bus/bus.hpp"
#include "server/gateway/gateway.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace clamor::test {
namespace {

constexpr double sessions_of_a_node = 40;
constexpr double buffer_bytes = 16 * 1024;
constexpr double commit_bytes = 1 << 20;
constexpr double lag_records = 50;
constexpr double held_records = 8;
/// Of records at least, so that so many are in a queue that is bounded in bytes.
constexpr double record_bytes = 64;
constexpr double frame_bytes = 1 << 20;  ///< The server's largest.

const std::string settings =
    "durability: os\nack_after: fanout\n"
    "limits: {sessions: 80, session_buffer_bytes: 16384, commit_queue_bytes: 1048576,\n"
    "         fan_out_lag_records: 50, catch_up_held_records: 8}\n"
    "store: {queue_linger: 20ms}\n"
    "rates: {requests: {per_second: 1000, burst: 10}}\n";

double listen_backlog() {
  double most = 0;
  std::ifstream{"/proc/sys/net/core/somaxconn"} >> most;
  return most;
}

/// What each gauge may say at any time.
std::map<std::string, double> bounds() {
  const double handshakes = gateway::connections_beside_sessions + sessions_of_a_node;
  const double in_commits = commit_bytes / record_bytes + 1;
  return {
      {"clamor_gateway_accept_queue", listen_backlog() + 1},
      {"clamor_gateway_handshakes", handshakes},
      {"clamor_gateway_tls_handshakes", gateway::tls_handshakes_max},
      {"clamor_gateway_sockets", sessions_of_a_node},
      {"clamor_gateway_partial_messages", sessions_of_a_node},
      {"clamor_gateway_output_bytes_most", buffer_bytes + frame_bytes},
      {"clamor_gateway_output_bytes", sessions_of_a_node * (buffer_bytes + frame_bytes)},
      {"clamor_gateway_late_pongs", sessions_of_a_node},
      {"clamor_connections", sessions_of_a_node},
      {"clamor_logins_waiting", sessions_of_a_node},
      {"clamor_pages_due", sessions_of_a_node},
      // Answers beside the records: server/app/frontend_live.cpp.
      {"clamor_catch_up_held_frames_most", held_records + 4096},
      {"clamor_catch_up_held_frames", sessions_of_a_node * (held_records + 4096)},
      // Of a device and channel 64 sends at most are not acknowledged.
      {"clamor_acks_held", sessions_of_a_node * 64 * 2},
      {"clamor_commit_queue_bytes", commit_bytes + 128 * 1024},
      {"clamor_commits_pending", in_commits},
      // What is in commits when the bound is reached still becomes durable.
      {"clamor_fan_out_lag_records", lag_records + in_commits},
      {"clamor_acks_due", lag_records + in_commits},
      {"clamor_queue_writer_backlog", lag_records + in_commits},
      {"clamor_fan_out_lag_entries", 4'000'000},
      {"clamor_bus_inbox_messages", static_cast<double>(bus::backlog_max.messages) + 4096 * 64},
      {"clamor_bus_backlog_messages", static_cast<double>(bus::backlog_max.messages) + 4096 * 64},
      {"clamor_bus_backlog_bytes", 0},
      {"clamor_rate_buckets{of=\"sends\"}", 0},
      {"clamor_rate_buckets{of=\"requests\"}", 2.0 * core::TokenBuckets::keys},
      {"clamor_rate_buckets{of=\"connections\"}", 0},
  };
}

/// Reads a node's /metrics over one connection: no other would be taken while mute ones have them
/// all.
class Scraper {
 public:
  explicit Scraper(std::uint16_t port) : socket_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    const timeval patience{.tv_sec = 3 * TestClient::patience.count(), .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
  }
  ~Scraper() { close(socket_); }
  Scraper(const Scraper&) = delete;
  Scraper& operator=(const Scraper&) = delete;

  /// Every sample by its name with labels.
  std::map<std::string, double> read() {
    const std::string_view request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if (send(socket_, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
      throw std::runtime_error("the server does not take a request");
    }
    std::string answer;
    std::size_t size = std::string::npos;
    while (answer.size() < size) {
      std::array<char, 16384> buffer{};
      const ssize_t got = recv(socket_, buffer.data(), buffer.size(), 0);
      if (got <= 0) throw std::runtime_error("no metrics: " + answer);
      answer.append(buffer.data(), static_cast<std::size_t>(got));
      const std::size_t head = answer.find("\r\n\r\n");
      if (size != std::string::npos || head == std::string::npos) continue;
      const std::size_t length = answer.find("Content-Length: ");
      if (length > head) throw std::runtime_error("no metrics: " + answer);
      size = head + 4 + std::stoul(answer.substr(length + 16));
    }
    std::map<std::string, double> samples;
    std::istringstream lines{answer.substr(answer.find("\r\n\r\n") + 4)};
    for (std::string line; std::getline(lines, line);) {
      const std::size_t space = line.rfind(' ');
      if (line.empty() || line[0] == '#' || space == std::string::npos) continue;
      samples[line.substr(0, space)] = std::stod(line.substr(space + 1));
    }
    return samples;
  }

 private:
  int socket_ = -1;
};

/// A client that does something rude until it is told to stop; cut off it begins anew.
class Rude {
 public:
  explicit Rude(std::function<void(const std::atomic<bool>& over)> act)
      : thread_{[this, act = std::move(act)] {
          while (!over_) {
            try {
              act(over_);
            } catch (const std::runtime_error&) {
              std::this_thread::sleep_for(std::chrono::milliseconds{5});
            }
          }
        }} {}
  ~Rude() {
    over_ = true;
    thread_.join();
  }
  Rude(const Rude&) = delete;
  Rude& operator=(const Rude&) = delete;

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

std::string frame_of(protocol::Opcode opcode, std::span<const std::byte> payload) {
  std::vector<std::byte> frame;
  protocol::append_client_frame(opcode, payload, 0x5A17C3E9U, frame);
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

/// Sends on and on, as fast as it can, and reads nothing: not even that it is refused.
void flood(std::uint16_t port, const std::atomic<bool>& over) {
  static std::atomic<std::uint32_t> device{1000};
  TestDevice flooder{3, ++device};
  flooder.receive_little();
  flooder.come_online(port);
  for (std::uint64_t number = 1; !over;) {
    std::string burst;
    for (int i = 0; i < 256; ++i, ++number) {
      std::vector<std::byte> payload;
      protocol::encode(protocol::Send{{10}, {number}, {}}, payload);
      burst += frame_of(protocol::Opcode::binary, payload);
      payload.clear();
      protocol::encode(protocol::Read{{10}, {number}}, payload);
      burst += frame_of(protocol::Opcode::binary, payload);
    }
    flooder.client().write_all(burst);
  }
}

/// Is sent to, asks for pongs and reads none of it.
void read_nothing(std::uint16_t port, const std::atomic<bool>& over) {
  TestDevice reader{2, 1};
  reader.receive_little();
  reader.connect(port);
  const std::string ping = frame_of(protocol::Opcode::ping, {});
  while (!over) {
    reader.client().write_all(ping);
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
}

/// Connects and says nothing, or half of something.
void say_half(std::uint16_t port, const std::atomic<bool>& over) {
  std::vector<TestClient> held;
  for (int i = 0; i < 10; ++i) {  // Sessions without a login, with half a frame.
    held.emplace_back(port);
    held.back().upgrade();
    held.back().write_all("\x82\xfe\x40\x00half");
  }
  for (std::size_t i = 0; i < gateway::connections_beside_sessions + 60; ++i) {
    held.emplace_back(port);
    held.back().write_all("GET /ws HT");
  }
  while (!over) std::this_thread::sleep_for(std::chrono::milliseconds{5});
}

TEST(Queues, StayWithinTheirBoundsWhateverClientsDoAndServeThoseWhoBehave) {
  ServerProcess server{settings, 0, 2};
  TestDevice talker{1, 1};
  talker.come_online(server.port(0));
  talker.create(10, {1, 2, 3});
  talker.hear();
  std::vector<std::unique_ptr<Scraper>> scrapers;
  for (const std::uint16_t port : server.ports()) {
    scrapers.push_back(std::make_unique<Scraper>(port));
  }
  std::map<std::string, double> most;
  const auto walk = [&] {
    for (const auto& scraper : scrapers) {
      const auto samples = scraper->read();
      for (const auto& [gauge, bound] : bounds()) {
        ASSERT_TRUE(samples.contains(gauge)) << gauge;
        ASSERT_LE(samples.at(gauge), bound) << gauge;
      }
      for (const auto& [name, value] : samples) most[name] = std::max(most[name], value);
    }
  };
  // What must have been seen, so that it is known that the rude ones bit; those that were not yet.
  const auto unseen = [&] {
    const std::map<std::string, double> bites{
        {"clamor_gateway_handshakes", gateway::connections_beside_sessions},
        {"clamor_gateway_connections_max_refused_total", 1},
        {"clamor_gateway_partial_messages", 10},
        {"clamor_logins_waiting", 10},
        {"clamor_gateway_output_bytes_most", buffer_bytes},
        {"clamor_gateway_late_pongs", 1},
        {"clamor_fell_behind_total", 1},
        {"clamor_catch_up_held_frames_most", 1},
        {"clamor_fan_out_lag_records", lag_records / 2},
        {"clamor_acks_due", 1},
        {"clamor_rate_buckets{of=\"requests\"}", 1},
        {"clamor_messages_refused_total", 1},
        {"clamor_refused_total{code=\"overloaded\"}", 1},
    };
    std::string names;
    for (const auto& [name, least] : bites) {
      if (most[name] < least) names += name + " is " + std::to_string(most[name]) + "; ";
    }
    return names;
  };
  {
    std::vector<std::unique_ptr<Rude>> rude;
    for (const std::uint16_t port : server.ports()) {
      rude.push_back(std::make_unique<Rude>([port](const auto& over) { flood(port, over); }));
    }
    rude.push_back(std::make_unique<Rude>(
        [port = server.port(1)](const auto& over) { read_nothing(port, over); }));
    rude.push_back(std::make_unique<Rude>(
        [port = server.port(0)](const auto& over) { say_half(port, over); }));
    const std::string large(12 * 1024, 'x');
    const auto until = std::chrono::steady_clock::now() + 4 * TestClient::patience;
    std::uint64_t number = 1;
    while (!unseen().empty()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << unseen();
      ASSERT_NO_FATAL_FAILURE(walk());
      // The one who behaves is refused like everybody, and taken when it comes again.
      for (int i = 0; i < 8; ++i) {
        talker.send(10, number, large);
        number += talker.take_answer() ? 1 : 0;
      }
    }
  }
  // With the rude gone, whatever waited goes.
  const auto until = std::chrono::steady_clock::now() + 3 * TestClient::patience;
  double waiting = 0;
  double logged_in = 0;
  do {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << waiting << " wait";
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
    waiting = logged_in = 0;
    for (const auto& scraper : scrapers) {
      const auto samples = scraper->read();
      logged_in += samples.at("clamor_sessions");
      for (const char* gauge :
           {"clamor_commit_queue_bytes", "clamor_fan_out_lag_records", "clamor_acks_due",
            "clamor_gateway_output_bytes", "clamor_catch_up_held_frames",
            "clamor_bus_inbox_messages", "clamor_gateway_late_pongs", "clamor_logins_waiting"}) {
        waiting += samples.at(gauge);
      }
    }
  } while (waiting != 0 || logged_in != 1);
}

}  // namespace
}  // namespace clamor::test
