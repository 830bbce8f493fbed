#include "server/host/cores.hpp"

#include <gtest/gtest.h>

#include <system_error>
#include <thread>
#include <vector>

namespace clamor::host {
namespace {

TEST(Cores, AThreadIsPinnedWithWhatItStartsAndNoOther) {
  const std::vector<int> before = usable_cores();
  ASSERT_FALSE(before.empty());
  std::thread{[&] {
    pin_to({before.back()});
    EXPECT_EQ(usable_cores(), std::vector{before.back()});
    std::thread{[&] { EXPECT_EQ(usable_cores(), std::vector{before.back()}); }}.join();
    pin_to({});
    EXPECT_EQ(usable_cores(), std::vector{before.back()}) << "no cores: no change";
  }}.join();
  EXPECT_EQ(usable_cores(), before);
}

TEST(Cores, ACoreThatIsNotThereIsAnError) {
  EXPECT_THROW(pin_to({1000}), std::system_error);
}

}  // namespace
}  // namespace clamor::host
