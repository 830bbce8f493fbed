#include "server/bus/exchange.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace clamor::bus {
namespace {

using namespace std::chrono_literals;

/// A node that writes down what it hears.
class Listener final : public Receiver {
 public:
  Listener(NodeId self, Exchange& exchange) : endpoint{self, *this, exchange} {}

  void receive(NodeId from, Message message) override {
    const auto* const logout = std::get_if<UserLogout>(&message);
    heard.push_back(std::to_string(from.value) + ":" +
                    (logout == nullptr ? "?" : std::to_string(logout->user.value)));
    if (++arrived == enough) busy.reset();
  }
  void receive_all(NodeId from, std::vector<Message> messages) override {
    ++parcels;
    for (Message& message : messages) receive(from, std::move(message));
  }
  void on_node_up(NodeId node, Term term) override {
    endpoint.set_up(node, term);
    heard.push_back("up " + std::to_string(node.value) + "/" + std::to_string(term.value));
  }
  void on_node_down(NodeId node) override {
    endpoint.set_down(node);
    heard.push_back("down " + std::to_string(node.value));
  }
  void run() {
    io.restart();
    io.run();
  }

  boost::asio::io_context io;
  Endpoint endpoint;
  std::vector<std::string> heard;
  int parcels = 0;
  std::size_t arrived = 0;
  /// Keeps `io` running until so many messages have arrived.
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> busy;
  std::size_t enough = 0;
};

using Heard = std::vector<std::string>;

UserLogout about(std::uint64_t user) { return {no_session, {user}, {1}}; }

TEST(Exchange, TellsNodesOfOneAnotherAndHandsOverAParcelATurn) {
  Exchange exchange;
  Listener one{{1}, exchange};
  Listener two{{2}, exchange};
  exchange.connect({1}, {7}, one.io, one);
  exchange.connect({2}, {3}, two.io, two);
  one.run();
  two.run();
  EXPECT_EQ(one.heard, (Heard{"up 2/3"}));
  EXPECT_EQ(two.heard, (Heard{"up 1/7"}));
  one.endpoint.send({2}, about(10));
  one.endpoint.send({2}, about(11));
  one.endpoint.send({1}, about(12));
  EXPECT_EQ(one.heard.back(), "1:12") << "to itself it is a call";
  two.run();
  EXPECT_EQ(two.parcels, 0) << "the turn is not over";
  one.endpoint.flush();
  one.endpoint.flush();
  two.run();
  EXPECT_EQ(two.parcels, 1);
  EXPECT_EQ(two.heard, (Heard{"up 1/7", "1:10", "1:11"}));
  EXPECT_EQ(one.endpoint.frames(), 1U);
}

TEST(Exchange, WhatWasSentToANodeThatWentDownNeverReachesItsSuccessor) {
  Exchange exchange;
  Listener one{{1}, exchange};
  Listener two{{2}, exchange};
  exchange.connect({1}, {1}, one.io, one);
  exchange.connect({2}, {1}, two.io, two);
  one.run();
  one.endpoint.send({2}, about(10));
  exchange.disconnect({2});
  Listener again{{2}, exchange};
  exchange.connect({2}, {2}, again.io, again);
  one.endpoint.flush();  // It has not heard yet, and means the node of term 1.
  again.run();
  EXPECT_EQ(again.heard, (Heard{"up 1/1"}));
  one.run();
  EXPECT_EQ(one.heard, (Heard{"up 2/1", "down 2", "up 2/2"}));
  one.endpoint.send({2}, about(11));
  one.endpoint.flush();
  again.run();
  EXPECT_EQ(again.heard, (Heard{"up 1/1", "1:11"}));
}

TEST(Exchange, ANodeThatIsDownIsKnownToBe) {
  Exchange exchange;
  Listener one{{1}, exchange};
  Listener two{{2}, exchange};
  exchange.connect({1}, {1}, one.io, one);
  EXPECT_TRUE(one.endpoint.is_up({1}));
  EXPECT_FALSE(one.endpoint.is_up({2}));
  exchange.connect({2}, {1}, two.io, two);
  one.run();
  EXPECT_TRUE(one.endpoint.is_up({2}));
  exchange.disconnect({2});
  one.run();
  EXPECT_FALSE(one.endpoint.is_up({2}));
  one.endpoint.send({2}, about(10));
  one.endpoint.flush();
  EXPECT_EQ(one.endpoint.frames(), 0U);
}

/// Sends messages numbered from `next` to `count` to two nodes, one a turn: what the listener is
/// told of others comes between.
void send_numbered(Listener& from, NodeId peer, NodeId other, std::uint64_t next,
                   std::uint64_t count) {
  from.endpoint.send(peer, about(next));
  from.endpoint.send(other, about(next));
  from.endpoint.flush();
  if (next == count) return;
  boost::asio::post(from.io, [&from, peer, other, next, count] {
    send_numbered(from, peer, other, next + 1, count);
  });
}

/// What a listener heard of one node, whose id has one digit.
std::vector<std::uint64_t> numbers_from(const Listener& listener, NodeId node) {
  std::vector<std::uint64_t> numbers;
  for (const std::string& heard : listener.heard) {
    if (heard.starts_with(std::to_string(node.value) + ":")) {
      numbers.push_back(std::stoull(heard.substr(2)));
    }
  }
  return numbers;
}

TEST(Exchange, BetweenThreadsEveryMessageComesOnceAndInOrderWhileAThirdNodeComesAndGoes) {
  constexpr std::uint64_t count = 10'000;
  Exchange exchange;
  Listener one{{1}, exchange};
  Listener two{{2}, exchange};
  Listener three{{3}, exchange};
  exchange.connect({1}, {1}, one.io, one);
  exchange.connect({2}, {1}, two.io, two);
  exchange.connect({3}, {1}, three.io, three);
  for (const auto& [listener, peer] : {std::pair{&one, NodeId{2}}, std::pair{&two, NodeId{1}}}) {
    listener->enough = count;
    listener->busy.emplace(listener->io.get_executor());
    boost::asio::post(listener->io,
                      [from = listener, to = peer] { send_numbered(*from, to, {3}, 1, count); });
  }
  three.busy.emplace(three.io.get_executor());
  const auto run = [](Listener& listener) { listener.io.run_for(10s); };
  const auto first = std::async(std::launch::async, run, std::ref(one));
  const auto second = std::async(std::launch::async, run, std::ref(two));
  const auto ended = [](const auto& thread) {
    return thread.wait_for(0s) == std::future_status::ready;
  };
  for (std::uint32_t term = 2; !ended(first) || !ended(second); ++term) {
    three.io.run_for(1ms);
    exchange.disconnect({3});
    exchange.connect({3}, {term}, three.io, three);
  }
  three.io.poll();

  std::vector<std::uint64_t> all(count);
  std::iota(all.begin(), all.end(), 1);
  EXPECT_TRUE(one.io.stopped() && two.io.stopped()) << "ten seconds were not enough";
  EXPECT_EQ(numbers_from(two, {1}), all);
  EXPECT_EQ(numbers_from(one, {2}), all);
  for (const NodeId node : {NodeId{1}, NodeId{2}}) {
    const std::vector<std::uint64_t> some = numbers_from(three, node);
    EXPECT_FALSE(some.empty());
    EXPECT_EQ(std::ranges::adjacent_find(some, std::greater_equal{}), some.end());
  }
}

}  // namespace
}  // namespace clamor::bus
