#include "server/bus/exchange.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace clamor::bus {
namespace {

/// A node that writes down what it hears.
class Listener final : public Receiver {
 public:
  Listener(NodeId self, Exchange& exchange) : endpoint{self, *this, exchange} {}

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

}  // namespace
}  // namespace clamor::bus
