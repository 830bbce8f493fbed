#include "loadgen/app/child_process.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <gmock/gmock.h>
#include <string>
#include <unistd.h>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

TEST(ChildProcess, SeesOurEnvironmentButNoSettingsOfAUsersClamor) {
  setenv("CLAMOR_SECRET", "of another server", 1);
  setenv("TRAVELS_ALONG", "yes", 1);
  ChildProcess child{{.program = "/usr/bin/env", .capture_output = true}};
  std::string out;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = read(child.output(), buffer.data(), buffer.size())) > 0;) {
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
  unsetenv("CLAMOR_SECRET");
  unsetenv("TRAVELS_ALONG");
  EXPECT_EQ(child.wait(10s), "exit code 0");
  EXPECT_THAT(out, HasSubstr("TRAVELS_ALONG=yes\n"));
  EXPECT_THAT(out, Not(HasSubstr("CLAMOR_")));
}

}  // namespace
}  // namespace clamor::loadgen
