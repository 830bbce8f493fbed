#include "loadgen/app/scrape.hpp"
#include "loadgen/net/target.hpp"
#include "server/app/settings.hpp"
#include "server/store/store.hpp"
#include "tests/designs.hpp"
#include "tests/integration/queue_audit.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/parity/differences.hpp"
#include "tests/parity/naive_chat.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// What a plan does not have: joins, leaves, rejoins and changes of design. A drawn history of them
// runs against a live server, of one node or of three, and against NaiveChat, one thing after
// another, so that all around each is quiet; both count the same, operation by operation, at the
// server and at the sinks. (The simulator's memberships do not change.)
namespace clamor::parity {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t users = 9;
constexpr std::uint32_t threshold = 5;  // Of 9 users; down again at 4.
constexpr std::size_t steps = 300;

std::string settings_of(const DesignSpec& design) {
  return "durability: os\ndesign: " + test::setting_of(design) +
         "\ncatch_up: {tail_age: 0s}\nstore: {queue_linger: 0s}\n";
}

/// The same history, live and naive.
class History {
 public:
  using Device = NaiveChat::Device;

  History(const DesignSpec& design, std::uint32_t nodes, std::uint64_t seed)
      : design_{design}, nodes_{nodes}, server_{settings_of(design), 0, nodes}, random_{seed} {
    for (std::uint64_t user = 1; user <= users; ++user) {
      for (std::uint32_t device = 1; device <= (user % 3 == 0 ? 2U : 1U); ++device) {
        devices_.emplace(Device{user, device}, test::TestDevice{user, device});
      }
    }
    for (const NaiveErrors& errors :
         {NaiveErrors{}, NaiveErrors{.leaver_without_entry = true},
          NaiveErrors{.no_hysteresis = true}, NaiveErrors{.queue_below_a_change = true},
          NaiveErrors{.scan_at_every_login = true}, NaiveErrors{.one_node_only = true},
          NaiveErrors{.every_login_is_a_read = true}}) {
      models_.emplace_back(design, nodes, errors);
    }
  }

  void run() {
    test::hold_queues(server_.port(), users);
    before_ = sample().operations;
    come_online({1, 1});
    create(10, {1, 2, 3});
    create(11, {2, 4, 5, 6, 7, 8});
    for (std::size_t step = 0; step < steps; ++step) one_step();
    for (const auto& [device, live] : devices_) {  // At last all hold everything.
      if (!naive().online(device)) come_online(device);
    }
  }

  [[nodiscard]] NaiveChat& naive() { return models_.front(); }
  /// What a model with an error counts; with error 0 it has none.
  [[nodiscard]] const Operations& counts_of(std::size_t error) const {
    return models_[error].counts();
  }
  [[nodiscard]] Operations counted_by_the_server() const {
    Operations counted = sample().operations;
    for (const OperationCounter& counter : operation_counters) {
      counted.*counter.member -= before_.*counter.member;
    }
    return counted;
  }
  /// Records that all devices decoded.
  [[nodiscard]] std::uint64_t decoded() {
    std::uint64_t count = 0;
    for (auto& [device, live] : devices_) {
      for (const std::uint64_t channel : {10U, 11U}) count += live.kept(channel).size();
    }
    return count;
  }
  /// Ids in each (user, channel)'s queue, read back from the store. Ends the server.
  [[nodiscard]] auto read_back() {
    for (auto& [device, live] : devices_) live.go_offline();
    EXPECT_EQ(server_.stop(), 0);
    std::vector<UserId> everybody;
    for (std::uint64_t user = 1; user <= users; ++user) everybody.push_back({user});
    test::QueueRuns queues;
    for (const store::Store& store : test::open_stores(server_.data(), design_, nodes_)) {
      test::read_queues(store, {{{10}, everybody}, {{11}, everybody}}, queues);
    }
    std::map<std::pair<NaiveChat::User, std::uint64_t>, std::vector<std::uint64_t>> found;
    for (const auto& [whose, runs] : queues) {
      auto& ids = found[{whose.first.value, whose.second.value}];
      for (const store::QueueRun& run : runs) {
        for (std::uint32_t i = 0; i < run.count; ++i) ids.push_back((run.first + i).value);
      }
    }
    return found;
  }

 private:
  std::uint64_t draw(std::uint64_t from, std::uint64_t to) {
    return std::uniform_int_distribution<std::uint64_t>{from, to}(random_);
  }
  template <class Container>
  const auto& any_of(const Container& container) {
    return *std::next(container.begin(),
                      static_cast<std::ptrdiff_t>(draw(0, container.size() - 1)));
  }
  template <class Step>
  void in_all_models(Step step) {
    for (NaiveChat& model : models_) step(model);
  }

  void one_step() {
    const std::uint64_t channel = draw(10, 11);
    const auto& members = naive().channels().at(channel).members;
    const std::uint64_t what = draw(0, 9);
    if (what <= 2) {
      const Device device = any_of(devices_).first;
      return naive().online(device) ? go_offline(device) : come_online(device);
    }
    if (naive().online().empty()) return come_online({1, 1});
    const Device device = any_of(naive().online()).first;
    const bool member = members.contains(device.first);
    if (!member) return join(channel, device);
    // With both groups around the threshold, so that the design changes now and then.
    if (what >= 7 && members.size() > 2) return leave(channel, device);
    send(channel, device);
  }

  void come_online(const Device& device) {
    const auto node = static_cast<std::uint32_t>(draw(0, nodes_ - 1));
    in_all_models([&](NaiveChat& model) { model.come_online(device, {node}); });
    devices_.at(device).come_online(server_.port(node));
    settle();
  }
  void go_offline(const Device& device) {
    in_all_models([&](NaiveChat& model) { model.go_offline(device); });
    if (draw(0, 1) == 0) {
      devices_.at(device).go_offline();
    } else {
      devices_.at(device).vanish();
    }
    settle();
  }
  void create(std::uint64_t channel, const std::set<NaiveChat::User>& members) {
    const Device founder{1, 1};
    in_all_models([&](NaiveChat& model) { model.create(channel, members, founder); });
    devices_.at(founder).create(channel, {members.begin(), members.end()});
    settle();
  }
  void join(std::uint64_t channel, const Device& device) {
    in_all_models([&](NaiveChat& model) { model.join(channel, device); });
    devices_.at(device).client().send(protocol::Join{{channel}});
    devices_.at(device).take_changed();
    settle();
  }
  void leave(std::uint64_t channel, const Device& device) {
    in_all_models([&](NaiveChat& model) { model.leave(channel, device.first); });
    devices_.at(device).client().send(protocol::Leave{{channel}});
    devices_.at(device).take_changed();
    settle();
  }
  void send(std::uint64_t channel, const Device& device) {
    in_all_models([&](NaiveChat& model) { model.send(channel, device); });
    devices_.at(device).say(channel, "hello");
    settle();
  }

  /// Waits, in bounded time, until nothing is under way: every online device holds what the naive
  /// one holds, the server knows who is there, and the queues are written.
  void settle() {
    for (const auto& [device, node] : naive().online()) {
      test::TestDevice& live = devices_.at(device);
      for (const auto& [channel, state] : naive().channels()) {
        while (live.position(channel) < naive().position(device, channel)) live.take_any();
      }
    }
    const auto until = std::chrono::steady_clock::now() + 30s;
    for (loadgen::ServerSample before = sample();;) {
      const loadgen::ServerSample now = sample();
      if (loadgen::are_at_rest(before, now, naive().online().size())) return;
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error("it does not settle");
      before = now;
    }
  }

  /// Of all nodes together.
  [[nodiscard]] loadgen::ServerSample sample() const {
    return loadgen::scrape(targets_, 10s).value();
  }

  DesignSpec design_;
  std::uint32_t nodes_;
  test::ServerProcess server_;
  std::string error_;
  std::vector<loadgen::Target> targets_ =
      loadgen::parse_targets(test::url_of(server_.ports()), error_);
  Operations before_;
  std::mt19937_64 random_;
  std::map<Device, test::TestDevice> devices_;
  std::vector<NaiveChat> models_;  ///< The first without an error.
};

struct Case {
  DesignSpec design;
  std::uint32_t nodes = 1;
};

class MembershipParity : public testing::TestWithParam<Case> {};

TEST_P(MembershipParity, LiveAndNaiveCountsAreEqualAcrossJoinsLeavesAndChangesOfDesign) {
  const auto [design, nodes] = GetParam();
  const bool hybrid = design.design == QueueDesign::hybrid;
  const bool queues = design.design != QueueDesign::per_group;
  const bool adaptive = design.design == QueueDesign::adaptive;
  std::uint64_t changes = 0;
  std::uint64_t looks = 0;
  std::array<bool, 7> seen{};
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history{design, nodes, seed};
    history.run();
    for (const auto& [id, channel] : history.naive().channels()) {
      for (const NaiveChat::Record& record : channel.records) {
        changes += record.kind == core::RecordKind::design_changed ? 1 : 0;
        looks += record.kind == core::RecordKind::member_mode ? 1 : 0;
      }
    }
    const Operations live = history.counted_by_the_server();
    const Operations& naive = history.naive().counts();
    ASSERT_GT(naive.membership_intervals, 20U) << "the history has too few joins";
    ASSERT_GT(naive.catch_up_deliveries, 50U);
    EXPECT_EQ(joined(differences(live, naive)), "");
    EXPECT_EQ(history.decoded(), naive.live_deliveries + naive.catch_up_deliveries);

    for (std::size_t error = 0; error < seen.size(); ++error) {
      seen[error] = seen[error] || !differences(live, history.counts_of(error)).empty();
    }
    EXPECT_EQ(history.read_back(), history.naive().queues());
  }
  EXPECT_EQ(changes >= 15, hybrid) << changes << " changes of design";
  EXPECT_EQ(looks >= 15, adaptive) << looks << " looks that changed a mode";
  // Each error, where the design and the deployment know it, is seen by the same comparison.
  EXPECT_EQ(seen, (std::array{false, queues, hybrid, hybrid, true, nodes > 1, adaptive}));
}

constexpr DesignSpec hybrid{QueueDesign::hybrid, threshold};
constexpr DesignSpec adaptive{.design = QueueDesign::adaptive, .window = 4};

INSTANTIATE_TEST_SUITE_P(
    Designs, MembershipParity,
    testing::Values(Case{{QueueDesign::per_user}}, Case{{QueueDesign::per_member}},
                    Case{{QueueDesign::per_group}}, Case{hybrid}, Case{adaptive}, Case{adaptive, 3},
                    Case{{QueueDesign::per_user}, 3}, Case{{QueueDesign::per_member}, 3},
                    Case{{QueueDesign::per_group}, 3}, Case{hybrid, 3}),
    [](const auto& of) {
      const std::string name{name_of(of.param.design.design)};
      return of.param.nodes == 1 ? name : name + "_on_three_nodes";
    });

}  // namespace
}  // namespace clamor::parity
