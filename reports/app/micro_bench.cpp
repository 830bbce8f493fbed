#include "reports/app/micro_bench.hpp"

#include "server/app/deployment.hpp"
#include "server/host/clock.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <thread>

namespace clamor::report {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

loadgen::Target target_of(const std::string& url) {
  std::string error;
  const auto target = loadgen::parse_target(url, error);
  if (!target) throw MicroLoadError{error};
  return *target;
}

void wait_until(const std::function<bool()>& done, const char* what) {
  const Instant deadline = monotonic_now() + 20s;
  while (!done()) {
    if (monotonic_now() > deadline) {
      throw MicroLoadError{fmt::format("waited 20 s for {}", what)};
    }
    std::this_thread::sleep_for(5ms);
  }
}

}  // namespace

MicroBench::MicroBench(const MicroLoadOptions& options, const scenario::Scenario& scenario,
                       QueueDesign design, int server_core, std::uint32_t client_slots)
    : options_{options},
      server_{
          options.program.string(), folder_.path(), scenario, DesignSpec{design}, {server_core}},
      target_{target_of(server_.url())},
      client_{target_, server_.secret(), client_slots} {}

loadgen::ServerSample MicroBench::scrape() const {
  const auto sample = loadgen::scrape(target_, 10s);
  if (!sample) throw MicroLoadError{"the server's /metrics did not answer within 10 s"};
  return *sample;
}

loadgen::ProcessSample MicroBench::process() const {
  const auto sample = server_.sample();
  if (!sample) throw MicroLoadError{"the server has ended"};
  return *sample;
}

MicroBench::ThreadTimes MicroBench::thread_times() const {
  // The kernel adds up a thread's time when it stops running: they must have gone to sleep.
  std::this_thread::sleep_for(300us);
  const fs::path tasks = fmt::format("/proc/{}/task", server_.pid());
  ThreadTimes times;
  bool found = false;
  std::error_code ec;
  for (const fs::directory_entry& task : fs::directory_iterator{tasks, ec}) {
    std::string name;
    std::uint64_t ran_ns = 0;
    std::ifstream{task.path() / "comm"} >> name;
    const bool counted = bool{std::ifstream{task.path() / "schedstat"} >> ran_ns};
    const bool is_io = name == server::thread_name({0});
    found = found || (is_io && counted);
    (is_io ? times.io_thread_ns : times.others_ns) += ran_ns;
  }
  if (!found) {
    throw MicroLoadError{tasks.string() +
                         "/*/schedstat is not readable: this kernel does not count "
                         "threads' CPU time"};
  }
  return times;
}

MicroBench::Mark MicroBench::mark() const {
  if (options_.interrupted && options_.interrupted()) throw MicroLoadError{"interrupted"};
  Mark mark{.sample = scrape()};
  mark.times = thread_times();  // after the scrape: it is no part of the window
  return mark;
}

LoadPoint MicroBench::point(const std::string& load, const Mark& before,
                            std::uint64_t rounds) const {
  LoadPoint point{.load = load, .rounds = rounds};
  const ThreadTimes after = thread_times();
  point.io_thread_ns = static_cast<double>(after.io_thread_ns - before.times.io_thread_ns);
  // threads that have ended since took their time with them
  point.other_threads_ns = std::max(
      0.0, static_cast<double>(after.others_ns) - static_cast<double>(before.times.others_ns));
  point.counted = loadgen::difference(scrape().operations, before.sample.operations);
  return point;
}

std::vector<LoadPoint> MicroBench::measure(const std::string& load,
                                           std::uint64_t body_bytes_a_round,
                                           const std::function<void()>& round) {
  const Duration window = options_.quick ? Duration{100ms} : Duration{150ms};
  const int tries = options_.quick ? 3 : 16;
  round();  // caches and buffers are warm from here on
  std::vector<LoadPoint> windows;
  for (int i = 0; i < tries; ++i) {
    const Mark before = mark();
    const Instant began = monotonic_now();
    std::uint64_t rounds = 0;
    do {
      round();
      ++rounds;
    } while (monotonic_now() - began < window);
    const double took = static_cast<double>(to_ns(monotonic_now() - began));
    windows.push_back(point(load, before, rounds));
    windows.back().body_bytes = rounds * body_bytes_a_round;
    windows.back().round_trip_ns = took / static_cast<double>(rounds);
  }
  return windows;
}

void MicroBench::drain_queues() const {
  wait_until([&] { return scrape().fan_out_lag_records == 0; }, "queue entries to be applied");
}

void MicroBench::await_sessions(std::uint64_t sessions) const {
  wait_until([&] { return scrape().sessions <= sessions; }, "sessions to end");
}

}  // namespace clamor::report
