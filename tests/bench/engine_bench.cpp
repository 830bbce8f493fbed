// Question: how many events a second do the timing wheel and std::priority_queue give?
//
// The hold model (Jones, CACM 1986): a constant population; each step pops the earliest event,
// touches a random client's record and pushes a successor. Increments are exponential with a mean
// of one second.
#include "server/base/hash.hpp"
#include "server/base/random.hpp"
#include "sim/engine/heap_queue.hpp"
#include "sim/engine/timing_wheel.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using clamor::DrawPurpose;

/// What a simulator keeps of one client: a line of the cache.
struct alignas(64) ClientRecord {
  std::uint64_t touched = 0;
};

constexpr std::size_t pending = 1'000'000;

/// Exponential increments from a table, so that the logarithm is not what is measured.
const std::vector<std::int64_t>& increments() {
  static const std::vector<std::int64_t> table = [] {
    std::vector<std::int64_t> drawn(1U << 16U);
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      const double unit = clamor::unit_from_bits(clamor::draw_bits(7, DrawPurpose::test, i));
      drawn[i] = static_cast<std::int64_t>(-1e9 * std::log1p(-unit));
    }
    return drawn;
  }();
  return table;
}

template <class Queue>
void hold(benchmark::State& state) {
  const auto clients = static_cast<std::uint32_t>(state.range(0));
  std::vector<ClientRecord> records(clients);
  const auto& table = increments();
  Queue queue;
  std::uint64_t draw = 1;
  const auto next_client = [&] {
    draw = draw * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::uint32_t>(((draw >> 32U) * clients) >> 32U);
  };
  for (std::size_t i = 0; i < pending; ++i) queue.push(table[i % table.size()], next_client());
  std::size_t step = 0;
  const auto prefetch = [&](std::uint32_t id) { __builtin_prefetch(&records[id], 1); };
  const auto hold_once = [&] {
    clamor::sim::Event event;
    queue.pop(event, prefetch);
    ++records[event.id].touched;
    queue.push(event.time_ns + table[step++ % table.size()], next_client());
  };
  for (std::size_t i = 0; i < pending; ++i) hold_once();  // to the steady state
  for (auto _ : state) {
    for (int i = 0; i < 1024; ++i) hold_once();
  }
  std::uint64_t touched = 0;
  for (const ClientRecord& record : records) touched += record.touched;
  if (queue.size() != pending || touched != step) state.SkipWithError("events were lost");
  state.SetItemsProcessed(state.iterations() * 1024);
}

BENCHMARK(hold<clamor::sim::TimingWheel>)
    ->Name("hold/wheel")
    ->ArgName("clients")
    ->Arg(1'000'000)
    ->Arg(10'000'000);
BENCHMARK(hold<clamor::sim::HeapQueue>)
    ->Name("hold/priority_queue")
    ->ArgName("clients")
    ->Arg(1'000'000)
    ->Arg(10'000'000);

}  // namespace
