// What a live run waits for: that sessions know who is there, and, where its plan goes in steps,
// that all is at rest; see LoadOptions::step_timeout.

#include "loadgen/app/live_run.hpp"
#include "loadgen/net/schedule.hpp"
#include "scenarios/yaml/values.hpp"
#include "server/host/clock.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace clamor::loadgen {

using namespace std::chrono_literals;

/// Whoever subscribed knows of all its partners before the window opens. Servers that have begun
/// just now declare nobody offline for a while: the embedded ones' is over by then as well.
void LiveRun::await_presence() {
  const Duration longest =
      scenario_.heartbeat.offline_after + scenario_.heartbeat.offline_delay + 30s;
  const Instant deadline = monotonic_now() + longest;
  for (;;) {
    const auto sample = scrape(targets_, 5s);
    const bool young =
        server_ && monotonic_now() < server_up_at_ + scenario_.heartbeat.offline_after;
    if (sample && sample->presence_waits == 0 && !young) return;
    if (!sample && options_.target) return;
    const Waited waited = pause("presence", 100ms);
    if (server_died_) throw LoadError{result_.ledger_unknown_because};
    if (waited == Waited::interrupted) return;
    if (monotonic_now() >= deadline) {
      throw LoadError{fmt::format("sessions do not know {} after connecting who is there; {} wait",
                                  scenario::format_duration(longest),
                                  sample ? sample->presence_waits : 0)};
    }
  }
}

LiveRun::Waited LiveRun::run_steps() {
  std::vector<Instant> ends = quiet_points(plan_);
  ends.push_back(Instant{plan_.duration() + 1ns});  // With what is planned for its last instant.
  for (const Instant end : ends) {
    for (Worker& worker : workers_) {
      worker.stage_done.clear();
      worker.control.send({{"order", "step"}, {"until_ns", to_ns(end)}});
    }
    const Duration done = std::min(end.time_since_epoch(), plan_.duration());
    const std::string stage = "the plan up to " + scenario::format_duration(done);
    const Waited taken = await_stage("running", "stepping", *options_.step_timeout);
    if (taken == Waited::timed_out) fail_to_rest(stage, "clients are on the way, or wait for acks");
    if (taken != Waited::done) return taken;
    if (const Waited rested = come_to_rest(stage); rested != Waited::done) return rested;
    plan_done_ = done;
    tell_progress("running", zero_);
  }
  return Waited::done;
}

LiveRun::Waited LiveRun::come_to_rest(const std::string& after) {
  const std::filesystem::path heads = folder_.path() / "rest";
  write_heads(heads, collect_heads());
  for (Worker& worker : workers_) {
    worker.stage_done.clear();
    worker.control.send({{"order", "rest"}, {"file", heads.string()}});
  }
  const Waited rested =
      await_stage(running_ ? "running" : after, "resting", *options_.step_timeout);
  if (rested == Waited::timed_out) fail_to_rest(after, "devices that are online lack records");
  if (rested != Waited::done) return rested;
  return rest_servers(after);
}

LiveRun::Waited LiveRun::rest_servers(const std::string& after) {
  const Instant deadline = monotonic_now() + *options_.step_timeout;
  std::optional<ServerSample> before;
  for (;;) {
    std::uint64_t online = 0;
    for (const Worker& worker : workers_) online += worker.online;
    const auto now = scrape(targets_, 5s);
    if (before && now && are_at_rest(*before, *now, online)) {
      last_sample_ = now;
      return Waited::done;
    }
    before = now;
    const Waited waited = pause(running_ ? "running" : after, 1ms);
    if (waited != Waited::timed_out) return waited;
    if (monotonic_now() < deadline) continue;
    if (!now) fail_to_rest(after, "a server does not say how it stands");
    fail_to_rest(after, fmt::format("{} sessions and {} connections for {} clients online, {} "
                                    "commits, entries and pages pending, {} messages sent between "
                                    "nodes and {} received",
                                    now->sessions, now->connections, online, now->pending,
                                    now->bus_messages_sent, now->bus_messages_received));
  }
}

void LiveRun::fail_to_rest(const std::string& after, const std::string& why) const {
  throw LoadError{fmt::format("{}: not at rest within {}: {}", after,
                              scenario::format_duration(*options_.step_timeout), why)};
}

}  // namespace clamor::loadgen
