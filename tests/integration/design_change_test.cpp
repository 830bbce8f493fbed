// A group of a hybrid server crosses the threshold up and down, by joins and leaves, while its
// members send: the design changes by a record, with hysteresis, and no device misses anything.

#include "server/app/channels.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

using core::ChannelDesign;
using core::RecordKind;

constexpr std::uint64_t channel = 10;
constexpr std::uint64_t threshold = 10;
constexpr std::uint64_t founders = 8;  // 80 % of the threshold: here the design goes down again.
constexpr std::uint64_t first_guest = 21;
constexpr std::uint64_t guests = 5;  // 13 members with all of them.

std::vector<std::uint64_t> users_in(const std::string& body) {
  std::vector<std::uint64_t> users;
  server::for_each_user(std::as_bytes(std::span{body}),
                        [&](UserId user) { users.push_back(user.value); });
  return users;
}

/// What the records of a whole history say, one by one, by the rules written down anew.
struct Fold {
  std::uint64_t queue_entries = 0;
  std::uint64_t changes = 0;
  std::vector<std::string> faults;
  std::map<std::uint64_t, std::set<std::uint64_t>> members_at;  ///< Who is owed each id.

  explicit Fold(const std::vector<Kept>& history) {
    ChannelDesign design = ChannelDesign::per_user;
    std::set<std::uint64_t> members;
    bool change_due = false;
    for (const Kept& kept : history) {
      const core::Record& record = kept.record;
      const bool changes_design = record.kind == RecordKind::design_changed;
      if (changes_design != change_due) {
        faults.push_back("record " + std::to_string(record.id.value) +
                         (change_due ? ": no change of design" : ": a change of design") +
                         " with " + std::to_string(members.size()) + " members");
      }
      if (changes_design) {
        ++changes;
        design = static_cast<ChannelDesign>(kept.body.at(0));
      }
      if (record.kind == RecordKind::join) {
        for (const std::uint64_t user : users_in(kept.body)) members.insert(user);
      }
      members_at[record.id.value] = members;
      if (design == ChannelDesign::per_user) queue_entries += members.size();
      if (record.kind == RecordKind::leave) {
        for (const std::uint64_t user : users_in(kept.body)) members.erase(user);
      }
      const bool up = design == ChannelDesign::per_user && members.size() > threshold;
      const bool down = design == ChannelDesign::per_group && members.size() <= founders;
      change_due = up || down;
    }
  }
};

class DesignChange : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (std::uint64_t user = 1; user <= 4; ++user) senders_.emplace_back(user, 1);
    for (std::uint64_t i = 0; i < guests; ++i) guests_.emplace_back(first_guest + i, 1);
    for (TestDevice& device : senders_) device.come_online(port_);
    for (TestDevice& device : guests_) device.come_online(port_);
    senders_[0].create(channel, ids_from(1, founders));
    for (TestDevice* device : {&across_, &commuter_}) device->come_online(port_);
    across_.go_offline();
  }

  /// Each sender sends some, unacknowledged, then `change` goes out among them, then more.
  template <class Change>
  void amid_sends(Change change) {
    constexpr int rounds = 12;
    constexpr std::uint64_t in_flight = 32;
    for (int round = 0; round < rounds; ++round) {
      for (TestDevice& device : senders_) {
        while (device.sent(channel) >= device.acknowledged().size() + in_flight) device.take_any();
        device.say_without_waiting(channel, body_of(device.user(), device.sent(channel) + 1));
      }
      if (round == rounds / 2) change();
      for (TestDevice& device : senders_) device.take_all();
      for (TestDevice& device : guests_) device.take_all();
    }
  }
  void join(std::size_t guest) {
    amid_sends([&] { guests_[guest].client().send(protocol::Join{{channel}}); });
  }
  void leave(std::size_t guest) {
    amid_sends([&] { guests_[guest].client().send(protocol::Leave{{channel}}); });
  }
  static std::string body_of(std::uint64_t user, std::uint64_t client_message_id) {
    return std::to_string(user) + ":" + std::to_string(client_message_id);
  }

  ServerProcess server_{"durability: os\ndesign: {hybrid: {threshold: " +
                        std::to_string(threshold) + "}}\ncatch_up: {tail_age: 0s}\n" + GetParam()};
  std::uint16_t port_ = server_.port();
  std::vector<TestDevice> senders_;
  std::vector<TestDevice> guests_;
  TestDevice across_{5, 1};    ///< Away from before the first change to behind the last.
  TestDevice commuter_{6, 1};  ///< Comes and goes between them.
};

TEST_P(DesignChange, UnderLoadLosesDuplicatesAndReordersNothingForAnyDevice) {
  constexpr std::uint64_t cycles = 3;
  for (std::uint64_t cycle = 0; cycle < cycles; ++cycle) {
    for (std::size_t guest = 0; guest < guests; ++guest) {
      join(guest);
      if (guest == 1) commuter_.go_offline();  // At the threshold: the next join crosses it.
    }
    commuter_.come_online(port_);  // Amid a catch-up that spans the change.
    for (std::size_t guest = 0; guest < guests; ++guest) {
      leave(guest);
      if (guest == 2) {  // Up and down between 80 % and the threshold: nothing changes.
        join(guest);
        leave(guest);
        commuter_.go_offline();
      }
    }
    commuter_.come_online(port_);
    amid_sends([] {});
  }
  for (TestDevice& device : senders_) {
    while (device.acknowledged().size() < device.sent(channel)) device.take_any();
  }
  const std::uint64_t head = senders_[0].say(channel, "the last").value;
  for (TestDevice& device : senders_) {
    while (device.position(channel) < head) device.take_any();
  }
  while (commuter_.position(channel) < head) commuter_.take_any();
  across_.come_online(port_);
  EXPECT_EQ(across_.position(channel), head) << "away across all changes";

  TestDevice reader{1, 2};  // New, and a founder's: gets the whole history.
  reader.come_online(port_);
  const std::vector<Kept> history = reader.kept(channel);
  ASSERT_EQ(history.size(), head);
  const Fold fold{history};
  EXPECT_EQ(fold.faults.size(), 0U) << fold.faults.front();
  EXPECT_EQ(fold.changes, 2 * cycles);

  // Every device kept what its intervals owe it: TestDevice throws at a gap, a repetition and a
  // record out of order; here nothing is missing at the end, and contents are the senders'.
  for (TestDevice& device : senders_) {
    EXPECT_EQ(device.position(channel), head);
    for (const auto& [send, id] : device.acknowledged()) {
      ASSERT_EQ(history[id - 1].body, body_of(device.user(), send.second));
      ASSERT_EQ(history[id - 1].record.sender, UserId{device.user()});
    }
  }
  std::set<std::string> bodies;
  for (const Kept& kept : history) {
    if (kept.record.kind != RecordKind::message) continue;
    EXPECT_TRUE(bodies.insert(kept.body).second) << kept.body << " is there twice";
  }
  for (TestDevice& guest : guests_) {
    std::vector<std::uint64_t> owed;
    for (const auto& [id, members] : fold.members_at) {
      if (members.contains(guest.user())) owed.push_back(id);
    }
    guest.take_all();
    EXPECT_EQ(guest.ids(channel), owed) << "guest " << guest.user();
  }
  wait_for_queues(port_);
  EXPECT_EQ(metric(port_, "clamor_queue_entries_total"), static_cast<double>(fold.queue_entries));

  // The same history for new devices after a crash that left queues of both designs to redo.
  server_.kill_hard();
  server_.start();
  EXPECT_GT(metric(server_.port(), "clamor_fan_out_redone_records_total"), 0);
  for (const std::uint64_t user : {2U, 5U, 7U}) {
    TestDevice device{user, 3};
    device.come_online(server_.port());
    EXPECT_EQ(device.position(channel), head);
    EXPECT_EQ(device.kept(channel).size(), head);
  }
}

std::string writer_name(const testing::TestParamInfo<const char*>& of) {
  return std::array{"prompt", "lagging", "flushing"}.at(of.index);
}

INSTANTIATE_TEST_SUITE_P(QueueWriters, DesignChange,
                         testing::Values("", "store: {queue_linger: 300ms}\n",
                                         "store: {queue_linger: 0s, queue_flush_records: 200}\n"),
                         writer_name);

}  // namespace
}  // namespace clamor::test
