// The engine's stations against the closed forms of queueing theory. Every figure is the mean of
// independent replications under fixed seeds; the closed form must lie within their interval of
// confidence (99.9 %), and the interval must be narrow, or the test would say nothing.
#include "server/base/random.hpp"
#include "sim/engine/timing_wheel.hpp"
#include "sim/engine/turn.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace clamor::sim {
namespace {

constexpr std::size_t replications = 20;
constexpr std::uint32_t customers = 150'000;
constexpr std::uint32_t warm_up = customers / 10;  // begins empty: what that biases is cut
constexpr double student_t = 3.883;                // 19 degrees of freedom, 99.9 %, two-sided
constexpr double service_ns = 1e6;                 // mean of every queue below

enum Purpose : std::uint32_t { between_arrivals, service, batch_size };

/// Draws of one replication, keyed by what they are for.
class Draws {
 public:
  explicit Draws(std::uint64_t replication) : seed_{replication + 1} {}

  [[nodiscard]] double uniform(Purpose purpose, std::uint32_t customer) const {
    return unit_from_bits(draw_bits(seed_, DrawPurpose::test, customer, purpose));
  }
  [[nodiscard]] double exponential(Purpose purpose, std::uint32_t customer, double mean) const {
    return -mean * std::log1p(-uniform(purpose, customer));
  }

 private:
  std::uint64_t seed_;
};

using Service = std::function<double(const Draws&, std::uint32_t customer)>;

double constant(const Draws& /*draws*/, std::uint32_t /*customer*/) { return service_ns; }
double exponential(const Draws& draws, std::uint32_t customer) {
  return draws.exponential(service, customer, service_ns);
}
/// Nine in ten take 0.5, one in ten 5.5 times the mean: E[S^2] = 3.25 E[S]^2.
double uneven(const Draws& draws, std::uint32_t customer) {
  return service_ns * (draws.uniform(service, customer) < 0.9 ? 0.5 : 5.5);
}

/// When each customer comes: Poisson batches of `load` / mean batch a mean service time.
std::vector<std::int64_t> arrivals(const Draws& draws, double load, std::uint32_t batch_max) {
  const double mean_batch = (1 + batch_max) / 2.0;  // uniform from 1 to batch_max
  std::vector<std::int64_t> at_ns;
  double now = 0;
  for (std::uint32_t batch = 0; at_ns.size() < customers; ++batch) {
    now += draws.exponential(between_arrivals, batch, service_ns * mean_batch / load);
    const auto size = 1 + static_cast<std::uint32_t>(draws.uniform(batch_size, batch) * batch_max);
    at_ns.insert(at_ns.end(), size, static_cast<std::int64_t>(now));
  }
  at_ns.resize(customers);
  return at_ns;
}

/// A Turn without costs but a session's bytes is a server that works first in, first out: each
/// customer is a session, and completes at its prefix sum. Returns the mean wait before service.
double wait_in_turns(std::uint64_t replication, double load, std::uint32_t batch_max,
                     const Service& service_of) {
  const Draws draws{replication};
  const std::vector<std::int64_t> at_ns = arrivals(draws, load, batch_max);
  Turn turn{{.byte_ps = 1000}, customers};
  double waits = 0;
  std::int64_t busy_until_ns = 0;
  for (std::uint32_t next = 0; next < customers;) {
    turn.begin(std::max(busy_until_ns, at_ns[next]));
    for (; next < customers && at_ns[next] <= turn.start_ns(); ++next) {
      turn.send(next, static_cast<std::uint32_t>(service_of(draws, next)));
    }
    turn.flush();
    for (const Turn::Dirty& one : turn.dirty()) {
      if (one.session < warm_up) continue;
      waits += static_cast<double>(one.completed_ns - static_cast<std::int64_t>(one.bytes) -
                                   at_ns[one.session]);
    }
    busy_until_ns = turn.end_ns();
  }
  return waits / (customers - warm_up);
}

void expect_mean(const std::function<double(std::uint64_t)>& replicate, double expected) {
  std::array<double, replications> means{};
  double sum = 0;
  for (std::size_t i = 0; i < replications; ++i) sum += means[i] = replicate(i);
  const double mean = sum / replications;
  double squares = 0;
  for (const double one : means) squares += (one - mean) * (one - mean);
  const double half = student_t * std::sqrt(squares / (replications - 1) / replications);
  EXPECT_NEAR(mean, expected, half);
  EXPECT_LT(half, 0.05 * expected) << "an interval this wide shows nothing";
}

/// Pollaczek-Khinchine: the wait before service, of Poisson arrivals; second moment over E[S]^2.
double pollaczek_khinchine(double load, double second_moment) {
  return load * second_moment / (2 * (1 - load)) * service_ns;
}

TEST(Queueing, TurnsWaitAsMD1) {
  expect_mean([](std::uint64_t i) { return wait_in_turns(i, 0.7, 1, constant); },
              pollaczek_khinchine(0.7, 1));
}

TEST(Queueing, TurnsWaitAsMM1) {
  expect_mean([](std::uint64_t i) { return wait_in_turns(i, 0.7, 1, exponential); },
              0.7 / (1 - 0.7) * service_ns);
}

TEST(Queueing, TurnsWaitAsMG1) {
  expect_mean([](std::uint64_t i) { return wait_in_turns(i, 0.6, 1, uneven); },
              pollaczek_khinchine(0.6, 3.25));
}

/// A batch waits as one customer of M/G/1 does; a customer waits for those before it in its batch
/// as well. Of a size X uniform from 1 to 5: E[X] = 3, E[X^2] = 11; E[S^2] = 2 E[S]^2.
TEST(Queueing, TurnsWaitAsBatchesOfMM1) {
  constexpr double load = 0.6;
  constexpr double size = 3;
  constexpr double size_squared = 11;
  const double batch_squared = size + size_squared;  // E[X] Var S + E[X^2] E[S]^2
  const double first = load / size * batch_squared / (2 * (1 - load));
  const double before = (size_squared - size) / (2 * size);
  expect_mean([](std::uint64_t i) { return wait_in_turns(i, load, 5, exponential); },
              (first + before) * service_ns);
}

/// A committer whose batch costs the same whatever is in it, and takes all that waits. In a cycle
/// of one batch, a = load arrive meanwhile and wait half of it; with e^-a nobody does, and the next
/// to come finds it idle. So wait = (a / 2) / (a + e^-a) batches, each of a + e^-a.
struct Batches {
  double wait_ns = 0;
  double size = 0;
  double busy_share = 0;
};
Batches commit(std::uint64_t replication, double load) {
  enum : std::uint32_t { arrival, done };
  const std::vector<std::int64_t> at_ns = arrivals(Draws{replication}, load, 1);
  BatchStation station;
  TimingWheel events;
  events.push(at_ns[0], arrival);
  std::uint32_t came = 0;
  std::uint32_t taken = 0;
  std::uint64_t batches = 0;
  double waits = 0;
  std::int64_t now_ns = 0;
  const auto start = [&] {
    ++batches;
    events.push(station.start(now_ns, static_cast<std::int64_t>(service_ns) * 1000), done);
    for (; taken < came; ++taken) waits += static_cast<double>(now_ns - at_ns[taken]);
    EXPECT_EQ(station.waiting_records(), 0U);
  };
  Event event;
  while (events.pop(event)) {
    now_ns = event.time_ns;
    if (event.id == done) {
      if (station.finish(now_ns)) start();
      continue;
    }
    const bool idle = station.add(1, 0, now_ns);
    if (++came < customers) events.push(at_ns[came], arrival);
    if (idle) start();
  }
  return {.wait_ns = waits / customers,
          .size = static_cast<double>(customers) / static_cast<double>(batches),
          .busy_share = static_cast<double>(station.busy_ns()) / static_cast<double>(now_ns)};
}

TEST(Queueing, TheCommitterTakesAllThatWaitsAsItsClosedFormSays) {
  for (const double load : {0.3, 1.5, 4.0}) {  // a committer is stable beyond 1
    SCOPED_TRACE(load);
    const double size = load + std::exp(-load);
    expect_mean([load](std::uint64_t i) { return commit(i, load).wait_ns; },
                load / 2 / size * service_ns);
    expect_mean([load](std::uint64_t i) { return commit(i, load).size; }, size);
    expect_mean([load](std::uint64_t i) { return commit(i, load).busy_share; }, load / size);
  }
}

/// The engine has no station of several servers that share a queue: here it is the pending set
/// that is checked, with events of its own making. Erlang's C.
double wait_for_servers(std::uint64_t replication, double load, std::uint32_t servers) {
  constexpr std::uint32_t arrival = 0;
  constexpr std::uint32_t done = 1;
  const Draws draws{replication};
  const std::vector<std::int64_t> at_ns = arrivals(draws, load, 1);
  TimingWheel events;
  events.push(at_ns[0], arrival);
  std::deque<std::uint32_t> queue;
  std::uint32_t came = 0;
  std::uint32_t busy = 0;
  double waits = 0;
  Event event;
  while (events.pop(event)) {
    if (event.id == done) {
      --busy;
    } else {
      queue.push_back(came);
      if (++came < customers) events.push(at_ns[came], arrival);
    }
    for (; busy < servers && !queue.empty(); ++busy) {
      const std::uint32_t customer = queue.front();
      queue.pop_front();
      if (customer >= warm_up) waits += static_cast<double>(event.time_ns - at_ns[customer]);
      events.push(event.time_ns + static_cast<std::int64_t>(exponential(draws, customer)), done);
    }
  }
  return waits / (customers - warm_up);
}

double erlang_c_wait(double load, std::uint32_t servers) {
  double blocked = 1;  // Erlang's B, by its recursion
  for (std::uint32_t n = 1; n <= servers; ++n) blocked = load * blocked / (n + load * blocked);
  const double waits = blocked / (1 - load / servers * (1 - blocked));
  return waits * service_ns / (servers - load);
}

TEST(Queueing, ThePendingSetServesAsMMc) {
  expect_mean([](std::uint64_t i) { return wait_for_servers(i, 0.7, 1); }, erlang_c_wait(0.7, 1));
  expect_mean([](std::uint64_t i) { return wait_for_servers(i, 2.8, 4); }, erlang_c_wait(2.8, 4));
}

}  // namespace
}  // namespace clamor::sim
