#include "loadgen/app/embedded_server.hpp"

#include "loadgen/app/load.hpp"
#include "loadgen/net/connections.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <poll.h>
#include <sodium.h>
#include <unistd.h>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

std::string draw_secret() {
  std::array<unsigned char, 16> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string design_text(const DesignSpec& design) {
  if (design.design != QueueDesign::hybrid) return std::string{name_of(design.design)};
  return fmt::format("{{hybrid: {{threshold: {}}}}}", design.threshold);
}

}  // namespace

EmbeddedServer::EmbeddedServer(const std::string& program, const std::filesystem::path& folder,
                               const scenario::Scenario& scenario, const DesignSpec& design,
                               const std::vector<int>& cores, std::uint32_t nodes)
    : secret_{draw_secret()},
      error_file_{folder / "server.stderr"},
      child_{{.program = program,
              .arguments = {"serve", "--config",
                            write_settings(folder, scenario, design, secret_, nodes)},
              .cores = cores,
              .preferred = true,
              .error_file = error_file_.string(),
              .capture_output = true}} {
  await_listening(nodes, 20s);
}

std::string EmbeddedServer::write_settings(const std::filesystem::path& folder,
                                           const scenario::Scenario& scenario,
                                           const DesignSpec& design, const std::string& secret,
                                           std::uint32_t nodes) {
  const std::filesystem::path file = folder / "server.yaml";
  std::uint32_t largest = 10'000;
  for (const scenario::GroupClass& group : scenario.groups) {
    largest = std::max(largest, group.members);
  }
  const scenario::StoreMemory memory = scenario::store_memory(scenario.deployment);
  std::ofstream out{file};
  out << fmt::format(
      "listen: 127.0.0.1:0\ndata: {}\nsecret: {}\ndesign: {}\ndurability: {}\n"
      "ack_after: {}\npayload: {}\n"
      "heartbeat: {{interval: {}, offline_after: {}}}\n"
      "store: {{block_cache_bytes: {}, write_buffer_bytes: {}}}\n"
      "limits: {{group_members: {}, body_bytes: {}, message_bytes: {}}}\n",
      scenario::quoted_yaml((folder / "data").string()), scenario::quoted_yaml(secret),
      design_text(design), scenario.durability == scenario::Durability::fsync ? "fsync" : "os",
      name_of(scenario.ack_after), name_of(scenario.payload),
      scenario::format_duration(scenario.heartbeat.interval),
      scenario::format_duration(scenario.heartbeat.offline_after), memory.block_cache_bytes,
      memory.write_buffer_bytes, largest, scenario::message_bytes_max,
      64 * 1024 + 8 * std::size_t{largest});
  if (nodes > 1) out << fmt::format("nodes: {}\n", nodes);
  out.close();
  if (!out) throw LoadError{file.string() + ": cannot be written; is the disk full?"};
  return file.string();
}

void EmbeddedServer::await_listening(std::uint32_t nodes, Duration longest) {
  constexpr std::string_view ready = "listening on ";
  const Instant deadline = monotonic_now() + longest;
  std::string text;
  while (monotonic_now() < deadline) {
    pollfd entry{child_.output(), POLLIN, 0};
    if (poll(&entry, 1, 100) <= 0) continue;
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(child_.output(), buffer.data(), buffer.size());
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t at = 0; nodes != 0 && (at = text.find(ready)) != std::string::npos; --nodes) {
      const std::size_t end = text.find('\n', at);
      if (end == std::string::npos) break;
      url_ += (url_.empty() ? "ws://" : ",ws://") +
              text.substr(at + ready.size(), end - at - ready.size());
      text.erase(0, end + 1);
    }
    if (nodes == 0) return;
  }
  const auto how = child_.wait(1s);
  throw LoadError{"the embedded server did not start: " +
                  (how ? "it ended with " + *how + last_words()
                       : fmt::format("no \"{}\" line within 20 s", ready))};
}

std::string EmbeddedServer::last_words() const {
  std::ifstream in{error_file_};
  std::string words;
  for (std::string line; std::getline(in, line);) words = words + "\n  " + line;
  constexpr std::size_t longest = 2000;
  if (words.size() > longest) words = "\n  ..." + words.substr(words.size() - longest);
  return words.empty() ? ", without a word" : ". It said:" + words;
}

std::optional<std::string> EmbeddedServer::died() { return child_.ended(); }

std::optional<std::string> EmbeddedServer::stop(Duration longest) {
  if (const auto how = child_.ended()) return "the server ended before it was told to: " + *how;
  child_.signal(SIGTERM);
  const auto how = child_.wait(longest);
  if (!how)
    return "the server did not end within " + scenario::format_duration(longest) + " of SIGTERM";
  if (!child_.ended_well()) return "the server ended badly: " + *how + last_words();
  return std::nullopt;
}

}  // namespace clamor::loadgen
