#include "tests/unit/server/core/small_chat_device.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <iostream>
#include <ostream>
#include <rapidcheck.h>
#include <set>
#include <string>
#include <vector>

// Goal: the decisions of core, put together as a server puts them together, lose, repeat and
// reorder nothing. A small chat made of core's functions only runs random plans; then everything
// that lags is let through, and every device must have seen exactly the records of its user's
// intervals.
namespace clamor::core::small_chat {

/// One step of a plan; its arguments are read modulo what there is.
struct Step {
  enum class Kind : std::uint8_t {
    send,
    resend,
    connect,
    disconnect,
    wipe,
    deliver_up,
    deliver_down,
    acknowledge,
    join,
    leave,
    commit,
    fail_append,
    apply,
    trim,
    link,
    lose_link_frame,
    repeat_heads,
    withdraw,
    pass_time,
    settle
  };
  Kind kind = Kind::send;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t n = 1;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  static constexpr std::array names{"send",   "resend",     "connect",      "disconnect",
                                    "wipe",   "deliver_up", "deliver_down", "acknowledge",
                                    "join",   "leave",      "commit",       "fail_append",
                                    "apply",  "trim",       "link",         "lose_link",
                                    "repeat", "withdraw",   "pass_time",    "settle"};
  return out << names[static_cast<std::size_t>(step.kind)] << '(' << step.a << ',' << step.b << ','
             << step.n << ')';
}

namespace {

using Kind = Step::Kind;

rc::Gen<Step> any_step() {
  const rc::Gen<Kind> kind = rc::gen::weightedElement<Kind>(
      {{12, Kind::send},           {3, Kind::resend},       {8, Kind::connect},
       {5, Kind::disconnect},      {1, Kind::wipe},         {10, Kind::deliver_up},
       {12, Kind::deliver_down},   {3, Kind::acknowledge},  {4, Kind::join},
       {3, Kind::leave},           {12, Kind::commit},      {1, Kind::fail_append},
       {10, Kind::apply},          {2, Kind::trim},         {10, Kind::link},
       {1, Kind::lose_link_frame}, {1, Kind::repeat_heads}, {1, Kind::withdraw},
       {2, Kind::pass_time},       {1, Kind::settle}});
  const auto argument = rc::gen::inRange<std::uint32_t>(0, 64);
  return rc::gen::build<Step>(rc::gen::set(&Step::kind, kind), rc::gen::set(&Step::a, argument),
                              rc::gen::set(&Step::b, argument),
                              rc::gen::set(&Step::n, rc::gen::inRange<std::uint32_t>(1, 7)));
}

class SmallChat {
 public:
  static constexpr std::uint64_t users = 6;
  static constexpr std::uint64_t channels = 4;

  SmallChat(const DesignSpec& spec, Cases& cases)
      : partitions_{spec, cases}, gateways_{partitions_, cases} {
    for (std::uint64_t channel = 1; channel <= channels; ++channel) {
      std::vector<UserId> members;
      for (std::uint64_t user = channel; user <= users; ++user) members.push_back({user});
      partitions_.create({channel}, members);
    }
    for (std::uint64_t user = 1; user <= users; ++user) {
      devices_.emplace_back(DeviceName{{user}, {1}}, partitions_, cases);
      if (user % 2 == 0) devices_.emplace_back(DeviceName{{user}, {2}}, partitions_, cases);
    }
  }

  void run(const Step& step) {
    Device& device = devices_[step.a % devices_.size()];
    const ChannelId channel{1 + step.b % channels};
    const UserId user{1 + step.a % users};
    const std::uint32_t partition = step.a % Partitions::count;
    const std::uint32_t node = step.a % Gateways::count;
    now_ += Duration{1};
    switch (step.kind) {
      case Kind::send:
        for (std::uint32_t i = 0; i < step.n; ++i) device.send(channel);
        return;
      case Kind::resend:
        return device.resend();
      case Kind::connect:
        return device.connect(gateways_, now_);
      case Kind::disconnect:
        return device.disconnect(gateways_, step.b % 3 != 0);
      case Kind::wipe:
        return device.wipe(gateways_);
      case Kind::deliver_up:
        return device.deliver_up(gateways_, 2 * step.n, now_);
      case Kind::deliver_down:
        return device.deliver_down(gateways_, 2 * step.n, now_);
      case Kind::acknowledge:
        return device.acknowledge();
      case Kind::join:
        return partitions_.join(channel, user);
      case Kind::leave:
        return partitions_.leave(channel, user);
      case Kind::commit:
        return commit(partition, 2 * step.n);
      case Kind::fail_append:
        return partitions_.fail_append(partition);
      case Kind::apply:
        return partitions_.apply(partition, step.b % Partitions::count, 3 * step.n);
      case Kind::trim:
        return partitions_.trim(user);
      case Kind::link:
        return gateways_.deliver_link(node, 2 * step.n, now_);
      case Kind::lose_link_frame:
        return gateways_.lose_link_frame(node);
      case Kind::repeat_heads:
        return gateways_.repeat_heads(node);
      case Kind::withdraw:
        return gateways_.withdraw_idle_interest(node);
      case Kind::pass_time:
        now_ += Duration{20 * step.n};
        return gateways_.close_silent(node, now_);
      case Kind::settle:
        static_cast<void>(settle_once());
        return;
    }
  }

  /// Lets through whatever lags until nothing is left; says what is, where that does not end. Only
  /// a round that repeated the heads may be the last: they alone tell of a link's lost last frame.
  std::string settle() {
    std::string unsettled;
    for (int round = 0; round < 3000; ++round) {
      const bool repeated = settle_once();
      unsettled = repeated && gateways_.links_are_empty() ? "" : "links are not empty";
      for (const Device& device : devices_) {
        if (!device.is_settled(gateways_)) unsettled = device.describe(gateways_);
      }
      if (unsettled.empty()) return {};
    }
    return "never settles: " + unsettled;
  }

  /// What is wrong at the end, or nothing.
  std::string verdict() {
    for (Device& device : devices_) {
      if (!device.violation().empty()) return device.violation();
      for (const auto& [id, channel] : partitions_.channels()) {
        if (device.received(id) != owed(channel, device.name().user)) {
          return "user " + std::to_string(device.name().user.value) + " device " +
                 std::to_string(device.name().device.value) + " has other records of channel " +
                 std::to_string(id.value) + " than its intervals say";
        }
      }
      for (const auto& [send, id] : device.acks()) {
        const Record& record = partitions_.channels().at(send.first).log[id.value - 1].record;
        if (record.sender != device.name().user || record.client_message_id != send.second) {
          return "an ack names somebody else's record";
        }
      }
    }
    return double_accepted();
  }

 private:
  void commit(std::uint32_t partition, std::size_t entries) {
    for (const auto& record : partitions_.commit(partition, entries)) {
      gateways_.committed(record, now_);
    }
  }

  /// Lets a little of everything through: no more at once than a session's buffer takes. Whether
  /// the links were empty, so that heads were repeated.
  bool settle_once() {
    now_ += Duration{1};
    for (std::uint32_t p = 0; p < Partitions::count; ++p) {
      commit(p, 2);
      for (std::uint32_t u = 0; u < Partitions::count; ++u) partitions_.apply(u, p, 4);
    }
    const bool repeats = gateways_.links_are_empty();
    if (repeats) {
      for (std::uint32_t node = 0; node < Gateways::count; ++node) gateways_.repeat_heads(node);
    }
    for (std::uint32_t node = 0; node < Gateways::count; ++node) {
      gateways_.deliver_link(node, 8, now_);
    }
    for (Device& device : devices_) {
      device.connect(gateways_, now_);
      device.resend();
      device.deliver_up(gateways_, 4, now_);
      device.deliver_down(gateways_, 100, now_);
    }
    return repeats;
  }

  /// The naive truth: a walk over the log that knows nothing of intervals.
  static std::vector<MessageId> owed(const Channel& channel, UserId user) {
    std::vector<MessageId> ids;
    bool member = false;
    for (const LogRecord& logged : channel.log) {
      if (logged.record.id > channel.head.durable_head) break;
      const bool about_user = logged.member == user;
      member = member || (about_user && logged.record.kind == RecordKind::join);
      if (member) ids.push_back(logged.record.id);
      if (about_user && logged.record.kind == RecordKind::leave) member = false;
    }
    return ids;
  }

  std::string double_accepted() const {
    for (const auto& [id, channel] : partitions_.channels()) {
      std::set<std::tuple<DeviceName, std::uint32_t, ClientMessageId>> sends;
      for (const LogRecord& logged : channel.log) {
        const Record& record = logged.record;
        if (record.kind != RecordKind::message) continue;
        if (!sends
                 .emplace(DeviceName{record.sender, record.device}, record.device_incarnation,
                          record.client_message_id)
                 .second) {
          return "one send stands twice in channel " + std::to_string(id.value);
        }
      }
    }
    return {};
  }

  Instant now_{};
  Partitions partitions_;
  Gateways gateways_;
  std::vector<Device> devices_;
};

class EveryDesign : public testing::TestWithParam<DesignSpec> {};

/// Whether plans under `design` can meet a case at all.
bool can_meet(Needs needs, QueueDesign design) {
  const bool hybrid = design == QueueDesign::hybrid;
  switch (needs) {
    case Needs::any_design:
      return true;
    case Needs::queues:
      return design != QueueDesign::per_group;
    case Needs::user_queue:
      return design == QueueDesign::per_user || hybrid || design == QueueDesign::adaptive;
    case Needs::hybrid:
      return hybrid;
    case Needs::adaptive:
      return design == QueueDesign::adaptive;
  }
  return false;
}

void print_and_check(const DesignSpec& spec, const Cases& cases) {
  std::printf("%s, cases met:\n", std::string{name_of(spec.design)}.c_str());
  for (const CaseCounter& counter : case_counters) {
    if (!can_meet(counter.needs, spec.design)) continue;
    const std::uint64_t count = cases.*counter.member;
    std::printf("  %-36s %10llu\n", std::string{counter.name}.c_str(),
                static_cast<unsigned long long>(count));
    EXPECT_GT(count, 0U) << counter.name << ": no plan met this case";
  }
}

/// rc::check with more plans than its default.
template <class Property>
bool check_with(int plans, Property property) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = plans;
  const auto result = rc::detail::checkTestable(property, rc::detail::TestMetadata{}, params);
  rc::detail::printResultMessage(result, std::cerr);
  std::cerr << std::endl;
  return result.template is<rc::detail::SuccessResult>();
}

TEST_P(EveryDesign, GivesEveryDeviceExactlyTheRecordsOfItsIntervalsInOrderOnce) {
  Cases cases;
  ASSERT_TRUE(check_with(600, [&] {
    const auto steps = *rc::gen::resize(400, rc::gen::container<std::vector<Step>>(any_step()));
    SmallChat chat{GetParam(), cases};
    for (const Step& step : steps) chat.run(step);
    std::string wrong = chat.settle();
    if (wrong.empty()) wrong = chat.verdict();
    if (!wrong.empty()) RC_FAIL(wrong);
  }));
  print_and_check(GetParam(), cases);
}

INSTANTIATE_TEST_SUITE_P(
    SmallChat, EveryDesign,
    testing::Values(DesignSpec{QueueDesign::per_user}, DesignSpec{QueueDesign::per_member},
                    DesignSpec{QueueDesign::per_group}, DesignSpec{QueueDesign::hybrid, 4},
                    DesignSpec{.design = QueueDesign::adaptive, .window = window_min}),
    [](const auto& each) { return std::string{name_of(each.param.design)}; });

}  // namespace
}  // namespace clamor::core::small_chat
