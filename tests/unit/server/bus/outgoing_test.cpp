#include "server/bus/outgoing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace clamor::bus {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;

TEST(Outgoing, BytesLeaveInTheOrderInWhichTheyCame) {
  Outgoing outgoing;
  std::vector<std::byte> came;
  std::vector<std::byte> left;
  for (std::size_t i = 0; i < 1000; ++i) {
    std::vector<std::byte> bytes(i % 7, static_cast<std::byte>(i));
    came.insert(came.end(), bytes.begin(), bytes.end());
    outgoing.append(bytes);
    EXPECT_TRUE(bytes.empty());
    const auto some = outgoing.waiting().first(std::min(i % 6, outgoing.waiting().size()));
    left.insert(left.end(), some.begin(), some.end());
    outgoing.pop(some.size());
  }
  const auto rest = outgoing.waiting();
  left.insert(left.end(), rest.begin(), rest.end());
  EXPECT_EQ(left, came);
}

// Goal: a reader that keeps up but never catches up costs what waits, not what was ever sent.
TEST(Outgoing, WhatIsNeverEmptyDoesNotGrow) {
  Outgoing outgoing;
  std::vector<std::byte> first(mebibyte);
  outgoing.append(first);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::byte> bytes(mebibyte);
    outgoing.append(bytes);
    outgoing.pop(mebibyte);
    ASSERT_EQ(outgoing.waiting().size(), mebibyte);
  }
  EXPECT_LE(outgoing.held_bytes(), 8 * mebibyte);
}

TEST(Outgoing, TheMemoryOfABurstIsGivenBack) {
  Outgoing outgoing;
  std::vector<std::byte> burst(100 * mebibyte);
  outgoing.append(burst);
  outgoing.pop(100 * mebibyte);
  EXPECT_EQ(outgoing.held_bytes(), 0U);
}

}  // namespace
}  // namespace clamor::bus
