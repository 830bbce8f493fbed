// Question: what does one message to a channel of 1,000 members cost in durable queue entries,
// gathered in memory and flushed as a row a user, beside one row an entry and one write a message?
// And what less where the members are there and acknowledge?
#include "tests/bench/queues/load.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

namespace clamor::bench {
namespace {

/// So many that there are several flushes, and compaction is a part of what is measured.
constexpr std::uint64_t packed_messages = 64'000;
constexpr std::uint64_t copied_messages = 6'400;
constexpr std::uint64_t naive_messages = 1'500;
/// What online devices let pass between two acknowledgements: 5 s at 200 messages a second.
constexpr std::uint64_t messages_per_ack = 1'000;

/// The naive form does not care for commits: it is run once for each set of channels.
const QueueCost& naive(QueueLoad load) {
  static std::map<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>, QueueCost> known;
  const auto [found, is_new] = known.try_emplace({load.channels, load.members, load.users});
  if (is_new) {
    load.messages = naive_messages;
    found->second = run_naive(load);
  }
  return found->second;
}

/// Messages go to `channels` channels in turn, whose members overlap among `users` users: 1,000 of
/// them share all channels of 1,000. In 20,000 channels of 10 a user gets a message now and then.
void queues(benchmark::State& state) {
  QueueLoad load{.messages_per_commit = static_cast<std::uint64_t>(state.range(0)),
                 .channels = static_cast<std::uint64_t>(state.range(1)),
                 .members = static_cast<std::uint64_t>(state.range(2)),
                 .users = static_cast<std::uint64_t>(state.range(3)),
                 .payload = static_cast<QueuePayload>(state.range(4)),
                 .messages_per_ack = state.range(5) != 0 ? messages_per_ack : 0};
  state.SetLabel(std::string{name_of(load.payload)});
  load.messages = load.payload == QueuePayload::copy ? copied_messages : packed_messages;
  for (auto _ : state) {
    const QueueCost ours = run_packed(load);
    const QueueCost& theirs = naive(load);
    for (const QueueCost* const cost : {&ours, &theirs}) {
      if (!cost->fault.empty()) state.SkipWithError(cost->fault.c_str());
    }
    const auto each = static_cast<double>(load.messages);
    const auto each_naive = static_cast<double>(naive_messages);
    const auto counter = [&](const char* name, double value) { state.counters[name] = value; };
    counter("cpu_ms", ours.usage.cpu_seconds * 1e3 / each);
    counter("naive_cpu_ms", theirs.usage.cpu_seconds * 1e3 / each_naive);
    counter("cpu_ratio", theirs.usage.cpu_seconds / each_naive / (ours.usage.cpu_seconds / each));
    counter("device_kb", ours.usage.device_bytes / 1e3 / each);
    counter("naive_device_kb", theirs.usage.device_bytes / 1e3 / each_naive);
    counter("device_ratio",
            theirs.usage.device_bytes / each_naive / (ours.usage.device_bytes / each));
    counter("scan_us", ours.scan_seconds * 1e6);
    counter("naive_scan_us", theirs.scan_seconds * 1e6);
  }
}
BENCHMARK(queues)
    ->ArgNames({"messages_per_commit", "channels", "members", "users", "copies", "acks"})
    ->ArgsProduct({{1, 8, 64}, {1}, {1000}, {1000}, {0, 1}, {0, 1}})
    ->ArgsProduct({{8, 64}, {64}, {1000}, {1000}, {0}, {0, 1}})
    ->ArgsProduct({{1, 8, 64}, {800}, {1000}, {100'000}, {0}, {0, 1}})
    ->ArgsProduct({{1, 8, 64}, {20'000}, {10}, {100'000}, {0, 1}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace clamor::bench
