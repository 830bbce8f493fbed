#include "server/bus/links.hpp"

#include "server/bus/handshake.hpp"
#include "server/protocol/byte_order.hpp"
#include "tests/unit/server/bus/messages.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clamor::bus {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using Heard = std::vector<std::string>;

constexpr std::uint32_t partitions = test::partitions;

/// With a handshake; long enough for a machine under load.
constexpr auto patience = 2s;

/// A node of a process of its own that writes down what it hears.
class Listener final : public Receiver {
 public:
  /// `at` are the ports of nodes 0, 1, ...
  Listener(boost::asio::io_context& io, std::uint32_t self, std::uint32_t term,
           const std::vector<std::uint16_t>& at, const std::string& secret = "a secret",
           std::size_t buffer_bytes_max = std::size_t{1} << 24U) {
    LinkSettings settings{.port = at[self],
                          .identity = "a deployment",
                          .key = token::derive_key(secret),
                          .partitions = partitions,
                          .buffer_bytes_max = buffer_bytes_max,
                          .redial_after = 5ms,
                          .handshake_timeout = patience};
    for (std::uint32_t node = 0; node < at.size(); ++node) {
      if (node != self) settings.remotes.push_back({{node}, "127.0.0.1", at[node]});
    }
    links = std::make_unique<Links>(io, NodeId{self}, Term{term}, std::move(settings), *this);
    links->open();
  }

  void receive(NodeId from, Message message) override {
    const auto* const logout = std::get_if<UserLogout>(&message);
    heard.push_back(std::to_string(from.value) + ":" +
                    (logout == nullptr ? "?" : std::to_string(logout->user.value)));
  }
  void receive_all(NodeId from, std::vector<Message> messages) override {
    ++parcels;
    for (Message& message : messages) receive(from, std::move(message));
  }
  void on_node_up(NodeId node, Term term) override {
    heard.push_back("up " + std::to_string(node.value) + "/" + std::to_string(term.value));
  }
  void on_node_down(NodeId node) override { heard.push_back("down " + std::to_string(node.value)); }

  std::unique_ptr<Links> links;
  Heard heard;
  int parcels = 0;
};

UserLogout about(std::uint64_t user) { return {no_session, {user}, {1}}; }

class Network : public testing::Test {
 protected:
  /// So many ports that are free now.
  std::vector<std::uint16_t> free_ports(std::size_t count) {
    std::vector<tcp::acceptor> held;
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 0; i < count; ++i) {
      held.emplace_back(io_, tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0});
      ports.push_back(held.back().local_endpoint().port());
    }
    return ports;
  }
  /// Runs until it is so; fails where it does not come about.
  void run_until(const std::function<bool()>& so) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!so()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it does not come about";
      io_.restart();
      io_.run_one_for(10ms);
    }
  }
  void run_until_both_up(const Listener& one, const Listener& other) {
    run_until([&] { return !one.heard.empty() && !other.heard.empty(); });
  }

  boost::asio::io_context io_;
};

TEST_F(Network, NodesFindEachOtherAndAParcelATurnArrivesInOrder) {
  const auto at = free_ports(3);
  Listener zero{io_, 0, 7, at};
  Listener one{io_, 1, 3, at};
  run_until_both_up(zero, one);
  EXPECT_EQ(zero.heard, (Heard{"up 1/3"}));
  EXPECT_EQ(one.heard, (Heard{"up 0/7"}));
  EXPECT_TRUE(zero.links->is_up({1}));
  EXPECT_FALSE(zero.links->is_up({2})) << "it was never there";
  EXPECT_TRUE(zero.links->leads_to({2}));
  EXPECT_FALSE(zero.links->leads_to({0}));

  zero.links->send({1}, about(10));
  zero.links->send({2}, about(99));
  zero.links->send({1}, about(11));
  EXPECT_EQ(zero.links->flush(), 1U);
  EXPECT_EQ(zero.links->flush(), 0U);
  zero.links->send({1}, about(12));
  EXPECT_EQ(zero.links->flush(), 1U);
  one.links->send({0}, about(20));
  EXPECT_EQ(one.links->flush(), 1U);
  run_until([&] { return one.heard.size() == 4 && zero.heard.size() == 2; });
  EXPECT_EQ(one.heard, (Heard{"up 0/7", "0:10", "0:11", "0:12"}));
  EXPECT_EQ(one.parcels, 2);
  EXPECT_EQ(zero.heard, (Heard{"up 1/3", "1:20"}));
}

TEST_F(Network, ANodeThatGoesIsDownAndUpAgainUnderItsNextTerm) {
  const auto at = free_ports(2);
  Listener zero{io_, 0, 1, at};
  auto one = std::make_unique<Listener>(io_, 1, 1, at);
  run_until_both_up(zero, *one);
  one.reset();
  run_until([&] { return zero.heard.size() == 2; });
  EXPECT_EQ(zero.heard.back(), "down 1");
  EXPECT_FALSE(zero.links->is_up({1}));
  zero.links->send({1}, about(10));
  EXPECT_EQ(zero.links->flush(), 0U);
  one = std::make_unique<Listener>(io_, 1, 2, at);
  run_until([&] { return zero.heard.size() == 3; });
  EXPECT_EQ(zero.heard.back(), "up 1/2");
  // And the one that is dialled, not the one that dials.
  run_until([&] { return one->heard.size() == 1; });
  zero.links.reset();
  run_until([&] { return one->heard.size() == 2; });
  Listener again{io_, 0, 2, at};
  run_until([&] { return one->heard.size() == 3; });
  EXPECT_EQ(one->heard, (Heard{"up 0/1", "down 0", "up 0/2"}));
}

TEST_F(Network, ManyAndLargeParcelsArriveWholeBothWaysAtOnce) {
  const auto at = free_ports(2);
  Listener zero{io_, 0, 1, at};
  Listener one{io_, 1, 1, at};
  run_until_both_up(zero, one);
  constexpr int parcels = 40;
  SendRequest large;
  large.body.resize(200'000, std::byte{7});
  for (int i = 0; i < parcels; ++i) {  // 8 MB: more than the sockets take at once.
    for (Links* const links : {zero.links.get(), one.links.get()}) {
      const NodeId to{links == zero.links.get() ? 1U : 0U};
      links->send(to, large);
      links->send(to, about(static_cast<std::uint64_t>(i)));
      EXPECT_EQ(links->flush(), 1U);
    }
  }
  run_until([&] { return zero.parcels == parcels && one.parcels == parcels; });
  ASSERT_EQ(one.heard.size(), 1U + 2 * parcels);
  for (int i = 0; i < parcels; ++i) {
    EXPECT_EQ(one.heard[static_cast<std::size_t>(2 + 2 * i)], "0:" + std::to_string(i));
  }
}

TEST_F(Network, ALinkThatBacksUpBeyondItsBoundIsLostAndComesBack) {
  const auto at = free_ports(2);
  constexpr std::size_t bound = 1U << 20U;
  Listener zero{io_, 0, 1, at, "a secret", bound};
  Listener one{io_, 1, 1, at, "a secret", bound};
  run_until_both_up(zero, one);
  SendRequest large;
  large.body.resize(bound / 2);
  for (int i = 0; i < 50 && zero.links->is_up({1}); ++i) {  // Nobody reads meanwhile.
    zero.links->send({1}, large);
    zero.links->flush();
  }
  EXPECT_FALSE(zero.links->is_up({1}));
  EXPECT_EQ(zero.heard, (Heard{"up 1/1"})) << "it is told of it in a call of its own";
  run_until([&] { return zero.heard.size() == 3 && one.heard.back() == "up 0/1"; });
  EXPECT_EQ(zero.heard, (Heard{"up 1/1", "down 1", "up 1/1"}));
  zero.links->send({1}, about(10));
  zero.links->flush();
  run_until([&] { return one.heard.back() == "0:10"; });
}

TEST_F(Network, WhoDoesNotHoldTheSecretIsNobody) {
  const auto at = free_ports(2);
  Listener zero{io_, 0, 1, at};
  Listener stranger{io_, 1, 1, at, "another secret"};
  tcp::socket silent{io_};
  silent.connect({boost::asio::ip::address_v4::loopback(), at[0]});
  testing::internal::CaptureStderr();
  for (int i = 0; i < 50; ++i) {
    io_.restart();
    io_.run_one_for(2ms);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(zero.heard.empty());
  EXPECT_TRUE(stranger.heard.empty());
  const std::string fault = "does not hold the deployment's secret";
  const std::size_t first = said.find(fault);
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find(fault, first + 1), std::string::npos) << "it is said once\n" << said;
}

TEST_F(Network, StrangersThatSayNothingKeepNobodyOut) {
  const auto at = free_ports(2);
  Listener zero{io_, 0, 1, at};
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 100; ++i) {
    silent.emplace_back(io_).connect({boost::asio::ip::address_v4::loopback(), at[0]});
  }
  Listener one{io_, 1, 1, at};
  run_until_both_up(zero, one);
  EXPECT_EQ(zero.heard, (Heard{"up 1/1"}));
}

TEST_F(Network, ADialThatMeetsSilenceIsMadeAgain) {
  const auto at = free_ports(2);
  // Connections come about in its backlog, and nobody answers.
  std::optional<tcp::acceptor> silent{
      std::in_place, io_, tcp::endpoint{boost::asio::ip::address_v4::loopback(), at[0]}};
  testing::internal::CaptureStderr();
  Listener one{io_, 1, 1, at};
  io_.restart();
  io_.run_for(patience + 50ms);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("it does not answer"), std::string::npos);
  silent.reset();
  Listener zero{io_, 0, 1, at};
  run_until_both_up(zero, one);
}

/// A node 1 by hand, past its handshake with node 0.
class Crude {
 public:
  Crude(boost::asio::io_context& io, std::uint16_t port)
      : socket_{io},
        handshake_{Handshake::Role::dials,
                   {.from = {1}, .to = {0}, .term = {5}, .identity = "a deployment"},
                   key_} {
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
    write(handshake_.output());
    socket_.non_blocking(true);
  }
  /// Goes on with the handshake; whether it is done.
  bool is_in() {
    std::byte byte{};
    boost::system::error_code ec;
    while (!done_ && socket_.read_some(boost::asio::buffer(&byte, 1), ec) == 1) {
      input_.push_back(byte);
      std::span<const std::byte> rest{input_};
      done_ = handshake_.take(rest) == Handshake::State::done;
      input_.erase(input_.begin(), input_.end() - static_cast<std::ptrdiff_t>(rest.size()));
      write(handshake_.output());
    }
    return done_;
  }
  void write(const std::vector<std::byte>& bytes) {
    boost::asio::write(socket_, boost::asio::buffer(bytes));
  }
  void parcel(std::uint32_t length, const std::vector<std::byte>& bytes) {
    std::vector<std::byte> all(4);
    protocol::store_little(all.data(), length);
    all.insert(all.end(), bytes.begin(), bytes.end());
    write(all);
  }

 private:
  token::Key key_ = token::derive_key("a secret");
  tcp::socket socket_;
  Handshake handshake_;
  std::vector<std::byte> input_;
  bool done_ = false;
};

TEST_F(Network, AMalformedParcelEndsTheLinkAndSaysWhy) {
  const auto at = free_ports(2);
  Listener zero{io_, 0, 1, at};
  const auto said_of = [&](std::uint32_t length, const std::vector<std::byte>& bytes) {
    zero.heard.clear();
    Crude one{io_, at[0]};
    run_until([&] { return one.is_in() && zero.heard == Heard{"up 1/5"}; });
    testing::internal::CaptureStderr();
    one.parcel(length, bytes);
    run_until([&] { return zero.heard.size() == 2; });
    EXPECT_EQ(zero.heard.back(), "down 1");
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(said_of(1, {std::byte{0xFF}}).find("malformed parcel (truncated)"), std::string::npos);
  EXPECT_NE(said_of(1, {std::byte{0x7F}}).find("malformed parcel (unknown_type)"),
            std::string::npos);
  EXPECT_NE(said_of(0xFFFFFFFF, {}).find("expected at most 16777216"), std::string::npos);
}

TEST_F(Network, ANodeThatCameBackBeforeItsEndWasNoticedIsDownFirst) {
  const auto at = free_ports(2);
  Listener zero{io_, 0, 1, at};
  Crude one{io_, at[0]};
  run_until([&] { return one.is_in() && zero.heard.size() == 1; });
  Crude again{io_, at[0]};
  run_until([&] { return again.is_in() && zero.heard.size() == 3; });
  EXPECT_EQ(zero.heard, (Heard{"up 1/5", "down 1", "up 1/5"}));
  EXPECT_TRUE(zero.links->is_up({1}));
}

}  // namespace
}  // namespace clamor::bus
