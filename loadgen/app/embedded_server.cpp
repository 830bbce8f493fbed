#include "loadgen/app/embedded_server.hpp"

#include "loadgen/app/load.hpp"
#include "loadgen/app/scrape.hpp"
#include "loadgen/net/connections.hpp"
#include "loadgen/net/target.hpp"
#include "scenarios/yaml/design.hpp"
#include "scenarios/yaml/values.hpp"
#include "server/host/clock.hpp"
#include "server/tls/context.hpp"
#include "server/tls/dev_certificate.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <netinet/in.h>
#include <numeric>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

constexpr Duration start_timeout = 20s;

std::string draw_secret() {
  std::array<unsigned char, 16> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// So many ports of the loopback that are free now, below the range that outgoing connections draw
/// theirs from: nodes must know each other's before they start.
std::vector<std::uint16_t> free_ports(std::size_t count) {
  constexpr std::uint16_t first = 20'000;
  constexpr std::uint16_t range = 10'000;
  std::vector<std::uint16_t> ports;
  const auto start = static_cast<std::uint32_t>(getpid()) * 64;
  for (std::uint32_t i = 0; i < range && ports.size() < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first + (start + i) % range);
    const Descriptor probe{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      ports.push_back(port);
    }
  }
  if (ports.size() < count) throw LoadError{"too few ports of the loopback are free"};
  return ports;
}

/// The nodes by number, or as a list where several processes host them. With `lasting` ports a node
/// that is started again listens where it did.
std::string nodes_text(const std::vector<std::uint32_t>& nodes_of, bool lasting) {
  const std::uint32_t nodes = std::accumulate(nodes_of.begin(), nodes_of.end(), 0U);
  const bool named = lasting || nodes_of.size() > 1;
  const std::vector<std::uint16_t> ports = free_ports(named ? 2 * std::size_t{nodes} : 0);
  const auto listen = [&](std::uint32_t node) { return lasting ? ports[nodes + node] : 0; };
  if (nodes_of.size() == 1) {
    return fmt::format("listen: 127.0.0.1:{}\nnodes: {}\n", listen(0), nodes);
  }
  std::string text = "nodes:\n";
  for (std::uint32_t node = 0; node < nodes; ++node) {
    text +=
        fmt::format("  - {{listen: 127.0.0.1:{}, bus: 127.0.0.1:{}}}\n", listen(node), ports[node]);
  }
  return text;
}

std::string write_settings(const std::filesystem::path& folder, const scenario::Scenario& scenario,
                           const DesignSpec& design, const std::string& secret,
                           const std::vector<std::uint32_t>& nodes_of, const std::string& tls) {
  const std::filesystem::path file = folder / "server.yaml";
  std::uint32_t largest = 10'000;
  for (const scenario::GroupClass& group : scenario.groups) {
    largest = std::max(largest, group.members);
  }
  const scenario::StoreMemory memory = scenario::store_memory(scenario.deployment);
  std::ofstream out{file};
  out << fmt::format(
      "data: {}\nsecret: {}\ndesign: {}\ndurability: {}\n"
      "ack_after: {}\npayload: {}\n"
      "heartbeat: {{interval: {}, offline_after: {}, offline_delay: {}}}\n"
      "store: {{block_cache_bytes: {}, write_buffer_bytes: {}}}\n"
      "limits: {{group_members: {}, body_bytes: {}, message_bytes: {}}}\n",
      scenario::quoted_yaml((folder / "data").string()), scenario::quoted_yaml(secret),
      scenario::design_yaml(design),
      scenario.durability == scenario::Durability::fsync ? "fsync" : "os",
      name_of(scenario.ack_after), name_of(scenario.payload),
      scenario::format_duration(scenario.heartbeat.interval),
      scenario::format_duration(scenario.heartbeat.offline_after),
      scenario::format_duration(scenario.heartbeat.offline_delay), memory.block_cache_bytes,
      memory.write_buffer_bytes, largest, scenario::message_bytes_max,
      64 * 1024 + 8 * std::size_t{largest});
  out << nodes_text(nodes_of, scenario::kills_servers(scenario)) << tls;
  out.close();
  if (!out) throw LoadError{file.string() + ": cannot be written; is the disk full?"};
  return file.string();
}

}  // namespace

EmbeddedServer::EmbeddedServer(const std::string& program, const std::filesystem::path& folder,
                               const scenario::Scenario& scenario, const DesignSpec& design,
                               const std::vector<int>& cores,
                               const std::vector<std::uint32_t>& nodes_of, bool tls)
    : secret_{draw_secret()} {
  const std::string settings = write_settings(folder, scenario, design, secret_, nodes_of,
                                              tls ? make_certificate(folder) : "");
  start(program, folder, settings, cores, nodes_of);
  const Instant deadline = monotonic_now() + start_timeout;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    await_listening(processes_[i], nodes_of[i], deadline);
  }
  await_links(std::accumulate(nodes_of.begin(), nodes_of.end(), std::size_t{0}), deadline);
}

std::string EmbeddedServer::make_certificate(const std::filesystem::path& folder) {
  try {
    const tls::DevCertificate files = tls::write_dev_certificate(folder / "tls", {"127.0.0.1"}, 7);
    authority_file_ = files.authority;
    return fmt::format("tls: {{certificate: {}, key: {}}}\n",
                       scenario::quoted_yaml(files.certificate.string()),
                       scenario::quoted_yaml(files.key.string()));
  } catch (const tls::CertificateError& error) {
    throw LoadError{error.what()};
  }
}

void EmbeddedServer::start(const std::string& program, const std::filesystem::path& folder,
                           const std::string& settings, const std::vector<int>& cores,
                           const std::vector<std::uint32_t>& nodes_of) {
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < nodes_of.size(); ++i) {
    ChildProcess::Options options{.program = program,
                                  .arguments = {"serve", "--config", settings},
                                  .cores = cores,
                                  .preferred = true,
                                  .error_file = folder / fmt::format("server-{}.stderr", i),
                                  .capture_output = true};
    if (nodes_of.size() > 1) {
      std::vector<std::uint32_t> hosted(nodes_of[i]);
      std::iota(hosted.begin(), hosted.end(), next);
      next += nodes_of[i];
      options.arguments.emplace_back("--host");
      options.arguments.push_back(fmt::format("{}", fmt::join(hosted, ",")));
    }
    Process& process = processes_.emplace_back();
    process.options = options;
    process.child.emplace(options);
  }
}

void EmbeddedServer::await_listening(Process& process, std::uint32_t nodes, Instant deadline) {
  constexpr std::string_view ready = "listening on ";
  std::string text;
  while (monotonic_now() < deadline) {
    pollfd entry{process.child->output(), POLLIN, 0};
    if (poll(&entry, 1, 100) <= 0) continue;
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(process.child->output(), buffer.data(), buffer.size());
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t at = 0; nodes != 0 && (at = text.find(ready)) != std::string::npos; --nodes) {
      const std::size_t end = text.find('\n', at);
      if (end == std::string::npos) break;
      url_ += std::string{url_.empty() ? "" : ","} +
              (authority_file_.empty() ? "ws://" : "wss://") +
              text.substr(at + ready.size(), end - at - ready.size());
      text.erase(0, end + 1);
    }
    if (nodes == 0) return;
  }
  const auto how = process.child->wait(1s);
  fail_to_start(how ? "it ended with " + *how + last_words()
                    : fmt::format("no \"{}\" line within {}", ready,
                                  scenario::format_duration(start_timeout)));
}

void EmbeddedServer::await_links(std::size_t nodes, Instant deadline) {
  std::string error;
  const std::vector<Target> targets = parse_targets(url_, error, authority_file_);
  for (;;) {
    const auto sample = scrape(targets, 1s);
    if (sample && sample->nodes_up == nodes) return;
    if (const auto how = died()) fail_to_start(*how + last_words());
    if (monotonic_now() >= deadline) {
      fail_to_start((sample ? fmt::format("a node reaches {} of {} nodes", sample->nodes_up, nodes)
                            : "a node does not answer") +
                    last_words());
    }
    poll(nullptr, 0, 5);  // A link that comes up changes no descriptor of ours.
  }
}

void EmbeddedServer::fail_to_start(const std::string& why) {
  throw LoadError{"the embedded server did not start: " + why};
}

std::optional<ProcessSample> EmbeddedServer::sample() const {
  ProcessSample sum = ended_;
  for (const Process& process : processes_) {
    if (!process.child) continue;
    const auto sample = sample_process(process.child->pid());
    if (!sample) return std::nullopt;
    sum.cpu_seconds += sample->cpu_seconds;
    sum.resident_bytes += sample->resident_bytes;
    sum.written_bytes += sample->written_bytes;
  }
  return sum;
}

std::string EmbeddedServer::last_words() const {
  constexpr std::size_t longest = 2000;
  std::string words;
  for (const Process& process : processes_) {
    std::ifstream in{process.options.error_file};
    std::string own;
    for (std::string line; std::getline(in, line);) own = own + "\n  " + line;
    if (own.size() > longest) own = "\n  ..." + own.substr(own.size() - longest);
    words += own;
  }
  return words.empty() ? ", without a word" : ". It said:" + words;
}

std::optional<std::string> EmbeddedServer::died() {
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i].child) continue;
    const auto how = processes_[i].child->ended();
    if (!how) continue;
    if (processes_.size() == 1) return how;
    return fmt::format("{} in process {} of {}", *how, i + 1, processes_.size());
  }
  return std::nullopt;
}

void EmbeddedServer::kill(std::size_t process) {
  Process& killed = processes_[process];
  if (const auto sample = sample_process(killed.child->pid())) {
    ended_.cpu_seconds += sample->cpu_seconds;
    ended_.written_bytes += sample->written_bytes;
  }
  killed.child.reset();  // Kills and reaps it.
  killed.awaited = false;
}

void EmbeddedServer::start_again(std::size_t process) {
  processes_[process].child.emplace(processes_[process].options);
  processes_[process].awaited = true;
}

std::vector<std::size_t> EmbeddedServer::listen_again() {
  std::vector<std::size_t> listening;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i].child || !processes_[i].awaited) continue;
    // It says nothing else but that.
    pollfd entry{processes_[i].child->output(), POLLIN, 0};
    if (poll(&entry, 1, 0) <= 0 || (entry.revents & POLLIN) == 0) continue;
    processes_[i].awaited = false;
    listening.push_back(i);
  }
  return listening;
}

std::optional<std::string> EmbeddedServer::stop(Duration longest) {
  if (const auto how = died()) return "the server ended before it was told to: " + *how;
  for (const Process& process : processes_) {
    if (process.child) process.child->signal(SIGTERM);
  }
  const Instant deadline = monotonic_now() + longest;
  for (Process& process : processes_) {
    if (!process.child) continue;
    const auto how = process.child->wait(deadline - monotonic_now());
    if (!how)
      return "the server did not end within " + scenario::format_duration(longest) + " of SIGTERM";
    if (!process.child->ended_well()) return "the server ended badly: " + *how + last_words();
  }
  return std::nullopt;
}

}  // namespace clamor::loadgen
