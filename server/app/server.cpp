#include "server/app/server.hpp"

#include "scenarios/yaml/config_error.hpp"
#include "server/app/node.hpp"
#include "server/core/placement.hpp"
#include "server/directory/directory.hpp"
#include "server/gateway/gateway.hpp"
#include "server/store/store.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/system/system_error.hpp>

#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

namespace clamor::server {
namespace {

/// Descriptors beside the sessions': RocksDB's files, the listener, standard streams, handshakes
/// and scrapes.
constexpr std::uint64_t descriptors_of_our_own = 400 + gateway::connections_beside_sessions;
constexpr NodeId only_node{1};
constexpr Duration close_grace = 2s;

void raise_descriptor_limit(const Settings& settings) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const std::uint64_t needed = settings.sessions_max + descriptors_of_our_own;
  if (limit.rlim_cur >= needed) return;
  throw scenario::ConfigError{{fmt::format(
      "limits.sessions is {}, but this process may open {} files only; expected at "
      "most {}, or a higher limit (ulimit -n)",
      settings.sessions_max, limit.rlim_cur,
      limit.rlim_cur > descriptors_of_our_own ? limit.rlim_cur - descriptors_of_our_own : 0)}};
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

std::unique_ptr<store::Store> open_store(const Settings& settings) {
  try {
    return std::make_unique<store::Store>(
        store::StoreSettings{.path = settings.data,
                             .durability = settings.durability,
                             .partitions = core::partition_count(1),
                             .layout = layout_of(settings.design),
                             .block_cache_bytes = settings.block_cache_bytes,
                             .write_buffer_bytes = settings.write_buffer_bytes});
  } catch (const store::OpenError& error) {
    throw scenario::ConfigError{{error.what()}};
  }
}

std::unique_ptr<gateway::Gateway> open_gateway(boost::asio::io_context& io,
                                               const Settings& settings, Node& node) {
  const gateway::GatewaySettings gateway_settings{
      .address = settings.address,
      .port = settings.port,
      .message_bytes_max = settings.message_bytes_max,
      .sessions_max = settings.sessions_max,
      .offline_after = settings.offline_after,
      .session_limits = {.buffer_bytes = settings.session_buffer_bytes,
                         .buffer_age = settings.session_buffer_age}};
  try {
    return std::make_unique<gateway::Gateway>(io, gateway_settings, node);
  } catch (const boost::system::system_error& error) {
    throw scenario::ConfigError{
        {fmt::format("cannot listen on {}:{}: {}; --listen names another address, port 0 takes any "
                     "free one",
                     settings.address, settings.port, error.code().message())}};
  }
}

/// Handles events until there is no work left. What run() does, in a form that shows the sleeps: a
/// turn after one costs several times what it costs a core that is busy anyway.
void run(boost::asio::io_context& io, Node& node) {
  while (!io.stopped()) {
    if (io.poll() != 0 || io.stopped()) continue;
    node.count_wake();
    io.run_one();
  }
}

}  // namespace

void serve(const Settings& settings, const std::function<void(std::uint16_t port)>& ready) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // A file size limit is a failed append, not the end.
  raise_descriptor_limit(settings);
  boost::asio::io_context io{1};
  // Goes after the store: its end would give the signals their default action back.
  std::optional<boost::asio::signal_set> signals;
  const auto store = open_store(settings);
  const directory::Directory directory{{only_node}, store->settings().partitions};
  Node node{io, *store, settings, only_node, directory};
  const auto gateway = open_gateway(io, settings, node);
  node.attach(*gateway);
  signals.emplace(io, SIGTERM, SIGINT);
  signals->async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    // Works wherever the process hangs by then, the last flush included.
    std::signal(SIGTERM, end_at_once);
    std::signal(SIGINT, end_at_once);
    std::fprintf(stderr, "stopping: answering what was accepted, closing %zu sessions\n",
                 gateway->sessions());
    node.drain([&] { gateway->stop(protocol::CloseCode::draining, close_grace); });
  });
  ready(gateway->port());
  run(io, node);
}

}  // namespace clamor::server
