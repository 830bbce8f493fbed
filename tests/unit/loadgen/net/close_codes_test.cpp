#include "loadgen/net/close_codes.hpp"

#include <gtest/gtest.h>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

TEST(CloseCodes, SayWhetherAVirtualUserReturnsAndWhen) {
  const auto how = [](std::uint16_t code) { return disconnected_by(code, "why").how; };
  EXPECT_EQ(how(0), Ended::network);
  EXPECT_EQ(how(1001), Ended::back_off);
  EXPECT_EQ(how(1011), Ended::back_off);
  EXPECT_EQ(how(4000), Ended::go_again);
  EXPECT_EQ(how(4100), Ended::back_off);
  EXPECT_EQ(how(4401), Ended::for_good);
  EXPECT_EQ(how(4409), Ended::superseded);
  EXPECT_EQ(how(1002), Ended::for_good) << "it would send the same broken frame again";
  EXPECT_EQ(disconnected_by(4100, "why").retry_after, 0s);
  EXPECT_EQ(disconnected_by(4100, "retry_after=1000; why").retry_after, 1s);
  EXPECT_EQ(disconnected_by(4000, "retry_after=20; why").retry_after, 20ms);
  EXPECT_EQ(disconnected_by(4102, "retry_after=1000-5000; why").retry_after, 1s);
  EXPECT_EQ(disconnected_by(4102, "retry_after=1000-5000; why").retry_until, 5s);
}

// The rule is the virtual user's; that the code reaches it is what is shown here.
TEST(CloseCodes, AVirtualUserThatWasTooSlowReturnsNoSoonerThanItWasTold) {
  const UserSettings settings;
  OutboxPool pool;
  std::vector<Action> actions;
  VirtualUser user;
  const Instant start{100s};
  const auto tell = [&](const Input& input, Instant now) {
    actions.clear();
    step(user, input, now, settings, pool, actions);
  };
  tell(Start{}, start);
  tell(Connected{}, start);
  tell(LoggedIn{}, start);
  tell(CaughtUp{}, start);
  ASSERT_EQ(user.phase, Phase::online);
  tell(disconnected_by(4100, "retry_after=7000; why"), start);
  EXPECT_EQ(user.phase, Phase::backing_off);
  EXPECT_GE(user.timer_at, start + 7s);
  EXPECT_LE(user.timer_at, start + 7s + settings.reconnect.base);
}

}  // namespace
}  // namespace clamor::loadgen
