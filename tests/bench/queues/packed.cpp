#include "server/core/fan_out.hpp"
#include "server/store/committer.hpp"
#include "server/store/queue_writer.hpp"
#include "server/store/store.hpp"
#include "tests/bench/queues/load.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <semaphore>
#include <utility>

namespace clamor::bench {
namespace {

using namespace std::chrono_literals;

constexpr PartitionId partition{0};

/// Members' rows as a channel keeps them.
std::vector<core::MemberRow> rows_of(const QueueLoad& load, std::uint64_t channel) {
  std::vector<core::MemberRow> rows;
  for (const UserId user : load.members_of(channel)) rows.push_back({user, partition, {{1}}});
  return rows;
}

/// What the users' devices say once they hold all there is: those that got something since the last
/// time. Clears `news`.
std::vector<core::DeviceReport> acks_of(const std::vector<std::vector<core::MemberRow>>& members,
                                        const std::vector<MessageId>& heads,
                                        std::vector<bool>& news) {
  std::vector<core::DeviceReport> all(news.size());
  for (std::uint64_t channel = 0; channel < members.size(); ++channel) {
    for (const core::MemberRow& member : members[channel]) {
      if (news[member.user.value]) {
        all[member.user.value].holds.push_back({{channel + 1}, heads[channel]});
      }
    }
  }
  std::vector<core::DeviceReport> reports;
  for (std::uint64_t user = 0; user < all.size(); ++user) {
    if (!news[user]) continue;
    all[user].user = {user};
    all[user].device = {1};
    reports.push_back(std::move(all[user]));
  }
  news.assign(news.size(), false);
  return reports;
}

std::string fault_in(const store::Store& store, const QueueLoad& load,
                     const std::vector<std::uint64_t>& entries) {
  std::vector<store::UserQueueRow> rows;
  for (std::uint64_t user = 1; user <= load.users; user += 97) {
    rows.clear();
    store.scan_user_queue({user}, {}, 1U << 30U, 1U << 30U, rows).value();
    std::uint64_t count = 0;
    for (const auto& row : rows) {
      for (const store::QueueRun& run : row.runs) count += run.count;
    }
    if (count != (load.messages_per_ack == 0 ? entries[user] : 0))
      return "a queue does not hold what was written";
  }
  return {};
}

double scan_seconds(const store::Store& store, const QueueLoad& load,
                    const std::vector<std::uint64_t>& entries) {
  std::vector<store::UserQueueRow> rows;
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t user = 1; user <= load.users; ++user) {
    rows.clear();
    const std::uint64_t after = entries[user] < 64 ? 0 : entries[user] - 64;
    store.scan_user_queue({user}, {after}, 128, 1U << 18U, rows).value();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  return took.count() / static_cast<double>(load.users);
}

}  // namespace

QueueCost run_packed(const QueueLoad& load) {
  const TemporaryDirectory directory;
  store::Store store{
      {.path = directory.path(), .durability = store::Durability::os, .payload = load.payload}};
  std::vector<std::vector<core::MemberRow>> members;
  for (std::uint64_t i = 0; i < load.channels; ++i) members.push_back(rows_of(load, i));
  std::vector<MessageId> heads(load.channels);
  std::vector<std::uint64_t> entries(load.users + 1);
  std::vector<bool> news(load.users + 1);
  JournalSequence journal;
  std::uint64_t ack_at = load.messages_per_ack;
  core::DurablePlan plan;
  const Usage before = Usage::now();
  {
    std::counting_semaphore<> committed{0};
    store::Committer committer{store, [&](const store::CommitOutcome&) { committed.release(); }};
    store::QueueWriter writer{store, {.linger = 0ms}, [](const store::QueueOutcome&) {}};
    for (std::uint64_t message = 0; message < load.messages;) {
      auto commit = std::make_shared<store::Commit>();
      std::map<std::uint64_t, core::RecordRun> runs;
      for (std::uint64_t i = 0; i < load.messages_per_commit; ++i, ++message) {
        const std::uint64_t channel = load.channel_of(message);
        core::RecordRun& run = runs[channel];
        const MessageId id = ++heads[channel];
        if (run.count++ == 0) run = {{channel + 1}, id, 1};
        commit->add({.channel = run.channel, .id = id, .sender = {1}}, load.body(message),
                    {partition, ++journal});
      }
      committer.submit(commit);
      committed.acquire();
      store::FanOut fan_out;
      fan_out.cursors.push_back({partition, journal});
      fan_out.records = std::move(commit);
      for (const auto& [channel, run] : runs) {
        plan.clear();
        core::plan_durable(core::ChannelDesign::per_user, run, members[channel], plan);
        for (const core::DurableEntry& entry : plan.entries) {
          entries[entry.user.value] += entry.count;
          news[entry.user.value] = true;
        }
        fan_out.entries.insert(fan_out.entries.end(), plan.entries.begin(), plan.entries.end());
        fan_out.runs.push_back(
            {run.channel, core::ChannelDesign::per_user, fan_out.entries.size()});
      }
      writer.submit(std::move(fan_out));
      if (load.messages_per_ack != 0 && (message >= ack_at || message == load.messages)) {
        ack_at += load.messages_per_ack;
        auto reports = acks_of(members, heads, news);
        writer.report(reports);
      }
      if (!writer.drain()) return {.fault = "a queue write failed"};
    }
  }
  store.settle().value();
  QueueCost cost{.usage = Usage::now().since(before)};
  cost.fault = fault_in(store, load, entries);
  cost.scan_seconds = scan_seconds(store, load, entries);
  return cost;
}

}  // namespace clamor::bench
