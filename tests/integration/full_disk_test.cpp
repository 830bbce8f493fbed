// A file system that runs full under a server, and gets room again.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <sys/mount.h>
#include <thread>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using protocol::RefusalCode;

/// A tmpfs of so many bytes over a directory, as long as it lives.
class SmallDisk {
 public:
  SmallDisk(std::string directory, const char* size)
      : directory_{std::move(directory)}, error_{set(0, size)} {}
  ~SmallDisk() {
    if (error_ == 0) umount2(directory_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] int error() const { return error_; }
  void grow(const char* size) { ASSERT_EQ(set(MS_REMOUNT, size), 0); }

 private:
  int set(unsigned long flags, const char* size) {
    const std::string options = std::string{"size="} + size;
    return mount("tmpfs", directory_.c_str(), "tmpfs", flags, options.c_str()) == 0 ? 0 : errno;
  }

  std::string directory_;
  int error_;
};

class FullDisk : public testing::TestWithParam<const char*> {};

TEST_P(FullDisk, RefusesTypedAndGoesOnOnceThereIsRoomAgain) {
  ServerProcess server{std::string{"design: per_user\ndurability: "} + GetParam() + "\n"};
  ASSERT_EQ(server.stop(), 0);
  SmallDisk disk{server.data(), "1m"};
  if (disk.error() != 0) GTEST_SKIP() << "no mount for this user: " << std::strerror(disk.error());
  server.start();

  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1, 2});
  while (alice.position(10) < 1) alice.hear();
  // A commit is tried with each: until one does not fit.
  const std::string body(8 * 1024, 'x');
  std::uint64_t acknowledged = 0;
  while (metric(server.port(), "clamor_append_failures_total") == 0) {
    ASSERT_LT(acknowledged, 1000U) << "the disk does not run full";
    alice.send(10, acknowledged + 1, body);
    if (!alice.take_answer()) break;
    ++acknowledged;
  }
  EXPECT_GE(metric(server.port(), "clamor_append_failures_total"), 1);
  EXPECT_EQ(metric(server.port(), "clamor_store_failed"), 1) << "no rebuild without room";
  EXPECT_NE(TestClient::get(server.port(), "/healthz").find("503"), std::string::npos);
  std::this_thread::sleep_for(1500ms);  // It tries again and again, and says so.
  EXPECT_EQ(metric(server.port(), "clamor_store_failed"), 1);

  disk.grow("64m");
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (metric(server.port(), "clamor_store_failed") != 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << server.process().log();
    std::this_thread::sleep_for(20ms);
  }
  TestDevice phone{1, 2};
  phone.come_online(server.port());
  const std::size_t kept = phone.ids(10).size();
  EXPECT_EQ(kept, 1 + acknowledged) << "what was acknowledged, and nothing else";
  phone.say(10, "there is room");
  server.kill_hard();
  server.start();
  TestDevice pad{1, 3};
  pad.come_online(server.port());
  EXPECT_EQ(pad.ids(10).size(), kept + 1);
  EXPECT_EQ(server.stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(Durabilities, FullDisk, testing::Values("os", "fsync"),
                         [](const auto& of) { return std::string{of.param}; });

}  // namespace
}  // namespace clamor::test
