// Question: deliveries and logins per CPU-second, latency: clamor serve beside a bare-epoll server?
#include "tests/bench/fanout/closed_loop.hpp"
#include "tests/bench/fanout/idle_sessions.hpp"
#include "tests/bench/fanout/logins.hpp"
#include "tests/bench/fanout/open_loop.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <vector>

// Server on core 0, one epoll client on core 1; servers take turns, the median over the rounds is
// printed. Deliveries in a closed loop, so that what the server does a CPU-second does not depend
// on the client's speed; latency in an open one; logins 64 at a time. The yardstick has no chat in
// it (tests/bench/fanout/yardstick.hpp); Clamor runs as shipped, checks tokens, stores every
// message (durability os) and acks it. A report, never an assertion.
namespace clamor::bench {
namespace {

constexpr int client_core = 1;

struct Options {
  Shape shape;
  std::vector<std::uint32_t> in_flight{1, 16};
  std::uint32_t rounds = 3;
  double seconds = 1.5;
  double paced_rate = 5000;
  double paced_seconds = 4;
  std::uint32_t storms = 3;
  std::uint32_t idle_sessions = 0;
  std::uint32_t idle_seconds = 30;
  bool yardstick_only = false;
  std::string clamor = CLAMOR_BINARY;
};

struct Contender {
  const char* name;
  ServerProcess (*start)(const Options&);
  std::unique_ptr<Dialect> (*dialect)();
};

constexpr std::array contenders{
    Contender{"yardstick, one write per member",
              [](const Options&) { return ServerProcess::yardstick(Writes::one_per_member); },
              &yardstick_dialect},
    Contender{"yardstick, joined per turn",
              [](const Options&) { return ServerProcess::yardstick(Writes::joined_per_turn); },
              &yardstick_dialect},
    Contender{"clamor serve, per_group, os",
              [](const Options& options) { return ServerProcess::clamor(options.clamor); },
              &clamor_dialect}};
constexpr std::size_t joined = 1;
constexpr std::size_t clamor_serve = 2;

/// What was measured of one server, one value a round.
struct Samples {
  std::map<std::uint32_t, std::vector<Measured>> closed;  ///< By messages in flight.
  std::vector<double> p50_ms;
  std::vector<double> p99_ms;
  std::vector<double> logins;  ///< Per CPU-second.
};

template <class T, class Key = std::identity>
T median(std::vector<T> samples, Key key = {}) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::ranges::nth_element(samples, middle, {}, key);
  return *middle;
}

void measure(const Options& options, const Contender& contender, Samples& samples) {
  if (!options.in_flight.empty()) {
    const ServerProcess server = contender.start(options);
    ClosedLoop loop{server, contender.dialect(), options.shape};
    for (const std::uint32_t in_flight : options.in_flight) {
      samples.closed[in_flight].push_back(loop.run(in_flight, options.seconds));
    }
  }
  if (options.paced_rate > 0) {
    const ServerProcess server = contender.start(options);
    const Histogram latencies = measure_latency(server, contender.dialect(), options.shape,
                                                options.paced_rate, options.paced_seconds);
    samples.p50_ms.push_back(static_cast<double>(latencies.quantile(0.5)) * 1e-6);
    samples.p99_ms.push_back(static_cast<double>(latencies.quantile(0.99)) * 1e-6);
  }
  if (options.storms > 0) {
    const ServerProcess server = contender.start(options);
    samples.logins.push_back(
        measure_logins(server, contender.dialect(), options.shape, options.storms));
  }
}

using All = std::array<Samples, contenders.size()>;

All measure(const Options& options) {
  All all;
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      if (options.yardstick_only && i == clamor_serve) continue;
      std::fprintf(stderr, "round %u of %u: %s\n", round + 1, options.rounds, contenders[i].name);
      measure(options, contenders[i], all[i]);
    }
  }
  return all;
}

void print_closed(const Options& options, const All& all) {
  std::printf(
      "\nClosed loop; the sender's receipt counts as a delivery:\n%-34s %9s %18s %14s %6s\n",
      "server", "in flight", "deliveries/CPU-s", "deliveries/s", "busy");
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    for (const auto& [in_flight, samples] : all[i].closed) {
      const Measured m = median(samples, &Measured::per_cpu_second);
      std::printf("%-34s %9u %18.0f %14.0f %5.0f%%\n", contenders[i].name, in_flight,
                  m.per_cpu_second, m.per_second, 100 * m.busy);
    }
  }
  for (const std::uint32_t in_flight : options.in_flight) {
    const auto found = all[clamor_serve].closed.find(in_flight);
    if (found == all[clamor_serve].closed.end()) continue;
    std::printf(
        "ratio clamor / yardstick joined, %u in flight: %.2f\n", in_flight,
        median(found->second, &Measured::per_cpu_second).per_cpu_second /
            median(all[joined].closed.at(in_flight), &Measured::per_cpu_second).per_cpu_second);
  }
}

void print_latency(const Options& options, const All& all) {
  std::printf("\nOpen loop, %.0f deliveries/s, delivery latency from when a message was due:\n",
              options.paced_rate);
  std::printf("%-34s %9s %9s\n", "server", "p50 ms", "p99 ms");
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    if (all[i].p99_ms.empty()) continue;
    std::printf("%-34s %9.2f %9.2f\n", contenders[i].name, median(all[i].p50_ms),
                median(all[i].p99_ms));
  }
  if (options.yardstick_only) return;
  std::printf("ratio clamor / yardstick joined, p99: %.2f\n",
              median(all[clamor_serve].p99_ms) / median(all[joined].p99_ms));
}

void print_logins(const Options& options, const All& all) {
  std::printf("\nConnect to ready (the yardstick's join, Clamor's login by resume token):\n");
  std::printf("%-34s %18s\n", "server", "logins/CPU-s");
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    if (all[i].logins.empty()) continue;
    std::printf("%-34s %18.0f\n", contenders[i].name, median(all[i].logins));
  }
  if (options.yardstick_only) return;
  std::printf("ratio clamor / yardstick joined, logins: %.2f\n",
              median(all[clamor_serve].logins) / median(all[joined].logins));
}

void print(const Options& options, const All& all) {
  std::printf(
      "%u connections in groups of %u, messages of %u bytes; server on core 0, client on core 1;\n"
      "median of %u rounds.\n",
      options.shape.connections, options.shape.group_size, options.shape.message_bytes,
      options.rounds);
  if (!options.in_flight.empty()) print_closed(options, all);
  if (options.paced_rate > 0) print_latency(options, all);
  if (options.storms > 0) print_logins(options, all);
}

void print(const IdleMemory& memory) {
  const auto kib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1024; };
  const auto per_session = [&](std::uint64_t from) {
    return (kib(memory.idle_bytes) - kib(from)) / memory.sessions;
  };
  std::printf(
      "\n%u idle sessions, five channels of ten members each, each has sent once:\n"
      "  RSS: started %.0f KiB, channels created %.0f KiB, idle %.0f KiB\n"
      "  RSS per idle session: %.2f KiB (of it %.2f KiB since the channels existed)\n",
      memory.sessions, kib(memory.fresh_bytes), kib(memory.channels_bytes), kib(memory.idle_bytes),
      per_session(memory.fresh_bytes), per_session(memory.channels_bytes));
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Deliveries and logins per server CPU-second, latency: clamor serve beside a bare-epoll "
      "fan-out server"};
  app.add_option("--connections", options.shape.connections, "Clients, in all groups");
  app.add_option("--group", options.shape.group_size, "Members of a group");
  app.add_option("--bytes", options.shape.message_bytes, "Bytes of a message")
      ->check(CLI::Range(8, 16'000));
  app.add_option("--in-flight", options.in_flight,
                 "Messages under way per group, e.g. 1 16; 0: none")
      ->check(CLI::Range(0, 64));
  app.add_option("--rounds", options.rounds, "Times that every server is measured")
      ->check(CLI::Range(1, 100));
  app.add_option("--seconds", options.seconds, "Length of a measured window")
      ->check(CLI::Range(0.1, 60.0));
  app.add_option("--paced", options.paced_rate, "Deliveries a second of the open loop; 0: none")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--paced-seconds", options.paced_seconds, "Length of the open loop")
      ->check(CLI::Range(0.1, 60.0));
  app.add_option("--storms", options.storms, "Times that all connections log in again; 0: none")
      ->check(CLI::Range(0, 100));
  app.add_option("--idle-sessions", options.idle_sessions,
                 "Measure the server's memory per idle session with so many, e.g. 15000");
  app.add_option("--idle-seconds", options.idle_seconds, "How long they are idle")
      ->check(CLI::Range(0, 100));
  app.add_flag("--yardstick-only", options.yardstick_only, "Leave clamor serve out");
  app.add_option("--clamor", options.clamor, "The clamor binary");
  CLI11_PARSE(app, argc, argv);
  std::erase(options.in_flight, 0U);
  const Shape& shape = options.shape;
  if (shape.group_size == 0 || shape.connections == 0 ||
      shape.connections % shape.group_size != 0) {
    std::fprintf(stderr, "fanout: --connections must be a multiple of --group\n");
    return 104;
  }
  raise_descriptor_limit();
  pin_to_core(client_core);
  print(options, measure(options));
  std::fflush(stdout);
  if (options.idle_sessions > 0) {
    std::fprintf(stderr, "memory of %u idle sessions\n", options.idle_sessions);
    print(measure_idle_sessions(options.clamor, options.idle_sessions, options.idle_seconds));
  }
  return 0;
}

}  // namespace
}  // namespace clamor::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return clamor::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fanout: %s\n", error.what());
    return 1;
  }
}
