// What `per_group` promises: a message is one append, whatever the group's size, and what a device
// missed comes in as few pages as its records fill.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace clamor::test {
namespace {

TEST(PerGroup, AMessageIsOneAppendAndAThousandMissedOnesAreOnePage) {
  constexpr std::uint64_t channel = 10;
  constexpr int messages = 1000;
  ServerProcess server{"durability: os\ndesign: per_group\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  std::vector<std::uint64_t> members;
  for (std::uint64_t user = 1; user <= 100; ++user) members.push_back(user);
  alice.create(channel, members);
  while (bob.position(channel) == 0) bob.hear();
  bob.go_offline();
  const auto counted = [&](const char* name) { return metric(server.port(), name); };
  const double appends = counted("clamor_write_batches_total");
  const double records = counted("clamor_records_total");
  for (int i = 0; i < messages; ++i) alice.say(channel, "said to a hundred members");
  EXPECT_EQ(counted("clamor_write_batches_total"), appends + messages) << "acked one by one";
  EXPECT_EQ(counted("clamor_records_total"), records + messages);
  EXPECT_EQ(counted("clamor_queue_entries_total"), 0) << "and nothing a member";
  const double scans = counted("clamor_log_scans_total");
  EXPECT_EQ(bob.come_online(server.port()), 1U) << "pages";
  EXPECT_EQ(bob.position(channel), 1U + messages);
  EXPECT_LE(counted("clamor_log_scans_total"), scans + 1);
}

}  // namespace
}  // namespace clamor::test
