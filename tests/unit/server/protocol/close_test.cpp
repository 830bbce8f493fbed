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
  EXPECT_EQ(return_window_of(close_reason(1500ms, "why")), (ReturnWindow{1500ms, 1500ms}));
  EXPECT_EQ(return_window_of(close_reason(2s, "")), (ReturnWindow{2s, 2s}));
  EXPECT_EQ(return_window_of("retry_after=7"), (ReturnWindow{7ms, 7ms}));
  const ReturnWindow window{1s, 5s};
  EXPECT_EQ(close_reason(window, "why"), "retry_after=1000-5000; why");
  EXPECT_EQ(return_window_of("retry_after=1000-5000; why"), window);
  EXPECT_EQ(return_window_of("retry_after=0-50"), (ReturnWindow{0ms, 50ms}));
}

TEST(Close, AReasonThatDoesNotSayItSaysNothing) {
  for (const char* reason :
       {"", "why", "retry_after=", "retry_after=;", "retry_after=x; why", "retry_after=-5; why",
        "retry_after=5s", "retry_after=99999999999; why", " retry_after=5; why",
        "retry_after=5-; why", "retry_after=5-4; why", "retry_after=5-x", "retry_after=5-6-7"}) {
    EXPECT_EQ(return_window_of(reason), ReturnWindow{}) << reason;
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
