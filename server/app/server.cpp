#include "server/app/server.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "scenarios/yaml/values.hpp"
#include "server/app/deployment.hpp"
#include "server/core/limits.hpp"
#include "server/gateway/gateway.hpp"
#include "server/log/log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace clamor::server {
namespace {

static_assert(core::descriptors_of_a_node == 400 + gateway::connections_beside_sessions);

void raise_descriptor_limit(const Settings& settings) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const std::uint64_t own = hosted(settings).size() * core::descriptors_of_a_node;
  const std::uint64_t needed = std::max(settings.sessions_max, 1U) + own;
  if (limit.rlim_cur >= needed) return;
  throw scenario::ConfigError{{fmt::format(
      "{} sessions (limits.sessions) and {} of its own are more files than the {} that this "
      "process may open; expected {} sessions at most, or a higher limit (ulimit -n)",
      std::max(settings.sessions_max, 1U), own, limit.rlim_cur,
      limit.rlim_cur > own ? limit.rlim_cur - own : 0)}};
}

constexpr int interrupted = 105;

/// Ends the process at once: a second signal while it stops, whatever keeps it. In a signal handler
/// only write and _exit are safe.
extern "C" void end_at_once(int) {
  constexpr std::string_view message =
      "stopped at once by a second signal. Nothing that was acknowledged is lost; requests without "
      "an answer may be, clients send them again. The next start redoes the queues from the "
      "journal\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, message.data(), message.size());
  _exit(interrupted);
}

}  // namespace

void serve(const Settings& settings,
           const std::function<void(std::span<const std::uint16_t> ports)>& ready) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // A file size limit is a failed append, not the end.
  raise_descriptor_limit(settings);
  log::Log log{settings.log};
  boost::asio::io_context io{1};
  // Goes after the stores: its end would give the signals their default action back.
  std::optional<boost::asio::signal_set> signals;
  Deployment deployment{settings};
  signals.emplace(io, SIGTERM, SIGINT);
  signals->async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    // Works wherever the process hangs by then, the last flush included.
    std::signal(SIGTERM, end_at_once);
    std::signal(SIGINT, end_at_once);
    log.info(
        "stopping: closing all sessions, answering what was accepted; a second signal stops at "
        "once",
        {{"within", scenario::format_duration(settings.drain.period)}});
  });
  const std::vector<NodeId> nodes = hosted(settings);
  const std::vector<std::uint16_t> ports = deployment.ports();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    log.info("listening", {{"node", nodes[i].value},
                           {"address", listen_of(settings, nodes[i]).host},
                           {"port", ports[i]},
                           {"data", settings.data}});
  }
  ready(ports);
  io.run();  // Until a signal has come.
  deployment.stop();
  log.info("stopped");
}

}  // namespace clamor::server
