// Question: what do core's decisions cost per member, channel and frame, by design and group size?
#include "server/core/accept.hpp"
#include "server/core/fan_out.hpp"
#include "server/core/placement.hpp"
#include "server/core/session_buffer.hpp"
#include "server/core/sync.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace clamor::core {
namespace {

constexpr std::uint32_t partitions = 16;

benchmark::Counter per(double count) {
  return {count, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert};
}

ChannelDesign design_of(const benchmark::State& state) {
  return static_cast<ChannelDesign>(state.range(0));
}

void label(benchmark::State& state) {
  static constexpr std::array names{"per_user", "per_member", "per_group"};
  state.SetLabel(names[static_cast<std::size_t>(state.range(0))]);
}

std::vector<MemberRow> members_by_partition(std::uint64_t members) {
  std::vector<MemberRow> rows;
  for (std::uint64_t user = 1; user <= members; ++user) {
    rows.push_back({{user}, partition_of(UserId{user}, partitions), {MessageId{1}}});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const MemberRow& a, const MemberRow& b) {
    return a.partition < b.partition;
  });
  return rows;
}

/// One commit's run of records to a group: who gets queue entries?
void durable_fan_out(benchmark::State& state) {
  const auto members = static_cast<std::uint64_t>(state.range(1));
  const auto records = static_cast<std::uint32_t>(state.range(2));
  const std::vector<MemberRow> rows = members_by_partition(members);
  DurablePlan plan;
  MessageId first{2};
  for (auto _ : state) {
    plan.clear();
    plan_durable(design_of(state), {ChannelId{1}, first, records}, rows, plan);
    first = first + records;
    benchmark::DoNotOptimize(plan.entries.data());
  }
  if (plan.entry_count != durable_entries(design_of(state), records, members)) {
    state.SkipWithError("the plan misses entries");
  }
  label(state);
  state.counters["time_per_member_record"] = per(static_cast<double>(members * records));
}
BENCHMARK(durable_fan_out)
    ->ArgNames({"design", "members", "records"})
    ->ArgsProduct({{0, 2}, {2, 10, 100, 1'000, 10'000}, {1, 16}});

/// One record to the sessions of a group on one node: the decision per session, without the write.
void live_fan_out(benchmark::State& state) {
  const auto sessions = static_cast<std::size_t>(state.range(0));
  std::vector<SessionBuffer> buffers(sessions);
  std::vector<Interval> intervals(sessions, Interval{MessageId{1}});
  constexpr SessionLimits limits;
  std::vector<NodeRun> runs(16);
  for (NodeRun& run : runs) run.interested = true;
  LivePlan plan;
  MessageId id{2};
  std::size_t queued = 0;
  std::int64_t turns = 0;
  for (auto _ : state) {
    const Instant now{Duration{++turns}};
    plan.runs.clear();
    plan_live(runs, plan);
    for (std::size_t i = 0; i < sessions; ++i) {
      if (!intervals[i].contains(id)) continue;
      queued += offer(buffers[i], 160, now, limits) == SendDecision::queue ? 1 : 0;
      flushed(buffers[i], 160, now);
    }
    ++id;
  }
  if (queued != sessions * static_cast<std::size_t>(turns)) state.SkipWithError("a frame refused");
  state.counters["time_per_delivery"] = per(static_cast<double>(sessions));
}
BENCHMARK(live_fan_out)->ArgName("sessions")->RangeMultiplier(10)->Range(10, 10'000);

/// A login: heads against positions, and the reads that follow. A tenth of the channels has news.
void sync_plan(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(1));
  const std::vector<Interval> always{{MessageId{1}}};
  std::vector<ChannelSync> channels;
  for (std::uint64_t i = 1; i <= count; ++i) {
    channels.push_back(
        {.channel = {i},
         .held = MessageId{i % 10 == 0 ? 80U : 100U},
         .durable_head = MessageId{100},
         .covered = MessageId{design_of(state) == ChannelDesign::per_group ? 0U : 95U},
         .design = design_of(state),
         .intervals = always});
  }
  SyncPlan plan;
  for (auto _ : state) {
    plan.scans.clear();
    plan.head_comparisons = plan.records = 0;
    plan_sync(channels, plan);
    benchmark::DoNotOptimize(plan.scans.data());
  }
  if (plan.records != count / 10 * 20) state.SkipWithError("the plan misses records");
  label(state);
  state.counters["scans"] = static_cast<double>(plan.scans.size());
  state.counters["time_per_channel"] = per(static_cast<double>(count));
}
BENCHMARK(sync_plan)->ArgNames({"design", "channels"})->ArgsProduct({{0, 1, 2}, {10, 100, 1'000}});

/// Sends of many devices to many channels, in turn, so that the rows do not sit in the first cache.
void accept_send(benchmark::State& state) {
  struct Row {
    ChannelHead channel;
    DedupRow dedup;
    std::array<MessageId, dedup_ring_size> ring{};
  };
  std::vector<Row> rows(static_cast<std::size_t>(state.range(0)));
  std::size_t i = 0;
  std::uint64_t accepted = 0;
  for (auto _ : state) {
    Row& row = rows[i];
    i = i + 1 == rows.size() ? 0 : i + 1;
    const Accepted answer = accept(row.channel, row.dedup, row.ring, 1, row.dedup.last + 1);
    row.channel.durable_head = answer.id;
    accepted += answer.outcome == AcceptOutcome::accepted ? 1 : 0;
  }
  if (accepted != static_cast<std::uint64_t>(state.iterations()))
    state.SkipWithError("a send was refused");
}
BENCHMARK(accept_send)->ArgName("rows")->Arg(16)->Arg(16'384);

}  // namespace
}  // namespace clamor::core
