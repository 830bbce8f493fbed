#include "server/core/silence.hpp"

#include <gtest/gtest.h>

namespace clamor::core {
namespace {

using namespace std::chrono_literals;

TEST(SweepSilent, FindsThoseSilentForTheWholeTimeAndSkipsUnusedSlots) {
  const std::vector<Instant> last_seen{Instant{70s}, Instant::max(), Instant{70s} + 1ns,
                                       Instant{0s}};
  std::vector<std::uint32_t> silent{99};
  sweep_silent(last_seen, Instant{100s}, 30s, silent);
  EXPECT_EQ(silent, (std::vector<std::uint32_t>{99, 0, 3})) << "appends, in order of slots";
}

TEST(SweepSilent, NobodyIsSilentBeforeTheTimeHasPassedSinceTheStart) {
  std::vector<std::uint32_t> silent;
  sweep_silent(std::vector<Instant>{Instant{}, Instant::max()}, Instant{29s}, 30s, silent);
  EXPECT_TRUE(silent.empty());
}

}  // namespace
}  // namespace clamor::core
