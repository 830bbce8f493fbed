#include "server/gateway/poller.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace clamor::gateway {
namespace {

/// Sockets with their peers; slot i is watched as {i, 7}. What is told of is counted, and read only
/// where `reads` says so.
class Pollers : public testing::Test, public PollerOwner {
 protected:
  struct Told {
    int readable = 0;
    int writable = 0;
  };

  ~Pollers() override {
    for (const auto& pair : pairs_) {
      for (const int socket : pair) ::close(socket);
    }
  }
  void on_ready(SessionId session, bool readable, bool writable) override {
    EXPECT_EQ(session.generation, 7U);
    told_[session.slot].readable += readable ? 1 : 0;
    told_[session.slot].writable += writable ? 1 : 0;
    order_.push_back(session.slot);
    std::array<char, 16> ignored{};
    if (reads_) (void)::recv(pairs_[session.slot][0], ignored.data(), ignored.size(), MSG_DONTWAIT);
  }
  void open(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      auto& pair = pairs_.emplace_back();
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
      ASSERT_TRUE(poller_.add(pair[0], {static_cast<std::uint32_t>(i), 7}));
    }
  }
  void write_to(std::size_t slot) { ASSERT_EQ(::send(pairs_[slot][1], "x", 1, 0), 1); }
  /// Lets the poller tell of one batch.
  void turn() {
    io_.restart();
    io_.run_one_for(std::chrono::seconds{10});
  }

  boost::asio::io_context io_{1};
  Poller poller_{io_, *this};
  std::vector<std::array<int, 2>> pairs_;
  std::map<std::uint32_t, Told> told_;
  std::vector<std::uint32_t> order_;
  bool reads_ = true;
};

TEST_F(Pollers, MoreReadySocketsThanABatchAreToldOfInTheirOrder) {
  constexpr std::size_t count = 2 * Poller::batch + 10;
  open(count + 5);
  std::vector<std::uint32_t> expected;
  for (std::size_t i = count; i-- > 0;) {
    write_to(i);
    expected.push_back(static_cast<std::uint32_t>(i));
  }
  for (int batches = 1; batches <= 3; ++batches) {
    turn();
    EXPECT_EQ(order_.size(), std::min<std::size_t>(batches * Poller::batch, count));
  }
  EXPECT_EQ(order_, expected);
}

TEST_F(Pollers, ASocketIsToldOfUntilItIsRead) {
  open(2);
  reads_ = false;
  write_to(1);
  turn();
  turn();
  EXPECT_EQ(told_[1].readable, 2);
  reads_ = true;
  turn();
  write_to(0);
  turn();
  EXPECT_EQ(told_[1].readable, 3);
  EXPECT_EQ(told_[0].readable, 1);
  EXPECT_EQ(told_[0].writable + told_[1].writable, 0) << "nobody waits for room";
}

TEST_F(Pollers, RoomIsToldOfWhileItIsWatchedFor) {
  open(1);
  reads_ = false;
  poller_.watch(pairs_[0][0], {0, 7}, false, true);
  write_to(0);
  turn();
  EXPECT_EQ(told_[0].writable, 1);
  EXPECT_EQ(told_[0].readable, 0) << "it is not watched for input";
  poller_.watch(pairs_[0][0], {0, 7}, true, false);
  turn();
  EXPECT_EQ(told_[0].writable, 1);
  EXPECT_EQ(told_[0].readable, 1);
}

TEST_F(Pollers, TheEndOfAPeerIsToldOf) {
  open(1);
  ::shutdown(pairs_[0][1], SHUT_RDWR);
  turn();
  EXPECT_EQ(told_[0].readable, 1);
}

TEST_F(Pollers, OnceStoppedItLeavesIoWithoutWork) {
  open(1);
  write_to(0);
  turn();
  poller_.stop();
  io_.restart();
  io_.run();
  EXPECT_EQ(told_[0].readable, 1);
}

}  // namespace
}  // namespace clamor::gateway
