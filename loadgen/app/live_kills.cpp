// Servers that the scenario kills and starts again: the coordinator does it, the workers note whom
// it cuts off.

#include "loadgen/app/live_run.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/values.hpp"
#include "server/host/clock.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace clamor::loadgen {

using namespace std::chrono_literals;
using scenario::Fault;

void LiveRun::check_kills() const {
  if (!options_.target || !scenario::kills_servers(scenario_)) return;
  throw scenario::ConfigError{{fmt::format(
      "{}: a fault kills servers, and those of --target are not ours to kill; expected "
      "no --target, or the fault left out",
      scenario_.name)}};
}

void LiveRun::plan_kills() {
  const auto servers = static_cast<std::uint32_t>(targets_.size());
  for (std::uint32_t i = 0; i < scenario_.faults.size(); ++i) {
    const Fault& fault = scenario_.faults[i];
    if (fault.kind != Fault::Kind::kill) continue;
    std::vector<std::size_t> killed;
    for (std::uint32_t server = 0; server < servers; ++server) {
      if (plan_.kills(i, server, servers)) killed.push_back(server);
    }
    server_changes_.push_back({fault.at, false, killed});
    server_changes_.push_back({fault.at + fault.restart_after, true, killed});
  }
  std::sort(server_changes_.begin(), server_changes_.end(),
            [](const ServerChange& a, const ServerChange& b) { return a.at < b.at; });
}

void LiveRun::run_kills() {
  if (server_changes_.empty()) return;
  for (const std::size_t server : server_->listen_again()) {
    result_.marks.emplace_back(to_seconds(monotonic_now() - zero_),
                               fmt::format("server {} listens again", server));
  }
  while (next_server_change_ < server_changes_.size() && until_next_kill() <= Duration{}) {
    const ServerChange& change = server_changes_[next_server_change_++];
    for (const std::size_t server : change.servers) {
      if (change.start) {
        server_->start_again(server);
        continue;
      }
      // What it counts goes with it; between this look and the kill some of it is lost.
      if (const auto last = scrape(targets_[server], 400ms)) of_killed_ += last->operations;
      server_->kill(server);
    }
  }
}

std::optional<ServerSample> LiveRun::sample_servers(Duration longest) const {
  auto sample = scrape(targets_, longest);
  if (sample) sample->operations += of_killed_;
  return sample;
}

Duration LiveRun::until_next_kill() const {
  if (!measured_ || next_server_change_ == server_changes_.size()) return Duration::max();
  return zero_ + server_changes_[next_server_change_].at - monotonic_now();
}

}  // namespace clamor::loadgen
