#include "reports/app/micro_loads.hpp"

#include "loadgen/app/load.hpp"
#include "reports/app/micro_bench.hpp"
#include "server/host/cores.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

namespace clamor::report {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t resident_slots = 256;  // sessions that stay for fan-outs and sends
constexpr std::uint32_t passing_slots = 4096;  // sessions that come and go
constexpr std::uint32_t slots = resident_slots + passing_slots;
constexpr std::uint32_t absent_user = 1'000'000;

using Windows = std::vector<LoadPoint>;
using scenario::Durability;

scenario::Scenario quiet(Durability durability, QueuePayload payload = QueuePayload::reference) {
  scenario::Scenario scenario;
  scenario.durability = durability;
  scenario.payload = payload;
  scenario.heartbeat.offline_after = 1h;  // nobody beats here
  return scenario;
}

/// Logs users 1..resident_slots in, each on the slot of its number less one.
void log_residents_in(MicroBench& bench) {
  MicroClient& client = bench.client();
  client.open(0, resident_slots);
  const std::uint64_t wanted = client.received().logged_in + resident_slots;
  for (std::uint32_t slot = 0; slot < resident_slots; ++slot) {
    client.send_login(slot, {slot + 1}, {1});
  }
  client.wait_until([&] { return client.received().logged_in >= wanted; }, "logins");
}

void add(std::vector<LoadPoint>& all, const Windows& windows) {
  all.insert(all.end(), windows.begin(), windows.end());
}

std::vector<UserId> users(std::uint32_t first, std::uint32_t count) {
  std::vector<UserId> list(count);
  for (std::uint32_t i = 0; i < count; ++i) list[i] = {first + i};
  return list;
}

/// `sessions` ask something that is refused at once: turns, frames and flushes without a log.
Windows echo(MicroBench& bench, std::uint32_t sessions) {
  MicroClient& client = bench.client();
  return bench.measure(fmt::format("echo, {} sessions", sessions), 0, [&] {
    const std::uint64_t wanted = client.received().refused + sessions;
    for (std::uint32_t slot = 0; slot < sessions; ++slot) client.send_refused(slot);
    client.wait_until([&] { return client.received().refused >= wanted; }, "refusals");
  });
}

/// A heartbeat from each of `sessions`, closed by one refusal: frames that are not answered.
Windows heartbeats(MicroBench& bench, std::uint32_t sessions) {
  MicroClient& client = bench.client();
  return bench.measure(fmt::format("heartbeats, {} sessions", sessions), 0, [&] {
    const std::uint64_t wanted = client.received().refused + 1;
    for (std::uint32_t slot = 1; slot <= sessions; ++slot) client.send_heartbeat(slot);
    client.send_refused(0);
    client.wait_until([&] { return client.received().refused >= wanted; }, "a refusal");
  });
}

/// A heartbeat from each of `sessions`, so far apart that the server has gone to sleep before the
/// next: each is a turn of its own, and writes nothing.
Windows lone_heartbeats(MicroBench& bench, std::uint32_t sessions) {
  constexpr Duration apart = 100us;
  MicroClient& client = bench.client();
  return bench.measure(fmt::format("lone heartbeats, {} sessions", sessions), 0, [&] {
    for (std::uint32_t slot = 1; slot <= sessions; ++slot) {
      client.send_heartbeat(slot);
      client.flush();
      std::this_thread::sleep_for(apart);
    }
  });
}

/// `senders` members of a group send at once, `burst` messages each in one write; a round ends when
/// every member has everything. Bursts make full flushes, whatever the peers' timing.
struct FanOut {
  std::uint32_t members;
  std::uint32_t senders;
  std::uint32_t burst;
  std::size_t bytes;
};
constexpr FanOut fan_outs[] = {
    {10, 1, 1, 64},    {10, 8, 1, 64},   {50, 1, 1, 64},    {50, 16, 1, 64},  {250, 1, 1, 64},
    {250, 16, 1, 64},  {100, 1, 30, 16}, {50, 1, 60, 16},   {250, 1, 60, 16}, {200, 2, 30, 16},
    {50, 1, 10, 1000}, {50, 8, 1, 4000}, {250, 1, 20, 500}, {100, 4, 1, 2000}};

Windows fan_out(MicroBench& bench, const FanOut& load) {
  MicroClient& client = bench.client();
  const ChannelId channel = bench.next_channel();
  const std::uint64_t joins = client.received().records + load.members;
  client.create_channel(0, channel, users(1, load.members));
  client.wait_until([&] { return client.received().records >= joins; }, "the join's records");
  const std::uint64_t messages = std::uint64_t{load.senders} * load.burst;
  return bench.measure(
      fmt::format("fan-out, {} members, {} x {} in flight, {} B", load.members, load.senders,
                  load.burst, load.bytes),
      messages * load.bytes, [&] {
        const std::uint64_t records = client.received().records + messages * (load.members - 1);
        const std::uint64_t acks = client.received().acks + messages;
        for (std::uint32_t slot = 0; slot < load.senders; ++slot) {
          for (std::uint32_t i = 0; i < load.burst; ++i) {
            client.send_message(slot, channel, load.bytes);
          }
        }
        client.wait_until(
            [&] { return client.received().records >= records && client.received().acks >= acks; },
            "deliveries");
      });
}

/// `in_flight` users send at once, each to a channel whose other members are away. `drain`: a
/// round ends when their queue entries are written, so that rounds are not packed together.
Windows sends(MicroBench& bench, std::uint32_t in_flight, std::size_t bytes,
              std::uint32_t away_members = 1, bool drain = false) {
  MicroClient& client = bench.client();
  std::vector<ChannelId> channels;
  const std::uint64_t joins = client.received().records + in_flight;
  for (std::uint32_t slot = 0; slot < in_flight; ++slot) {
    channels.push_back(bench.next_channel());
    std::vector<UserId> members = users(absent_user + slot * 1000, away_members);
    members.push_back({slot + 1});
    client.create_channel(slot, channels.back(), members);
  }
  client.wait_until([&] { return client.received().records >= joins; }, "the joins' records");
  if (drain) bench.drain_queues();
  return bench.measure(
      fmt::format("send, {} in flight, {} B, {} away", in_flight, bytes, away_members),
      in_flight * bytes, [&] {
        const std::uint64_t acks = client.received().acks + in_flight;
        for (std::uint32_t slot = 0; slot < in_flight; ++slot) {
          client.send_message(slot, channels[slot], bytes);
        }
        client.wait_until([&] { return client.received().acks >= acks; }, "acks");
        if (drain) bench.drain_queues();
      });
}

/// Channels of one user with `records` messages in each.
std::vector<protocol::HeldPosition> fill_channels(MicroBench& bench, UserId reader,
                                                  std::uint32_t channels, std::uint32_t records) {
  MicroClient& client = bench.client();
  std::vector<protocol::HeldPosition> positions;
  for (std::uint32_t i = 0; i < channels; ++i) {
    const ChannelId channel = bench.next_channel();
    const std::uint64_t joins = client.received().records + 1;
    client.create_channel(0, channel, {{1}, reader});
    client.wait_until([&] { return client.received().records >= joins; }, "the join's record");
    positions.push_back({channel, {.message_id = {1}}});
    for (std::uint32_t sent = 0; sent < records;) {
      const std::uint32_t burst = std::min(records - sent, 32U);
      const std::uint64_t acks = client.received().acks + burst;
      for (std::uint32_t k = 0; k < burst; ++k) client.send_message(0, channel, 100);
      client.wait_until([&] { return client.received().acks >= acks; }, "acks");
      sent += burst;
    }
  }
  return positions;
}

/// Devices of `user` log in from `positions`, over connections that are open already; the window
/// holds logins and catch-up only.
Windows logins(MicroBench& bench, const std::string& load, UserId user,
               const std::vector<protocol::HeldPosition>& positions, std::uint32_t at_once) {
  MicroClient& client = bench.client();
  constexpr std::uint32_t first = resident_slots;
  Windows windows;
  for (int i = 0; i < 8; ++i) {
    client.open(first, first + at_once);
    const MicroBench::Mark before = bench.mark();
    const std::uint64_t wanted = client.received().logged_in + at_once;
    for (std::uint32_t k = 0; k < at_once; ++k) {
      client.send_login(first + k, user, {k + 1}, positions);
    }
    client.wait_until([&] { return client.received().logged_in >= wanted; }, "logins");
    windows.push_back(bench.point(load, before, at_once));
    client.close(first, first + at_once);
    bench.await_sessions(resident_slots);
  }
  return windows;
}

/// CPU of one TCP accept and WebSocket upgrade, and the memory of a session that is logged in and
/// idle. On a fresh server: memory that an earlier load left free would hide it.
void measure_sessions(MicroBench& bench, Measurements& out) {
  MicroClient& client = bench.client();
  constexpr std::uint32_t first = resident_slots;
  constexpr std::uint32_t last = slots;
  for (int i = 0; i < 3; ++i) {
    const MicroBench::Mark before = bench.mark();
    // few handshakes at once: what they hold is not the sessions' memory
    for (std::uint32_t slot = first; slot < last; slot += 16) client.open(slot, slot + 16);
    const double a_session = bench.point("accept", before, 1).io_thread_ns / passing_slots;
    out.accept_ns = i == 0 ? a_session : std::min(out.accept_ns, a_session);
    if (i == 0) {
      const std::uint64_t wanted = client.received().logged_in + passing_slots;
      for (std::uint32_t slot = first; slot < last; ++slot) {
        client.send_login(slot, {slot + 1}, {1});
      }
      client.wait_until([&] { return client.received().logged_in >= wanted; }, "logins");
      out.session_bytes = std::max(0.0, static_cast<double>(bench.scrape().resident_bytes) -
                                            static_cast<double>(before.sample.resident_bytes)) /
                          passing_slots;
    }
    client.close(first, last);
    bench.await_sessions(0);
  }
}

struct ScanLoad {
  std::uint32_t channels;
  std::uint32_t records;
  std::uint32_t at_once;
};
constexpr ScanLoad scan_loads[] = {{32, 1, 64},  {128, 1, 32},  {32, 10, 64}, {8, 100, 32},
                                   {2, 500, 32}, {1, 1000, 32}, {16, 100, 32}};
/// After it the server's tail in memory has forgotten everything, and the store is read.
constexpr Duration tail_age = 5500ms;

void measure_scans(MicroBench& bench, const char* design, std::vector<LoadPoint>& out) {
  std::uint64_t reader = 2'000'000;
  std::vector<std::vector<protocol::HeldPosition>> positions;
  for (const ScanLoad& load : scan_loads) {
    positions.push_back(fill_channels(bench, {++reader}, load.channels, load.records));
  }
  bench.drain_queues();
  std::this_thread::sleep_for(tail_age);
  reader = 2'000'000;
  for (std::size_t i = 0; i < std::size(scan_loads); ++i) {
    const ScanLoad& load = scan_loads[i];
    add(out, logins(bench,
                    fmt::format("catch-up, {}, {} channels, {} records each", design, load.channels,
                                load.records),
                    {++reader}, positions[i], load.at_once));
  }
}

void measure_turns(MicroBench& bench, Measurements& out) {
  for (const std::uint32_t sessions : {1U, 8U, 64U, 256U}) {
    add(out.turns, echo(bench, sessions));
  }
  for (const std::uint32_t sessions : {8U, 32U, 64U, 128U, 192U, 255U}) {
    add(out.turns, heartbeats(bench, sessions));
  }
  for (const std::uint32_t sessions : {1U, 16U, 64U}) {
    add(out.turns, lone_heartbeats(bench, sessions));
  }
  for (const FanOut& load : fan_outs) add(out.turns, fan_out(bench, load));
}

void measure_commits(MicroBench& bench, std::vector<LoadPoint>& out) {
  struct Sends {
    std::uint32_t in_flight;
    std::size_t bytes;
  };
  for (const auto& [in_flight, bytes] :
       {Sends{1, 64}, {4, 64}, {16, 64}, {64, 64}, {16, 1000}, {64, 1000}, {16, 4000}}) {
    add(out, sends(bench, in_flight, bytes));
  }
}

struct QueueFlushes {
  std::vector<LoadPoint> points;
  double run_bytes = 0;     ///< Of the row that an entry becomes.
  double device_bytes = 0;  ///< Written in all windows.
};

/// A message to each of many channels of many members, over and over: so many that the queues are
/// flushed several times a window, and an entry begins a run more often than it continues one.
void measure_queue_flushes(MicroBench& bench, std::uint32_t channels, std::uint32_t members,
                           int rounds, int windows, QueueFlushes& out) {
  constexpr std::uint32_t population = 200'000;
  constexpr std::uint32_t in_flight = 16;
  // The server refuses sends that are millions of entries ahead of the queues.
  const std::uint32_t undrained_max = 1'000'000 / members;
  MicroClient& client = bench.client();
  std::vector<ChannelId> all;
  const std::uint64_t joins = client.received().records + channels;
  const Operations none = bench.scrape().operations;
  for (std::uint32_t c = 0; c < channels; ++c) {
    std::vector<UserId> list = users(absent_user * 5 + c * members % population, members);
    list.push_back({1});
    all.push_back(bench.next_channel());
    client.create_channel(0, all.back(), list);
  }
  client.wait_until([&] { return client.received().records >= joins; }, "the joins' records");
  bench.drain_queues();
  // every member's entry of a join begins a run
  const Operations begun = loadgen::difference(bench.scrape().operations, none);
  out.run_bytes = static_cast<double>(begun.queue_bytes) / static_cast<double>(begun.queue_entries);
  for (int i = 0; i < windows; ++i) {
    const std::uint64_t before_bytes = bench.process().written_bytes;
    const MicroBench::Mark before = bench.mark();
    const std::uint32_t messages = channels * static_cast<std::uint32_t>(rounds);
    std::uint32_t undrained = 0;
    for (std::uint32_t sent = 0; sent < messages; sent += in_flight) {
      const std::uint32_t until = std::min(sent + in_flight, messages);
      const std::uint64_t acks = client.received().acks + until - sent;
      for (std::uint32_t k = sent; k < until; ++k) client.send_message(0, all[k % channels], 100);
      client.wait_until([&] { return client.received().acks >= acks; }, "acks");
      undrained += in_flight;
      if (undrained < undrained_max && until < messages) continue;
      bench.drain_queues();
      undrained = 0;
    }
    out.points.push_back(
        bench.point(fmt::format("{} channels of {} away", channels, members), before, 1));
    out.device_bytes += static_cast<double>(bench.process().written_bytes - before_bytes);
  }
}

void measure_queue_runs(MicroBench& bench, int windows, Measurements& out) {
  QueueFlushes flushes;
  for (const auto& [channels, members] : {std::pair{1200U, 4000U}, {4000U, 1000U}}) {
    measure_queue_flushes(bench, channels, members, 1, windows, flushes);
  }
  double rows = 0;
  double of_rows = flushes.device_bytes;
  for (const LoadPoint& point : flushes.points) {
    rows += static_cast<double>(point.counted.queue_bytes);
    of_rows -= out.device_log_factor * static_cast<double>(point.counted.log_bytes);
  }
  if (rows > 0 && of_rows > 0) out.device_queue_factor = of_rows / rows;
  out.queue_run_bytes = flushes.run_bytes;
  out.queue_runs = std::move(flushes.points);
}

void measure_queue_copies(MicroBench& bench, int windows, Measurements& out) {
  QueueFlushes flushes;
  // Few members: each is also copied the join, which names them all.
  for (const auto& [channels, members] : {std::pair{3200U, 100U}, {1600U, 200U}}) {
    measure_queue_flushes(bench, channels, members, 8, windows, flushes);
  }
  out.queue_copies = std::move(flushes.points);
}

void measure_logins(MicroBench& bench, Measurements& out) {
  std::uint64_t user = 3'000'000;
  for (const std::uint32_t channels : {0U, 8U, 32U, 128U}) {
    ++user;
    const auto positions = fill_channels(bench, {user}, channels, 0);
    add(out.logins, logins(bench, fmt::format("login, {} channels without news", channels), {user},
                           positions, 128));
  }
}

}  // namespace

Measurements measure(const MicroLoadOptions& options) {
  const std::vector<int> cores = host::usable_cores();
  const int server_core = cores.front();
  host::pin_to({cores.back()});
  const auto say = [&](const char* what, double fraction) {
    if (options.progress) options.progress(what, fraction);
  };
  Measurements out;
  {
    say("turns and sessions", 0);
    MicroBench bench{options, quiet(Durability::os), QueueDesign::per_group, server_core, slots};
    out.process_bytes = static_cast<double>(bench.scrape().resident_bytes);
    measure_sessions(bench, out);
    log_residents_in(bench);
    measure_turns(bench, out);
    say("commits", 0.3);
    const std::uint64_t written = bench.process().written_bytes;
    const std::uint64_t logged = bench.scrape().operations.log_bytes;
    measure_commits(bench, out.commits);
    const auto rows = static_cast<double>(bench.scrape().operations.log_bytes - logged);
    if (rows > 0) {
      out.device_log_factor = static_cast<double>(bench.process().written_bytes - written) / rows;
    }
    add(out.turns, out.commits);
    out.round_trip_ns = out.commits.front().round_trip_ns;
    for (const LoadPoint& point : out.commits) {
      if (point.load == out.commits.front().load) {
        out.round_trip_ns = std::min(out.round_trip_ns, point.round_trip_ns);
      }
    }
    say("logins and scans", 0.5);
    measure_logins(bench, out);
    measure_scans(bench, "per_group", out.scans);
  }
  {
    say("fsync", 0.7);
    MicroBench bench{options, quiet(Durability::fsync), QueueDesign::per_group, server_core, slots};
    log_residents_in(bench);
    measure_commits(bench, out.synced);
  }
  {
    say("queues", 0.8);
    MicroBench bench{options, quiet(Durability::os), QueueDesign::per_user, server_core, slots};
    log_residents_in(bench);
    struct Load {
      std::uint32_t in_flight, away;
    };
    for (const auto& [in_flight, away] :
         {Load{1, 10}, {1, 100}, {1, 800}, {8, 10}, {8, 100}, {8, 500}}) {
      add(out.queues, sends(bench, in_flight, 64, away, true));
    }
    measure_scans(bench, "per_user", out.scans);
    measure_queue_runs(bench, options.quick ? 1 : 3, out);
  }
  {
    say("copies", 0.95);
    MicroBench bench{options, quiet(Durability::os, QueuePayload::copy), QueueDesign::per_user,
                     server_core, slots};
    log_residents_in(bench);
    measure_queue_copies(bench, options.quick ? 1 : 3, out);
  }
  return out;
}

}  // namespace clamor::report
