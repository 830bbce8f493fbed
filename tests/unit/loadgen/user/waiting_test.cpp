#include "loadgen/user/waiting.hpp"

#include <gtest/gtest.h>

#include <array>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

constexpr Instant at(Duration d) { return Instant{d}; }

class Waiting : public testing::Test {
 protected:
  Duration wait(Duration from, Duration received) {
    return waiting_time(absences, at(from), at(received));
  }
  std::array<scenario::Absence, 2> absences{{{at(10s), at(20s)}, {at(30s), Instant::max()}}};
};

TEST_F(Waiting, CountsAllOfItWhereNobodyWasAway) { EXPECT_EQ(wait(1s, 4s), 3s); }

TEST_F(Waiting, CountsFromTheReturnWhereTheMessageWasDueInAnAbsence) {
  EXPECT_EQ(wait(12s, 21s), 1s);
}

TEST_F(Waiting, DoesNotCountAnAbsenceThatBeganJustAfterTheMessageWasDue) {
  EXPECT_EQ(wait(9999ms, 20001ms), 2ms);
}

TEST_F(Waiting, KeepsAnOutageBeforeAndAfterAnAbsence) { EXPECT_EQ(wait(5s, 25s), 10s); }

TEST_F(Waiting, IsNothingInAnAbsenceThatNeverEnds) { EXPECT_EQ(wait(31s, 99s), 0s); }

}  // namespace
}  // namespace clamor::loadgen
