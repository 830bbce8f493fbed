#include "scenarios/model/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <vector>

namespace clamor::scenario {
namespace {

/// Absences, second devices, a channel nobody else is in: all that may keep somebody from sending.
Scenario talkative(Arrivals arrivals) {
  Scenario scenario;
  scenario.seed = 5;
  scenario.population.users = 400;
  scenario.population.devices = {{1, 0.7}, {2, 0.3}};
  scenario.population.contacts = 2;
  scenario.population.away = {
      {.kind = Away::Kind::repeating, .share = 0.3, .duration = 4s, .every = 9s}};
  scenario.groups = {{"team", 30, 12}, {"diary", 5, 1}};
  Workload chat;
  chat.name = "chat";
  chat.rate = 300;
  chat.duration = 60s;
  chat.arrivals = arrivals;
  chat.mix = {{"direct", 0.4}, {"team", 0.55}, {"diary", 0.05}};
  chat.kinds = {0.6, 0.1, 0.15, 0.1, 0.05};
  chat.mentions = 0.2;
  scenario.workloads = {chat};
  return scenario;
}

std::vector<Send> all_sends(const Plan& plan) {
  std::vector<Send> sends;
  for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends);
  return sends;
}

bool is_member(const Plan& plan, std::uint32_t user, std::uint32_t channel) {
  std::vector<std::uint32_t> members;
  plan.members(channel, members);
  return std::find(members.begin(), members.end(), user) != members.end();
}

class PlanAbout : public testing::TestWithParam<Arrivals> {
 protected:
  const Plan plan{talkative(GetParam())};
  const std::vector<Send> sends = all_sends(plan);
};

TEST_P(PlanAbout, SendsFollowTheSharesOfKindsAndMentions) {
  std::array<double, send_kind_names.size()> counts{};
  double messages = 0;
  double mentions = 0;
  for (const Send& send : sends) {
    if (send.due < Instant{6s}) continue;  // before that there is nothing to be about
    ++counts[static_cast<std::size_t>(send.kind)];
    if (send.kind <= SendKind::reply && plan.members_in(send.channel) > 1) ++messages;
    if (send.mentioned != nobody) ++mentions;
  }
  const double all = static_cast<double>(sends.size()) * 54 / 60;
  const auto& shares = plan.scenario().workloads[0].kinds;
  // Of diaries and of those who have left there is no reply or edit: they are messages instead.
  for (std::size_t kind = 1; kind < shares.size(); ++kind) {
    EXPECT_LT(counts[kind] / all, shares[kind] * 1.1) << send_kind_names[kind];
    EXPECT_GT(counts[kind] / all, shares[kind] * 0.75) << send_kind_names[kind];
  }
  EXPECT_NEAR(mentions / messages, 0.2, 0.02);
}

TEST_P(PlanAbout, EditsAndDeletionsAreOfAnEarlierMessageOfTheSameClientInTheChannelEachOfOne) {
  std::map<std::uint64_t, Send> messages;
  std::size_t revised = 0;
  for (const Send& send : sends) {
    if (send.pair == 0) {
      EXPECT_LE(send.kind, SendKind::reaction);
      continue;
    }
    if (send.kind == SendKind::message) {
      EXPECT_TRUE(messages.emplace(send.pair, send).second) << "two messages of a name";
      continue;
    }
    ASSERT_TRUE(send.kind == SendKind::edit || send.kind == SendKind::deletion);
    const auto message = messages.find(send.pair);
    ASSERT_NE(message, messages.end()) << "it comes before its message, twice, or of nothing";
    EXPECT_EQ(message->second.client, send.client);
    EXPECT_EQ(message->second.channel, send.channel);
    EXPECT_GE(send.due - message->second.due, 100ms);
    EXPECT_LT(send.due - message->second.due, 6s) << "kinds_after is 3 s, blocks are a second";
    EXPECT_EQ(send.bytes == 0, send.kind == SendKind::deletion);
    messages.erase(message);
    ++revised;
  }
  EXPECT_TRUE(messages.empty()) << "a message is said to be revised, and is not";
  EXPECT_GT(revised, 1000U);
}

TEST_P(PlanAbout, RepliesAndReactionsAreInChannelsThatHaveAMessageNobodyRevises) {
  std::set<std::uint32_t> written;
  for (const Send& send : sends) {
    const std::uint32_t user = plan.user_of(send.client);
    EXPECT_TRUE(is_member(plan, user, send.channel));
    if (send.kind == SendKind::reply || send.kind == SendKind::reaction) {
      EXPECT_TRUE(written.contains(send.channel));
      EXPECT_FALSE(plan.absent(user, send.due));
    }
    if (send.kind == SendKind::message && send.pair == 0) written.insert(send.channel);
    if (send.mentioned == nobody) continue;
    EXPECT_LE(send.kind, SendKind::reply) << "only messages mention";
    EXPECT_NE(send.mentioned, user);
    EXPECT_TRUE(is_member(plan, send.mentioned, send.channel));
  }
}

TEST_P(PlanAbout, KindsShiftNoMessageThatIsAboutNone) {
  Scenario plain = plan.scenario();
  plain.workloads[0].kinds = {1};
  plain.workloads[0].mentions = 0;
  const std::vector<Send> without = all_sends(Plan{plain});
  ASSERT_EQ(without.size(), sends.size());
  for (std::size_t i = 0; i < sends.size(); ++i) {
    EXPECT_EQ(sends[i].due, without[i].due);
    if (sends[i].kind != SendKind::message) continue;
    EXPECT_EQ(sends[i].client, without[i].client);
    EXPECT_EQ(sends[i].channel, without[i].channel);
    EXPECT_EQ(sends[i].bytes, without[i].bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Arrivals, PlanAbout, testing::Values(Arrivals::poisson, Arrivals::even),
                         [](const auto& test) {
                           return test.param == Arrivals::even ? "even" : "poisson";
                         });

TEST(PlanAboutBlocks, ABlockIsTheSameWhateverWasAskedBefore) {
  const Plan plan{talkative(Arrivals::poisson)};
  const Plan other{talkative(Arrivals::poisson)};
  const std::vector<Send> sends = all_sends(plan);
  std::vector<Send> late;
  other.sends(other.send_blocks() - 1, late);
  ASSERT_FALSE(late.empty());
  for (std::size_t i = 0; i < late.size(); ++i) {
    const Send& same = sends[sends.size() - late.size() + i];
    EXPECT_EQ(late[i].kind, same.kind);
    EXPECT_EQ(late[i].client, same.client);
    EXPECT_EQ(late[i].pair, same.pair);
  }
  EXPECT_EQ(plan.fingerprint(), other.fingerprint());
}

}  // namespace
}  // namespace clamor::scenario
