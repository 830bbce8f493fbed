// Question: deliveries per server CPU-second, clamor serve beside a bare-epoll fan-out server?
#include "tests/bench/fanout/closed_loop.hpp"
#include "tests/bench/fanout/idle_sessions.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <vector>

// Server on core 0, one epoll client on core 1, closed loop, so that deliveries per CPU-second of
// the server do not depend on the client's speed; servers take turns, the median over the rounds is
// printed. The yardstick has no chat in it (tests/bench/fanout/yardstick.hpp); Clamor runs as
// shipped, stores every message (durability os) and acks it. A report, never an assertion.
namespace clamor::bench {
namespace {

constexpr int client_core = 1;

struct Options {
  Shape shape;
  std::vector<std::uint32_t> in_flight{1, 16};
  std::uint32_t rounds = 3;
  double seconds = 1.5;
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

using Samples = std::map<std::pair<std::size_t, std::uint32_t>, std::vector<Measured>>;

Measured median(std::vector<Measured> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end(), [](const auto& a, const auto& b) {
    return a.per_cpu_second < b.per_cpu_second;
  });
  return *middle;
}

Samples measure(const Options& options) {
  Samples samples;
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      if (options.yardstick_only && i == clamor_serve) continue;
      const Contender& contender = contenders[i];
      std::fprintf(stderr, "round %u of %u: %s\n", round + 1, options.rounds, contender.name);
      const ServerProcess server = contender.start(options);
      ClosedLoop loop{server, contender.dialect(), options.shape};
      for (const std::uint32_t in_flight : options.in_flight) {
        samples[{i, in_flight}].push_back(loop.run(in_flight, options.seconds));
      }
    }
  }
  return samples;
}

void print(const Options& options, const Samples& samples) {
  std::printf(
      "%u connections in groups of %u, messages of %u bytes, closed loop; server on core 0,\n"
      "client on core 1; median of %u rounds. The sender's receipt counts as a delivery.\n\n",
      options.shape.connections, options.shape.group_size, options.shape.message_bytes,
      options.rounds);
  std::printf("%-34s %9s %18s %14s %6s\n", "server", "in flight", "deliveries/CPU-s",
              "deliveries/s", "busy");
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    for (const std::uint32_t in_flight : options.in_flight) {
      const auto found = samples.find({i, in_flight});
      if (found == samples.end()) continue;
      const Measured m = median(found->second);
      std::printf("%-34s %9u %18.0f %14.0f %5.0f%%\n", contenders[i].name, in_flight,
                  m.per_cpu_second, m.per_second, 100 * m.busy);
    }
  }
  std::printf("\n");
  for (const std::uint32_t in_flight : options.in_flight) {
    const auto found = samples.find({clamor_serve, in_flight});
    if (found == samples.end()) continue;
    std::printf("ratio clamor / yardstick joined, %u in flight: %.2f\n", in_flight,
                median(found->second).per_cpu_second /
                    median(samples.at({joined, in_flight})).per_cpu_second);
  }
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
  CLI::App app{"Deliveries per server CPU-second: clamor serve beside a bare-epoll fan-out server"};
  app.add_option("--connections", options.shape.connections, "Clients, in all groups");
  app.add_option("--group", options.shape.group_size, "Members of a group");
  app.add_option("--bytes", options.shape.message_bytes, "Bytes of a message")
      ->check(CLI::Range(8, 16'000));
  app.add_option("--in-flight", options.in_flight, "Messages under way per group, e.g. 1 16")
      ->check(CLI::Range(1, 64));
  app.add_option("--rounds", options.rounds, "Times that every server is measured")
      ->check(CLI::Range(1, 100));
  app.add_option("--seconds", options.seconds, "Length of a measured window")
      ->check(CLI::Range(0.1, 60.0));
  app.add_option("--idle-sessions", options.idle_sessions,
                 "Measure the server's memory per idle session with so many, e.g. 15000");
  app.add_option("--idle-seconds", options.idle_seconds, "How long they are idle")
      ->check(CLI::Range(0, 100));
  app.add_flag("--yardstick-only", options.yardstick_only, "Leave clamor serve out");
  app.add_option("--clamor", options.clamor, "The clamor binary");
  CLI11_PARSE(app, argc, argv);
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
