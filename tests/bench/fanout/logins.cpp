#include "tests/bench/fanout/logins.hpp"

#include <chrono>
#include <stdexcept>
#include <thread>

namespace clamor::bench {
namespace {

constexpr std::uint32_t under_way = 64;
constexpr std::chrono::seconds storm_limit{60};
constexpr std::chrono::milliseconds look_interval{50};

/// Until the server has dealt with what it lost: it used next to no CPU time between two looks.
void wait_until_quiet(const ServerProcess& server) {
  constexpr double next_to_none = 0.001;
  const auto deadline = Clock::now() + storm_limit;
  double before = server.cpu_seconds();
  for (;;) {
    std::this_thread::sleep_for(look_interval);
    const double now = server.cpu_seconds();
    if (now - before < next_to_none) return;
    if (Clock::now() > deadline) throw std::runtime_error("the server does not come to rest");
    before = now;
  }
}

}  // namespace

double measure_logins(const ServerProcess& server, std::unique_ptr<Dialect> dialect,
                      const Shape& shape, std::uint32_t storms) {
  Peers peers{[&](std::uint32_t connection, Bytes payload) {
    (void)dialect->received(peers, connection, payload);
  }};
  peers.connect(server.port(), shape.connections);
  dialect->enter(peers, shape);
  double cpu = 0;
  for (std::uint32_t storm = 0; storm < storms; ++storm) {
    peers.disconnect();
    wait_until_quiet(server);
    const double before = server.cpu_seconds();
    const std::uint32_t entered = dialect->entered();
    for (std::uint32_t begun = 0; begun < shape.connections; ++begun) {
      peers.turn_until([&] { return begun - (dialect->entered() - entered) < under_way; },
                       storm_limit, "connections come back");
      peers.begin(server.port(),
                  [&](std::uint32_t connection) { dialect->enter_again(peers, connection); });
    }
    peers.turn_until([&] { return dialect->entered() - entered == shape.connections; }, storm_limit,
                     "all connections are back");
    cpu += server.cpu_seconds() - before;
  }
  return static_cast<double>(shape.connections) * storms / cpu;
}

}  // namespace clamor::bench
