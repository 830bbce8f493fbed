#include "tests/bench/fanout/open_loop.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <vector>

namespace clamor::bench {
namespace {

constexpr double warm_up_seconds = 0.5;
constexpr std::chrono::seconds drain_limit{30};

}  // namespace

Histogram measure_latency(const ServerProcess& server, std::unique_ptr<Dialect> dialect,
                          const Shape& shape, double rate, double seconds) {
  Histogram latencies;
  std::vector<Clock::time_point> due;  // By message; message m is number m / groups of its group.
  std::uint64_t deliveries = 0;
  const double messages_per_second = rate / shape.group_size;
  const auto warm_up = static_cast<std::size_t>(messages_per_second * warm_up_seconds);
  Peers peers{[&](std::uint32_t connection, Bytes payload) {
    const auto n = dialect->received(peers, connection, payload);
    if (!n) return;
    ++deliveries;
    const std::size_t message = *n * shape.groups() + shape.group_of(connection);
    if (message < warm_up) return;
    const std::chrono::nanoseconds took = Clock::now() - due.at(message);
    latencies.record(static_cast<std::uint64_t>(took.count()));
  }};
  peers.connect(server.port(), shape.connections);
  dialect->enter(peers, shape);
  const auto messages =
      warm_up + static_cast<std::size_t>(std::ceil(messages_per_second * seconds));
  const auto began = Clock::now();
  for (std::size_t message = 0; message < messages; ++message) {
    const std::chrono::duration<double> offset{static_cast<double>(message) / messages_per_second};
    const auto at = began + std::chrono::duration_cast<Clock::duration>(offset);
    for (auto now = Clock::now(); now < at; now = Clock::now()) peers.turn(at - now);
    due.push_back(at);
    dialect->send(peers, static_cast<std::uint32_t>(message % shape.groups()),
                  message / shape.groups());
  }
  peers.turn_until([&] { return deliveries == messages * shape.group_size; }, drain_limit,
                   "messages under way arrive");
  return latencies;
}

}  // namespace clamor::bench
