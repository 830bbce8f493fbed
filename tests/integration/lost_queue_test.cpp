// A sync queue is derived: without its rows, devices still get every record once and in order.

#include "server/app/settings.hpp"
#include "server/base/queue_design.hpp"
#include "server/store/data_directory.hpp"
#include "server/store/rows.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <cstdint>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

/// Deletes the rows of all users' and members' queues; the cursors, which say that the entries are
/// there, stay.
void lose_queues(const std::string& data, const DesignSpec& design, QueuePayload payload) {
  const store::DataDirectory directory{{.path = data,
                                        .durability = store::Durability::os,
                                        .layout = server::layout_of(design),
                                        .payload = payload}};
  for (const char tag : {store::user_queue_tag, store::member_queue_tag}) {
    // Ends of a range must be as long as the prefix of their family.
    const std::string begin = std::string(1, tag) + std::string(store::queue_prefix_bytes, '\0');
    const std::string end = std::string(1, tag) + std::string(store::queue_prefix_bytes, '\xFF');
    ASSERT_TRUE(directory.db().DeleteRange({}, directory.queues(), begin, end).ok());
  }
}

struct Queueing {
  QueueDesign design = QueueDesign::per_user;
  QueuePayload payload = QueuePayload::reference;
};

class LostQueue : public testing::TestWithParam<Queueing> {};

TEST_P(LostQueue, IsNoLostMessage) {
  const auto [design, payload] = GetParam();
  ServerProcess server{"durability: os\ndesign: " + std::string{name_of(design)} +
                       "\npayload: " + std::string{name_of(payload)} +
                       "\ncatch_up: {page_records: 7, tail_age: 0s}\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  TestDevice carol{3, 1};
  for (TestDevice* const device : {&alice, &bob, &carol}) device->come_online(server.port());
  alice.create(10, {1, 2, 3});
  alice.create(11, {1, 2});
  for (int i = 0; i < 20; ++i) alice.say(10, "before");
  for (int i = 0; i < 21; ++i) carol.hear();
  carol.go_offline();
  bob.vanish();
  for (int i = 0; i < 20; ++i) alice.say(10 + i % 2, "after");
  ASSERT_EQ(server.stop(), 0);
  lose_queues(server.data(), {design}, payload);
  server.start();

  TestDevice bobs_other{2, 2};
  for (TestDevice* const device : {&bob, &carol, &bobs_other}) device->come_online(server.port());
  const auto all = ids_from(1, 31);
  EXPECT_EQ(carol.ids(10), all) << "from the middle of the channel";
  EXPECT_EQ(bobs_other.ids(10), all) << "from its beginning";
  EXPECT_EQ(bobs_other.ids(11).size(), 11U);
  EXPECT_EQ(bob.ids(10), all);
  EXPECT_GT(metric(server.port(), "clamor_log_scans_total"), 0);

  // What comes from here on is in the new queue, and serves whoever goes now.
  carol.go_offline();
  alice.come_online(server.port());
  for (int i = 0; i < 10; ++i) alice.say(10, "in the new queue");
  const double scans = metric(server.port(), "clamor_log_scans_total");
  wait_for_queues(server.port());
  carol.come_online(server.port());
  EXPECT_EQ(carol.ids(10).size(), 41U);
  EXPECT_LE(metric(server.port(), "clamor_log_scans_total") - scans, 1);
}

INSTANTIATE_TEST_SUITE_P(Designs, LostQueue,
                         testing::Values(Queueing{QueueDesign::per_user},
                                         Queueing{QueueDesign::per_user, QueuePayload::copy},
                                         Queueing{QueueDesign::per_member},
                                         Queueing{QueueDesign::per_member, QueuePayload::copy}),
                         [](const auto& of) {
                           return std::string{name_of(of.param.design)} + "_" +
                                  std::string{name_of(of.param.payload)};
                         });

}  // namespace
}  // namespace clamor::test
