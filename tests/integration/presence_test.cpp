// Who is there: sessions that subscribed are told of users of any node, online at once, offline
// after a second look; and nobody is told of what was over before that.

#include "server/core/limits.hpp"
#include "tests/integration/local_nodes.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto offline_after = 2s;
const std::string settings =
    "durability: os\nheartbeat: {interval: 200ms, offline_after: 2s, offline_delay: 300ms}\n";

/// Beats for a device, so that only those are silent who are meant to be.
class Beating {
 public:
  explicit Beating(TestDevice& device) : device_{device}, thread_{[this] { run(); }} {}
  ~Beating() {
    over_ = true;
    thread_.join();
  }
  Beating(const Beating&) = delete;
  Beating& operator=(const Beating&) = delete;

 private:
  void run() {
    while (!over_) {
      device_.client().send(protocol::Heartbeat{});
      std::this_thread::sleep_for(50ms);
    }
  }
  TestDevice& device_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

/// A device that is told who is there.
class Watcher {
 public:
  Watcher(std::uint64_t user, std::uint16_t port) : device_{user, 1} { device_.come_online(port); }
  TestDevice& device() { return device_; }
  void subscribe(std::uint16_t partners, const std::vector<std::uint64_t>& users) {
    protocol::SubscribePresence subscribe{partners, {}};
    for (const std::uint64_t user : users) subscribe.users.push_back({user});
    device_.client().send(subscribe);
  }
  /// The next status it is told; throws after ten seconds.
  protocol::PresenceState told() {
    while (told_.empty()) {
      const auto presence = device_.client().expect<protocol::Presence>();
      told_.insert(told_.end(), presence.users.begin(), presence.users.end());
    }
    const protocol::PresenceState state = told_.front();
    told_.pop_front();
    return state;
  }
  [[nodiscard]] bool is_silent(std::chrono::milliseconds time) {
    return told_.empty() && device_.client().is_silent(time);
  }

 private:
  TestDevice device_;
  std::deque<protocol::PresenceState> told_;
};

void expect_online(Watcher& watcher, std::uint64_t user) {
  const protocol::PresenceState state = watcher.told();
  EXPECT_EQ(state.user, UserId{user});
  EXPECT_TRUE(state.online) << user;
}
void expect_offline(Watcher& watcher, std::uint64_t user) {
  const protocol::PresenceState state = watcher.told();
  EXPECT_EQ(state.user, UserId{user});
  EXPECT_FALSE(state.online) << user;
}

class Presence : public testing::Test {
 protected:
  // Owner, gateway and watcher are at three nodes.
  LocalNodes nodes_{settings};
  Watcher alice_{LocalNodes::user_of(0), nodes_.port(0)};
  Beating beating_{alice_.device()};
  TestDevice bob_{LocalNodes::user_of(1), 1};
};

TEST_F(Presence, AFriendWhoGoesAwayByCloseResetOrSilenceIsToldAndSoIsTheReturn) {
  bob_.come_online(nodes_.port(2));
  alice_.subscribe(0, {bob_.user()});
  expect_online(alice_, bob_.user());
  bob_.go_offline();
  expect_offline(alice_, bob_.user());
  bob_.come_online(nodes_.port(2));
  expect_online(alice_, bob_.user());
  bob_.vanish();
  expect_offline(alice_, bob_.user());
  bob_.come_online(nodes_.port(1));
  expect_online(alice_, bob_.user());
  const protocol::PresenceState silent = alice_.told();
  EXPECT_EQ(silent.user, UserId{bob_.user()});
  EXPECT_FALSE(silent.online);
  EXPECT_GE(silent.silent_seconds, 2U) << "it was heard last before the silence";
  EXPECT_EQ(bob_.client().expect_close().code, 4101);
  EXPECT_EQ(metric(nodes_.port(1), "clamor_presence_changes_total"), 5);
  EXPECT_EQ(metric(nodes_.port(0), "clamor_presence_notices_total"), 6);
}

TEST_F(Presence, ASecondDeviceElsewhereKeepsItsUserThere) {
  TestDevice phone{bob_.user(), 2};
  bob_.come_online(nodes_.port(2));
  phone.come_online(nodes_.port(1));
  const Beating beating{phone};
  TestDevice carol{LocalNodes::user_of(2), 1};
  carol.come_online(nodes_.port(1));
  alice_.subscribe(0, {bob_.user(), carol.user()});
  (void)alice_.told();
  (void)alice_.told();
  bob_.vanish();
  carol.go_offline();
  expect_offline(alice_, carol.user());
  EXPECT_TRUE(alice_.is_silent(0ms)) << "whose second look came after his";
}

TEST_F(Presence, WhoIsGoneIsToldToLaterWatchersAsWellAfterASecondLook) {
  alice_.subscribe(0, {bob_.user()});
  const protocol::PresenceState state = alice_.told();
  EXPECT_FALSE(state.online);
  EXPECT_EQ(state.silent_seconds, protocol::never_heard_seconds);
  Watcher carol{LocalNodes::user_of(2), nodes_.port(0)};
  const Beating beating{carol.device()};
  carol.subscribe(0, {bob_.user()});
  expect_offline(carol, bob_.user());
}

TEST_F(Presence, PartnersAreTheFirstOnesByChannelAndUnsubscribingEndsIt) {
  // Direct channels of three owners, and a group; the third partner is one too many.
  std::vector<std::uint64_t> partners;
  std::uint64_t channel = 10;
  for (std::uint32_t i = 0; i < 3; ++i) {
    partners.push_back(LocalNodes::user_of(2, 100 + 10 * i));
    channel = LocalNodes::channel_of(i, channel + 1);
    alice_.device().create(channel, {alice_.device().user(), partners.back()});
    alice_.device().hear();
  }
  alice_.device().create(5, {alice_.device().user(), 200, 201});
  alice_.device().hear();
  std::deque<TestDevice> devices;
  std::deque<Beating> beating;
  for (const std::uint64_t user : {partners[0], partners[1], partners[2], 200UL, 201UL}) {
    devices.emplace_back(user, 1).come_online(nodes_.port(1));
    beating.emplace_back(devices.back());
  }
  alice_.subscribe(2, {});
  std::vector<std::uint64_t> told{alice_.told().user.value, alice_.told().user.value};
  std::sort(told.begin(), told.end());
  EXPECT_EQ(told, (std::vector<std::uint64_t>{partners[0], partners[1]}));
  EXPECT_TRUE(alice_.is_silent(0ms));
  alice_.device().client().send(protocol::UnsubscribePresence{{{partners[0]}}});
  alice_.device().create(6, {alice_.device().user()});  // Answered after it.
  alice_.device().hear();
  beating.clear();
  for (TestDevice& device : devices) device.go_offline();
  expect_offline(alice_, partners[1]);
  EXPECT_TRUE(alice_.is_silent(200ms)) << "of whom it does not watch it is told nothing";
}

TEST_F(Presence, SubscriptionsAreBoundedAndNothingIsKeptWhereThereAreNone) {
  bob_.come_online(nodes_.port(2));
  bob_.go_offline();
  alice_.subscribe(0, ids_from(1000, 1000 + core::presence_subscriptions_max));
  EXPECT_EQ(alice_.device().take_refusal(), protocol::RefusalCode::too_many_subscriptions);
  for (const std::uint16_t port : nodes_.ports()) {
    EXPECT_EQ(metric(port, "clamor_presence_rows"), 0);
  }
}

TEST(PresenceOfWhoComesBack, NobodyIsToldOfAnAbsenceThatIsOverBeforeTheSecondLook) {
  constexpr auto delay = 2s;
  LocalNodes nodes{
      "durability: os\nheartbeat: {interval: 200ms, offline_after: 3s, offline_delay: 2s}\n"};
  Watcher alice{LocalNodes::user_of(0), nodes.port(0)};
  const Beating beating{alice.device()};
  TestDevice bob{LocalNodes::user_of(1), 1};
  TestDevice carol{LocalNodes::user_of(2), 1};
  bob.come_online(nodes.port(2));
  carol.come_online(nodes.port(1));
  alice.subscribe(0, {bob.user(), carol.user()});
  (void)alice.told();
  (void)alice.told();
  for (int flap = 0; flap < 4; ++flap) {
    const auto left = steady_clock::now();
    if (flap % 2 == 0) {
      bob.vanish();
    } else {
      bob.go_offline();
    }
    bob.come_online(nodes.port(flap % 3));
    if (steady_clock::now() - left > delay / 2) {
      GTEST_SKIP() << "the machine is too busy for an absence of less than the delay";
    }
  }
  const Beating bobs{bob};
  carol.go_offline();
  expect_offline(alice, carol.user());
  EXPECT_EQ(metric(nodes.port(1), "clamor_presence_changes_total"), 0) << "bob's owner";
}

TEST(PresenceOfALostNode, NobodyIsDeclaredOfflineAtOnceNeitherBeforeItIsBackNorAfter) {
  constexpr std::uint32_t lost = 2;
  LocalNodes nodes{settings};
  Watcher alice{LocalNodes::user_of(0), nodes.port(0)};
  const Beating beating{alice.device()};
  TestDevice bob{LocalNodes::user_of(lost), 1};
  TestDevice dave{LocalNodes::user_of(lost, bob.user() + 1), 1};
  TestDevice erin{LocalNodes::user_of(1), 1};
  bob.come_online(nodes.port(1));
  const Beating bobs{bob};
  dave.come_online(nodes.port(1));
  std::optional<Beating> daves;
  daves.emplace(dave);
  erin.come_online(nodes.port(lost));
  std::optional<Beating> erins;
  erins.emplace(erin);
  alice.subscribe(0, {bob.user(), dave.user(), erin.user()});
  for (int user = 0; user < 3; ++user) EXPECT_TRUE(alice.told().online);

  const auto dropped = steady_clock::now();
  erins.reset();
  nodes.drop(lost);
  daves.reset();
  dave.go_offline();
  expect_offline(alice, erin.user());
  EXPECT_GE(steady_clock::now() - dropped, offline_after) << "her session may live on there";
  const auto began = steady_clock::now();
  nodes.start(lost);
  expect_offline(alice, dave.user());
  EXPECT_GE(steady_clock::now() - began, offline_after) << "his owner has to hear of him first";
  EXPECT_TRUE(alice.is_silent(0ms)) << "bob was there all the time";
  bob.say_without_waiting(1, "no channel");
  EXPECT_EQ(bob.take_refusal(), protocol::RefusalCode::no_such_channel) << "and his session lives";
}

}  // namespace
}  // namespace clamor::test
