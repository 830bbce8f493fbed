#include "scenarios/model/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <rapidcheck.h>
#include <set>

namespace clamor::scenario {
namespace {

/// The scenario of the README's quickstart, by hand: several group sizes, second devices,
/// absences of both kinds, a mostly offline group.
Scenario lively() {
  Scenario scenario;
  scenario.name = "lively";
  scenario.seed = 42;
  scenario.population.users = 2000;
  scenario.population.devices = {{1, 0.9}, {2, 0.1}};
  scenario.population.contacts = 10;
  scenario.population.away = {
      {.kind = Away::Kind::once, .share = 0.2, .duration = 12s, .within = 8s},
      {.kind = Away::Kind::repeating, .share = 0.2, .duration = 3s, .every = 6s}};
  scenario.groups = {
      {"quiet", 4000, 5}, {"team", 60, 50}, {"hall", 1, 600}, {"archive", 1, 600, 0.1}};
  Workload chat;
  chat.name = "chat";
  chat.rate = 200;
  chat.duration = 20s;
  chat.mix = {{"direct", 0.5}, {"quiet", 0.28}, {"team", 0.18}, {"hall", 0.02}, {"archive", 0.02}};
  chat.message_bytes = {.kind = MessageBytes::Kind::lognormal, .median = 80, .p99 = 900};
  scenario.workloads = {chat};
  scenario.faults = {{.at = 10s, .share = 0.3}};
  return scenario;
}

std::vector<Send> all_sends(const Plan& plan) {
  std::vector<Send> sends;
  for (std::uint32_t block = 0; block < plan.send_blocks(); ++block) plan.sends(block, sends);
  return sends;
}

std::vector<std::uint32_t> members_of(const Plan& plan, std::uint32_t channel) {
  std::vector<std::uint32_t> members;
  plan.members(channel, members);
  return members;
}

std::vector<Absence> absences_of(const Plan& plan, std::uint32_t user) {
  std::vector<Absence> absences;
  plan.absences(user, absences);
  return absences;
}

/// Every user's channels must be exactly the channels whose members name the user.
void expect_memberships_agree(const Plan& plan) {
  std::vector<std::vector<std::uint32_t>> by_user(plan.users());
  for (std::uint32_t channel = 0; channel < plan.channels(); ++channel) {
    const auto members = members_of(plan, channel);
    ASSERT_EQ(members.size(), plan.members_in(channel));
    ASSERT_EQ(std::set(members.begin(), members.end()).size(), members.size())
        << "a member twice in channel " << channel;
    for (const std::uint32_t user : members) by_user.at(user).push_back(channel);
  }
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    std::vector<std::uint32_t> channels;
    plan.channels_of(user, channels);
    ASSERT_EQ(channels, by_user[user]) << "user " << user;
  }
}

TEST(Permutation, VisitsEveryValueOnceAndInvertsItself) {
  for (const std::uint32_t size : {1U, 2U, 3U, 5U, 16U, 17U, 100U, 997U, 2000U, 65537U}) {
    const Permutation order{7, PermutationUse::members, size, size};
    std::vector<bool> seen(size, false);
    for (std::uint32_t rank = 0; rank < size; ++rank) {
      const std::uint32_t value = order.at(rank);
      ASSERT_LT(value, size);
      ASSERT_FALSE(seen[value]);
      seen[value] = true;
      ASSERT_EQ(order.rank_of(value), rank);
    }
  }
}

TEST(Permutation, InvertsItselfAtTenMillion) {
  const Permutation order{7, PermutationUse::members, 3, 10'000'000};
  for (std::uint32_t rank = 0; rank < order.size(); rank += 997) {
    ASSERT_EQ(order.rank_of(order.at(rank)), rank);
  }
}

/// Chi-square of `counts` against equal shares.
double chi_square(const std::vector<double>& counts) {
  const double mean =
      std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
  double sum = 0;
  for (const double count : counts) sum += (count - mean) * (count - mean) / mean;
  return sum;
}

TEST(Permutation, SpreadsTheFirstRanksEvenly) {
  // The first 400 of 2000 ranks, in 20 bins: over many orders and sizes the statistic must lie
  // about its 19 degrees of freedom (slightly below: drawn without replacement).
  double sum = 0;
  constexpr int orders = 200;
  for (std::uint64_t stream = 0; stream < orders; ++stream) {
    const Permutation order{7, PermutationUse::members, stream, 2000};
    std::vector<double> bins(20, 0);
    for (std::uint32_t rank = 0; rank < 400; ++rank) bins[order.at(rank) / 100] += 1;
    sum += chi_square(bins);
  }
  EXPECT_NEAR(sum / orders, 19 * 0.8, 2);
}

TEST(Permutation, PairsNeighboursWithAnybody) {
  // Where rank r goes says nothing about where r + 1 goes: their distance, in 16 bins, is uniform.
  for (const std::uint32_t size : {2000U, 1'000'000U}) {
    const Permutation order{3, PermutationUse::members, 5, size};
    std::vector<double> bins(16, 0);
    for (std::uint32_t rank = 0; rank + 1 < std::min(size, 100'000U); ++rank) {
      const std::uint64_t distance = order.at(rank + 1) + size - order.at(rank);
      bins[distance % size * 16 / size] += 1;
    }
    EXPECT_LT(chi_square(bins), 55) << "15 degrees of freedom: once in a million";
  }
}

TEST(Permutation, StreamsAreUnrelated) {
  const Permutation order{7, PermutationUse::members, 0, 2000};
  for (std::uint64_t stream = 1; stream < 50; ++stream) {
    const Permutation other{7, PermutationUse::members, stream, 2000};
    std::uint32_t same = 0;
    for (std::uint32_t rank = 0; rank < 2000; ++rank) same += order.at(rank) == other.at(rank);
    EXPECT_LT(same, 12U) << "one is expected";
  }
}

TEST(Plan, DevicesFollowTheSharesExactlyAndClientsInvert) {
  Scenario scenario = lively();
  scenario.population.devices = {{1, 0.6}, {2, 0.3}, {3, 0.1}};
  const Plan plan{scenario};
  EXPECT_EQ(plan.clients(), 2000U + 800U + 200U);
  std::map<std::uint32_t, std::uint32_t> by_devices;
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    const std::uint32_t devices = plan.devices_of(user);
    ++by_devices[devices];
    for (std::uint32_t device = 1; device <= devices; ++device) {
      const std::uint32_t client = plan.client_of(user, device);
      EXPECT_EQ(plan.user_of(client), user);
      EXPECT_EQ(plan.device_of(client), device);
    }
  }
  EXPECT_EQ(by_devices, (std::map<std::uint32_t, std::uint32_t>{{1, 1200}, {2, 600}, {3, 200}}));
}

TEST(Plan, ChannelsOfAUserAgreeWithMembersOfChannels) {
  const Plan plan{lively()};
  EXPECT_EQ(plan.channels(), 10U * 1000U + 4000U + 60U + 1U + 1U);
  EXPECT_EQ(plan.class_name(0), "direct");
  EXPECT_EQ(plan.class_name(plan.class_of(14'061)), "archive");
  expect_memberships_agree(plan);
}

TEST(Plan, EveryUserHasItsContacts) {
  const Plan plan{lively()};
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    std::vector<std::uint32_t> channels;
    plan.channels_of(user, channels);
    const auto direct = std::count_if(channels.begin(), channels.end(),
                                      [](std::uint32_t channel) { return channel < 10'000; });
    EXPECT_EQ(direct, 10);
  }
}

TEST(Plan, MembershipsAgreeForAnyPopulation) {
  std::map<std::string, int> seen;
  const bool held = rc::check([&seen] {
    Scenario scenario;
    scenario.seed = *rc::gen::arbitrary<std::uint64_t>();
    scenario.population.users = *rc::gen::inRange(1U, 300U);
    scenario.population.contacts = *rc::gen::inRange(0U, 6U);
    for (std::uint32_t i = 0, n = *rc::gen::inRange(0U, 4U); i < n; ++i) {
      scenario.groups.push_back({"g" + std::to_string(i), *rc::gen::inRange(1U, 40U),
                                 *rc::gen::inRange(1U, scenario.population.users + 1),
                                 *rc::gen::inRange(0, 5) / 4.0});
    }
    const Plan plan{scenario};
    expect_memberships_agree(plan);
    RC_ASSERT(!testing::Test::HasFatalFailure());
    ++seen[scenario.population.users % 2 == 0 ? "even population" : "odd population"];
    ++seen[scenario.groups.empty() ? "no groups" : "groups"];
    ++seen[scenario.population.contacts == 0 ? "no contacts" : "contacts"];
  });
  EXPECT_TRUE(held);
  for (const char* what :
       {"even population", "odd population", "no groups", "groups", "no contacts", "contacts"}) {
    std::printf("%-16s %d\n", what, seen[what]);
    EXPECT_GT(seen[what], 0) << what;
  }
}

TEST(Plan, DormantUsersAreTheOfflineMembersAndOneLongAbsence) {
  const Plan plan{lively()};
  const auto archive = members_of(plan, plan.channels() - 1);
  std::set<std::uint32_t> offline(archive.begin() + 60, archive.end());
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    ASSERT_EQ(plan.dormant(user), offline.contains(user));
    if (!plan.dormant(user)) continue;
    const auto absences = absences_of(plan, user);
    ASSERT_EQ(absences.size(), 1U);
    EXPECT_EQ(absences[0].from, Instant{});
    EXPECT_EQ(absences[0].until, Instant::max());
    EXPECT_TRUE(plan.absent(user, Instant{5s}));
  }
}

TEST(Plan, AbsencesKeepTheirSharesAndLengths) {
  Scenario scenario = lively();
  scenario.groups.clear();  // nobody dormant
  scenario.workloads[0].mix = {{"direct", 1}};
  const Plan plan{scenario};
  std::uint32_t once = 0;
  std::uint32_t repeating = 0;
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    const auto absences = absences_of(plan, user);
    if (absences.empty()) continue;
    if (absences.size() == 1) {
      ++once;
      EXPECT_LT(absences[0].from, Instant{8s});
      EXPECT_EQ(absences[0].until,
                absences[0].from + 12s < Instant{20s} ? absences[0].from + 12s : Instant::max());
      continue;
    }
    ++repeating;
    for (std::size_t i = 0; i < absences.size(); ++i) {
      const bool cut = absences[i].from == Instant{} || absences[i].until == Instant::max();
      EXPECT_TRUE(cut || absences[i].until - absences[i].from == 3s);
      if (i > 0) {
        EXPECT_EQ(absences[i].from - absences[i - 1].until, 3s);
      }
    }
  }
  EXPECT_EQ(once, 400U);
  EXPECT_EQ(repeating, 400U);
}

TEST(Plan, AbsentAndPresentFromAgreeWithTheListOfAbsences) {
  const Plan plan{lively()};
  for (std::uint32_t user = 0; user < plan.users(); ++user) {
    const auto absences = absences_of(plan, user);
    for (Duration at{}; at < plan.duration(); at += 331ms) {
      Instant expected{at};
      for (const Absence& absence : absences) {
        if (absence.from <= Instant{at} && Instant{at} < absence.until) expected = absence.until;
      }
      ASSERT_EQ(plan.present_from(user, Instant{at}), expected);
      ASSERT_EQ(plan.absent(user, Instant{at}), expected != Instant{at});
    }
  }
}

TEST(Plan, SendsAreAsManyAsTheRateSaysAscendingAndFromPresentMembers) {
  const Plan plan{lively()};
  const auto sends = all_sends(plan);
  ASSERT_EQ(sends.size(), 4000U);
  EXPECT_EQ(plan.send_count(), 4000U);
  for (std::size_t i = 0; i < sends.size(); ++i) {
    ASSERT_EQ(sends[i].ordinal, i);
    ASSERT_TRUE(i == 0 || sends[i - 1].due <= sends[i].due);
    ASSERT_LT(sends[i].due, Instant{plan.duration()});
    const std::uint32_t user = plan.user_of(sends[i].client);
    const auto members = members_of(plan, sends[i].channel);
    ASSERT_NE(std::find(members.begin(), members.end(), user), members.end());
    ASSERT_FALSE(plan.absent(user, sends[i].due));
    ASSERT_GT(sends[i].bytes, 0U);
  }
}

TEST(Plan, SendsFollowTheMixAndTheSizesTheirDistribution) {
  Scenario scenario = lively();
  scenario.workloads[0].rate = 5000;
  const Plan plan{scenario};
  std::map<std::string_view, double> share;
  std::vector<std::uint32_t> bytes;
  for (const Send& send : all_sends(plan)) {
    share[plan.class_name(plan.class_of(send.channel))] += 1e-5;
    bytes.push_back(send.bytes);
  }
  EXPECT_NEAR(share["direct"], 0.5, 0.01);
  EXPECT_NEAR(share["quiet"], 0.28, 0.01);
  EXPECT_NEAR(share["archive"], 0.02, 0.003);
  std::sort(bytes.begin(), bytes.end());
  EXPECT_NEAR(bytes[bytes.size() / 2], 80, 3);
  EXPECT_NEAR(bytes[bytes.size() * 99 / 100], 900, 60);
}

TEST(Plan, PoissonGapsAreExponential) {
  // For a Poisson process the gaps' standard deviation equals their mean.
  Scenario scenario = lively();
  scenario.workloads[0].rate = 2000;
  const auto sends = all_sends(Plan{scenario});
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 1; i < sends.size(); ++i) {
    const double gap = to_seconds(sends[i].due - sends[i - 1].due);
    sum += gap;
    squares += gap * gap;
  }
  const double n = static_cast<double>(sends.size() - 1);
  const double mean = sum / n;
  EXPECT_NEAR(std::sqrt(squares / n - mean * mean) / mean, 1.0, 0.03);
}

TEST(Plan, EvenArrivalsAreEquidistantAcrossBlocks) {
  Scenario scenario = lively();
  scenario.workloads[0].rate = 7;  // its gap divides no block
  scenario.workloads[0].start_time = 300ms;
  scenario.workloads[0].arrivals = Arrivals::even;
  const auto sends = all_sends(Plan{scenario});
  ASSERT_EQ(sends.size(), 140U);
  for (std::size_t i = 0; i < sends.size(); ++i) {
    const double expected = 0.3 + (static_cast<double>(i) + 0.5) / 7;
    EXPECT_NEAR(to_seconds(sends[i].due.time_since_epoch()), expected, 1e-6);
  }
}

TEST(Plan, IsTheSameInAnyOrderOfCallsAndOtherForAnotherSeed) {
  const Plan plan{lively()};
  const Plan again{lively()};
  std::vector<Send> last_first;
  for (std::uint32_t block = again.send_blocks(); block > 0; --block) {
    again.sends(block - 1, last_first);
  }
  std::sort(last_first.begin(), last_first.end(),
            [](const Send& a, const Send& b) { return a.ordinal < b.ordinal; });
  const auto in_order = all_sends(plan);
  ASSERT_EQ(in_order.size(), last_first.size());
  for (std::size_t i = 0; i < in_order.size(); ++i) {
    ASSERT_EQ(in_order[i].due, last_first[i].due);
    ASSERT_EQ(in_order[i].client, last_first[i].client);
  }
  EXPECT_EQ(plan.fingerprint(), again.fingerprint());
  Scenario other = lively();
  other.seed = 43;
  EXPECT_NE(plan.fingerprint(), Plan{other}.fingerprint());
}

TEST(Plan, SharesThePreFillOutAsItsWorkloadsSendAndEvenlyWithinAClass) {
  Scenario scenario = lively();
  scenario.prefill_messages = 50'001;
  const Plan plan{scenario};
  std::map<std::string_view, std::uint64_t> by_class;
  std::map<std::string_view, std::set<std::uint32_t>> of_a_channel;
  for (std::uint32_t channel = 0; channel < plan.channels(); ++channel) {
    const std::string_view name = plan.class_name(plan.class_of(channel));
    by_class[name] += plan.prefill_in(channel);
    of_a_channel[name].insert(plan.prefill_in(channel));
    const auto members = members_of(plan, channel);
    EXPECT_TRUE(std::ranges::count(members, plan.prefill_sender(channel)) == 1);
  }
  std::uint64_t sum = 0;
  for (const auto& [name, share] : scenario.workloads.front().mix) {
    EXPECT_NEAR(static_cast<double>(by_class[name]), 50'001 * share, 1) << name;
    const std::set<std::uint32_t>& counts = of_a_channel[name];
    EXPECT_LE(*counts.rbegin() - *counts.begin(), 1U) << name;
    sum += by_class[name];
  }
  EXPECT_EQ(sum, plan.prefill_count()) << "nothing is left over";
  EXPECT_NE(plan.fingerprint(), Plan{lively()}.fingerprint());
  const auto with = all_sends(plan);
  const auto without = all_sends(Plan{lively()});
  ASSERT_EQ(with.size(), without.size());
  for (std::size_t i = 0; i < with.size(); ++i) {
    ASSERT_EQ(with[i].due, without[i].due) << "it shifts no arrival";
    ASSERT_EQ(with[i].client, without[i].client);
  }
  EXPECT_EQ(scaled(scenario, 2).prefill_messages, 100'002U);
}

TEST(Plan, MessagesOfThePreFillAreAsLongAsTheWorkloadsOfTheirClassMakeThem) {
  Scenario scenario = lively();
  scenario.prefill_messages = 10'000;
  scenario.workloads.push_back(scenario.workloads.front());
  scenario.workloads[0].mix = {{"direct", 1.0}};
  scenario.workloads[0].message_bytes = {.constant = 10};
  scenario.workloads[1].mix = {{"direct", 0.5}, {"hall", 0.5}};
  scenario.workloads[1].message_bytes = {.constant = 20};
  const Plan plan{scenario};
  std::map<std::string_view, std::map<std::uint32_t, double>> lengths;
  for (std::uint32_t channel = 0; channel < plan.channels(); ++channel) {
    for (std::uint32_t n = 0; n < plan.prefill_in(channel); ++n) {
      ++lengths[plan.class_name(plan.class_of(channel))][plan.prefill_bytes(channel, n)];
    }
  }
  EXPECT_EQ(lengths.size(), 2U);
  EXPECT_NEAR(lengths["direct"][10], 5000, 150);
  EXPECT_NEAR(lengths["direct"][20], 2500, 150);
  EXPECT_EQ(lengths["hall"][20], 2500);
}

TEST(Plan, ArrivalsDoNotDependOnWhatElseTheScenarioSends) {
  // A second workload must not shift a single send of the first.
  Scenario two = lively();
  two.workloads.push_back(two.workloads[0]);
  two.workloads[1].name = "more";
  two.workloads[1].rate = 31;
  two.workloads[1].start_time = 2s;
  std::set<std::int64_t> due_in_two;
  for (const Send& send : all_sends(Plan{two})) due_in_two.insert(to_ns(send.due));
  for (const Send& send : all_sends(Plan{lively()})) {
    EXPECT_TRUE(due_in_two.contains(to_ns(send.due)));
  }
}

TEST(Plan, FindsTheOnlyPresentMemberAndElseTheFirstDrawn) {
  Scenario scenario = lively();
  scenario.groups = {{"crowd", 1, 1900, 1.0 / 1900}};
  scenario.population.contacts = 0;
  scenario.population.away.clear();
  scenario.workloads[0].mix = {{"crowd", 1}};
  const Plan plan{scenario};
  const std::uint32_t only = members_of(plan, 0)[0];
  for (const Send& send : all_sends(plan)) ASSERT_EQ(plan.user_of(send.client), only);

  scenario.groups[0].online = 0;
  EXPECT_EQ(all_sends(Plan{scenario}).size(), 4000U) << "sends wait in outboxes, none is dropped";
}

TEST(Plan, FaultsHitTheExactShareOfClients) {
  const Plan plan{lively()};
  std::uint32_t hit = 0;
  for (std::uint32_t client = 0; client < plan.clients(); ++client) hit += plan.hits(0, client);
  EXPECT_EQ(hit, 660U);
}

TEST(Scale, MultipliesUsersGroupsAndRatesButNotSizes) {
  const Plan plan{scaled(lively(), 50)};
  EXPECT_EQ(plan.users(), 100'000U);
  EXPECT_EQ(plan.clients(), 110'000U);
  EXPECT_EQ(plan.channels(), 500'000U + 200'000U + 3000U + 50U + 50U);
  EXPECT_EQ(plan.members_in(plan.channels() - 1), 600U);
  EXPECT_EQ(plan.send_count(), 200'000U);
  std::vector<std::uint32_t> channels;
  for (std::uint32_t user = 0; user < plan.users(); ++user) plan.channels_of(user, channels);
  EXPECT_EQ(channels.size(), 1'000'000U + 1'000'000U + 150'000U + 30'000U + 30'000U);
}

TEST(Scale, KeepsUsersForTheLargestGroupAndRefusesTheImpossible) {
  EXPECT_EQ(scaled(lively(), 0.01).population.users, 600U);
  EXPECT_EQ(scaled(lively(), 0.01).groups[2].count, 1U);
  EXPECT_THROW((void)scaled(lively(), 1e7), ScaleError);
}

/// Two users talk; user 1 leaves at 2 s and comes back at 5 s, user 2 comes at 3 s, user 0
/// reconnects at 4 s.
Scenario small_trace(std::uint32_t copies) {
  using Kind = TraceEvent::Kind;
  Scenario scenario;
  scenario.population.users = 3 * copies;
  scenario.groups = {{"channel", copies, 3}};
  scenario.trace = {{1s, 0, Kind::send, 10, {}},      {2s, 1, Kind::disconnect, 0, {}},
                    {3s, 2, Kind::connect, 0, {}},    {3500ms, 2, Kind::send, 20, {0}},
                    {4s, 0, Kind::disconnect, 0, {}}, {4s, 0, Kind::connect, 0, {}},
                    {5s, 1, Kind::connect, 0, {}},    {8s, 1, Kind::send, 30, {}}};
  scenario.trace_connected = {0, 1};
  Workload replay;
  replay.executor = Workload::Executor::trace;
  replay.duration = 10s;
  replay.copies = copies;
  scenario.workloads = {replay};
  return scenario;
}

TEST(Trace, EventsBecomeSendsAndAbsences) {
  const Plan plan{small_trace(1)};
  const auto sends = all_sends(plan);
  ASSERT_EQ(sends.size(), 3U);
  EXPECT_EQ(sends[1].due, Instant{3500ms});
  EXPECT_EQ(sends[1].client, 2U);
  EXPECT_EQ(sends[1].bytes, 20U);
  const auto left = absences_of(plan, 1);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].from, Instant{2s});
  EXPECT_EQ(left[0].until, Instant{5s});
  EXPECT_EQ(absences_of(plan, 2)[0].until, Instant{3s});
  const auto reconnect = absences_of(plan, 0);
  ASSERT_EQ(reconnect.size(), 1U);
  EXPECT_EQ(reconnect[0].from, reconnect[0].until);
  EXPECT_FALSE(plan.absent(0, Instant{4s}));
}

TEST(Trace, CopiesAreChannelsOfTheirOwnUsersSpreadInTime) {
  const Plan plan{scaled(small_trace(2), 2)};
  EXPECT_EQ(plan.channels(), 4U);
  EXPECT_EQ(plan.users(), 12U);
  expect_memberships_agree(plan);
  const auto sends = all_sends(plan);
  ASSERT_EQ(sends.size(), 12U);
  EXPECT_EQ(plan.send_count(), 12U);
  std::set<std::int64_t> times;
  for (const Send& send : sends) {
    times.insert(to_ns(send.due));
    EXPECT_EQ(plan.user_of(send.client) / 3, send.channel);
    EXPECT_FALSE(plan.absent(plan.user_of(send.client), send.due));
  }
  EXPECT_EQ(times.size(), 12U) << "copies must not speak in lockstep";
}

}  // namespace
}  // namespace clamor::scenario
