#include "server/protocol/close.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace clamor::protocol {
namespace {

using namespace std::chrono_literals;

TEST(Close, ReasonSaysWhenToComeBack) {
  EXPECT_EQ(close_reason(1500ms, "why"), "retry_after=1500; why");
  EXPECT_EQ(close_reason(1us, "why"), "retry_after=1; why");
  EXPECT_EQ(close_reason(0s, "why"), "why");
  EXPECT_EQ(retry_after_of(close_reason(1500ms, "why")), 1500ms);
  EXPECT_EQ(retry_after_of(close_reason(2s, "")), 2s);
  EXPECT_EQ(retry_after_of("retry_after=7"), 7ms);
}

TEST(Close, AReasonThatDoesNotSayItSaysNothing) {
  for (const char* reason :
       {"", "why", "retry_after=", "retry_after=;", "retry_after=x; why", "retry_after=-5; why",
        "retry_after=5s", "retry_after=99999999999; why", " retry_after=5; why"}) {
    EXPECT_EQ(retry_after_of(reason), 0s) << reason;
  }
}

TEST(Close, CodesSayWhetherToComeBack) {
  for (const unsigned code :
       {0U, 1000U, 1001U, 1005U, 1006U, 1011U, 4100U, 4102U, 4199U, 4200U, 3000U}) {
    EXPECT_EQ(reconnect_after(static_cast<std::uint16_t>(code)), Reconnect::with_back_off) << code;
  }
  for (const unsigned code : {4000U, 4099U}) {
    EXPECT_EQ(reconnect_after(static_cast<std::uint16_t>(code)), Reconnect::at_once) << code;
  }
  for (const unsigned code : {1002U, 1003U, 1007U, 1008U, 1009U, 4400U, 4401U, 4409U, 4499U}) {
    EXPECT_EQ(reconnect_after(static_cast<std::uint16_t>(code)), Reconnect::not_unchanged) << code;
  }
}

}  // namespace
}  // namespace clamor::protocol
