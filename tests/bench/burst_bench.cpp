// Question: how soon has one message reached all of a large group, on one node and on one a core?
#include "tests/bench/fanout/dialects.hpp"
#include "tests/bench/fanout/server_process.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

// One group, all members online, spread over the nodes; every node is pinned to a core of its own.
// A burst is one message. The client sends it, sleeps until the burst is over and only then reads:
// the kernel has noted when each member's copy arrived at its socket. So the client takes no core
// from the servers, and what is measured is what they and the kernel do. Servers take turns; the
// figures are medians over all bursts. A report, never an assertion.
namespace clamor::bench {
namespace {

struct Options {
  std::uint32_t members = 1000;
  std::uint32_t bursts = 30;
  std::uint32_t rounds = 3;
  std::vector<std::uint32_t> nodes{1, 2};
  std::string clamor = CLAMOR_BINARY;
};

constexpr std::chrono::milliseconds asleep{100};
constexpr std::chrono::seconds patience{30};
constexpr std::uint32_t warm_up_bursts = 5;

/// Times after the send in ns at which half of the members, and the last one, had a burst.
struct Times {
  std::vector<std::int64_t> half;
  std::vector<std::int64_t> last;
};

std::int64_t real_time_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void run_bursts(const Options& options, std::uint32_t nodes, Times& times) {
  const ServerProcess server = ServerProcess::clamor_nodes(options.clamor, nodes);
  const auto dialect = clamor_dialect();
  const Shape shape{.connections = options.members, .group_size = options.members};
  std::vector<std::int64_t> arrivals;
  Peers* reader = nullptr;
  Peers peers{[&](std::uint32_t connection, Bytes payload) {
                const auto message = dialect->received(*reader, connection, payload);
                if (message) arrivals.push_back(reader->arrived_ns());
              },
              true};
  reader = &peers;
  for (std::uint32_t node = 0; node < nodes; ++node) {
    const std::uint32_t before = options.members * node / nodes;
    peers.connect(server.ports()[node], options.members * (node + 1) / nodes - before);
  }
  dialect->enter(peers, shape);
  for (std::uint32_t burst = 0; burst < warm_up_bursts + options.bursts; ++burst) {
    arrivals.clear();
    dialect->send(peers, 0, burst);
    const std::int64_t sent = real_time_ns();
    peers.turn({});
    std::this_thread::sleep_for(asleep);
    peers.turn_until([&] { return arrivals.size() == options.members; }, patience,
                     "all members have the message");
    if (burst < warm_up_bursts) continue;
    std::sort(arrivals.begin(), arrivals.end());
    times.half.push_back(arrivals[arrivals.size() / 2] - sent);
    times.last.push_back(arrivals.back() - sent);
  }
}

double median_ms(std::vector<std::int64_t> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle) / 1e6;
}

int run(const Options& options) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::map<std::uint32_t, Times> times;
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    for (const std::uint32_t nodes : options.nodes) run_bursts(options, nodes, times[nodes]);
  }
  std::printf("%u members, %u bursts\n%8s %14s %14s %8s\n", options.members,
              options.rounds * options.bursts, "nodes", "half have it", "all have it", "ratio");
  const double first = median_ms(times.at(options.nodes.front()).last);
  for (const std::uint32_t nodes : options.nodes) {
    const double last = median_ms(times[nodes].last);
    std::printf("%8u %11.2f ms %11.2f ms %8.2f\n", nodes, median_ms(times[nodes].half), last,
                last / first);
  }
  return 0;
}

}  // namespace
}  // namespace clamor::bench

int main(int argc, char** argv) {
  clamor::bench::Options options;
  CLI::App app{
      "How soon a message has reached all of a large group, by nodes on cores of their own"};
  app.add_option("--members", options.members, "Members of the group, all online")
      ->capture_default_str()
      ->check(CLI::Range(2U, 9000U));
  app.add_option("--bursts", options.bursts, "Messages a round")
      ->capture_default_str()
      ->check(CLI::Range(1U, 10000U));
  app.add_option("--rounds", options.rounds, "Rounds, in which the servers take turns")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1000U));
  app.add_option("--nodes", options.nodes, "Numbers of nodes to compare; at most one a core")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(1U, 64U));
  app.add_option("--clamor", options.clamor, "The clamor binary")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return clamor::bench::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "burst: %s\n", error.what());
    return 1;
  }
}
