#include "server/core/admission.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <rapidcheck.h>
#include <utility>
#include <vector>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

constexpr Instant at(Duration since) { return Instant{since}; }

/// A server whose every turn finds what the test says.
class Server {
 public:
  explicit Server(const AdmissionLimits& limits = {}) : limits_{limits} {}
  /// Turns every 50 ms until `until`, each of which finds this age.
  void turns(Duration age, Duration until) {
    for (; now_ < at(until); now_ += 50ms) observe(state_, {.input = age}, now_, limits_);
  }
  void turn(const QueueAge& age) { observe(state_, age, now_, limits_); }
  [[nodiscard]] bool takes(MessageClass what) const { return admit(what, state_).taken; }
  [[nodiscard]] Duration retry_after(MessageClass what) const {
    return admit(what, state_).retry_after;
  }

 private:
  AdmissionLimits limits_;
  AdmissionState state_;
  Instant now_ = at(0s);
};

TEST(Admission, TurnsAwayWhatIsLossyFirstThenLoginsAndMessagesLast) {
  Server server;
  server.turns(400ms, 2s);
  EXPECT_TRUE(server.takes(MessageClass::lossy));
  server.turns(600ms, 4s);
  EXPECT_FALSE(server.takes(MessageClass::lossy));
  EXPECT_TRUE(server.takes(MessageClass::login));
  server.turns(1100ms, 6s);
  EXPECT_FALSE(server.takes(MessageClass::login));
  EXPECT_TRUE(server.takes(MessageClass::message));
  server.turns(2500ms, 8s);
  EXPECT_FALSE(server.takes(MessageClass::message));
  EXPECT_EQ(server.retry_after(MessageClass::message), 2500ms) << "what waits needs so long";
  server.turns(70s, 9s);
  EXPECT_EQ(server.retry_after(MessageClass::login), 10s);
}

TEST(Admission, WhateverIsOldestCounts) {
  for (const QueueAge age : {QueueAge{.input = 3s}, {.committer = 3s}, {.turn = 3s}}) {
    Server server{{.sustained = 0ms}};
    server.turn(age);
    EXPECT_FALSE(server.takes(MessageClass::message));
  }
}

TEST(Admission, OneLongStallTurnsNobodyAway) {
  Server server;
  server.turns(1ms, 1s);
  server.turn({.input = 30s, .turn = 30s});  // The process did not run for half a minute.
  EXPECT_TRUE(server.takes(MessageClass::lossy));
  server.turns(1ms, 2s);
  server.turn({.input = 30s});
  EXPECT_TRUE(server.takes(MessageClass::lossy)) << "the first stall is forgotten";
}

// The age that a refusal brings down must not open what was closed at once, nor an age between the
// two bounds ever: each change takes a second at least.
TEST(Admission, DoesNotFlap) {
  Server server;
  server.turns(1100ms, 1s);
  ASSERT_FALSE(server.takes(MessageClass::login));
  server.turns(10ms, 1300ms);
  EXPECT_FALSE(server.takes(MessageClass::login)) << "closed for a second at least";
  server.turns(600ms, 5s);
  EXPECT_FALSE(server.takes(MessageClass::login)) << "above half the limit";
  server.turns(400ms, 6s);
  EXPECT_TRUE(server.takes(MessageClass::login));
  server.turns(900ms, 9s);
  EXPECT_TRUE(server.takes(MessageClass::login)) << "below the limit";
}

TEST(Admission, ALimitOfZeroTakesEverything) {
  Server server{{.age = {0ms, 0ms, 2s}, .sustained = 0ms}};
  server.turn({.input = 3s});
  EXPECT_TRUE(server.takes(MessageClass::lossy));
  EXPECT_TRUE(server.takes(MessageClass::login));
  EXPECT_FALSE(server.takes(MessageClass::message));
}

TEST(Admission, TurnsAClassAwayOnlyWithAllBeforeItAndForASecondAtLeast) {
  EXPECT_TRUE(rc::check([] {
    AdmissionState state;
    Instant now = at(0s);
    Instant closed_at;
    bool was_taken = true;
    bool ever_closed = false;
    const auto spans = *rc::gen::container<std::vector<std::pair<int, int>>>(
        rc::gen::pair(rc::gen::inRange(0, 5000), rc::gen::inRange(1, 30)));
    for (const auto& [age, turns] : spans) {
      for (int i = 0; i < turns; ++i) {
        now += 60ms;
        observe(state, {.input = std::chrono::milliseconds{age}}, now, {});
        const bool lossy = admit(MessageClass::lossy, state).taken;
        const bool login = admit(MessageClass::login, state).taken;
        const bool message = admit(MessageClass::message, state).taken;
        RC_ASSERT(message || !login);
        RC_ASSERT(login || !lossy);
        if (was_taken && !message) closed_at = now;
        if (!was_taken && message) RC_ASSERT(now - closed_at >= admission_closed_least);
        was_taken = message;
        ever_closed = ever_closed || !message;
      }
    }
    RC_CLASSIFY(ever_closed);
  }));
}

}  // namespace
}  // namespace clamor::core
