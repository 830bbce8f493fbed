#include "loadgen/app/scrape.hpp"

#include "loadgen/net/connections.hpp"
#include "loadgen/net/descriptor.hpp"
#include "server/host/clock.hpp"
#include "server/tls/connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <limits>
#include <map>
#include <poll.h>
#include <set>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace clamor::loadgen {
namespace {

/// Waits until the socket is ready; false at the deadline.
bool ready(int fd, short events, Instant deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now());
  pollfd entry{fd, events, 0};
  return left.count() > 0 && poll(&entry, 1, static_cast<int>(left.count())) > 0;
}

bool send_all(int fd, std::span<const std::byte> bytes) {
  return bytes.empty() || ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                              static_cast<ssize_t>(bytes.size());  // a fresh socket takes them
}

/// Sends the request and reads until the server ends the connection.
std::optional<std::string> plain_exchange(int fd, const std::string& request, Instant deadline) {
  if (!send_all(fd, std::as_bytes(std::span{request}))) return std::nullopt;
  std::string answer;
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    if (!ready(fd, POLLIN, deadline)) return std::nullopt;
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0) return std::nullopt;
    if (got == 0) return answer;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

/// The same by TLS.
std::optional<std::string> secure_exchange(int fd, const Target& target, const std::string& request,
                                           Instant deadline) {
  tls::Connection connection = tls::Connection::connect(*target.trust, target.host);
  std::vector<std::byte> cipher(std::size_t{64} * 1024);
  std::vector<std::byte> plain(cipher.size() + tls::record_bytes_max);
  std::vector<std::byte> out;
  std::string answer;
  bool asked = false;
  std::size_t got = 0;
  for (;;) {
    out.clear();
    const auto taken = connection.take(std::span{cipher}.first(got), plain, out);
    if (taken.state == tls::State::failed) return std::nullopt;
    answer.append(reinterpret_cast<const char*>(plain.data()), taken.plain_bytes);
    if (taken.state == tls::State::ended) return answer;
    if (taken.state == tls::State::open && !std::exchange(asked, true) &&
        !connection.put(std::as_bytes(std::span{request}), out)) {
      return std::nullopt;
    }
    if (!send_all(fd, out) || !ready(fd, POLLIN, deadline)) return std::nullopt;
    const ssize_t read = ::recv(fd, cipher.data(), cipher.size(), 0);
    if (read <= 0) return std::nullopt;  // who ends says so first
    got = static_cast<std::size_t>(read);
  }
}

std::optional<std::string> http_get(const Target& target, std::string_view path, Instant deadline) {
  const Descriptor fd{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) return std::nullopt;
  const int failed = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&target.address),
                               sizeof target.address);
  if (failed != 0 && errno != EINPROGRESS) return std::nullopt;
  if (!ready(fd.get(), POLLOUT, deadline)) return std::nullopt;
  const std::string request = "GET " + std::string{path} + " HTTP/1.1\r\nHost: " + target.host +
                              "\r\nConnection: close\r\n\r\n";
  const auto answered = target.trust == nullptr
                            ? plain_exchange(fd.get(), request, deadline)
                            : secure_exchange(fd.get(), target, request, deadline);
  if (!answered) return std::nullopt;
  const std::string& answer = *answered;
  const std::size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos || !answer.starts_with("HTTP/1.1 200")) return std::nullopt;
  return answer.substr(body + 4);
}

/// Values of the samples without labels, by name.
std::map<std::string, double, std::less<>> plain_samples(std::string_view text) {
  std::map<std::string, double, std::less<>> values;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t space = line.find(' ');
    if (line.empty() || line.front() == '#' || space == std::string_view::npos) continue;
    double value = 0;
    const std::string_view number = line.substr(space + 1);
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc{}) {
      values.emplace(line.substr(0, space), value);
    }
  }
  return values;
}

/// Of the first sample of a metric; empty where it has none.
std::string label_of(std::string_view text, std::string_view metric, std::string_view label) {
  const std::string begin = "\n" + std::string{metric} + "{";
  const std::size_t at = text.find(begin);
  if (at == std::string_view::npos) return "";
  const std::string_view line = text.substr(at + begin.size(), text.find('}', at) - at);
  const std::string key = std::string{label} + "=\"";
  const std::size_t from = line.find(key);
  if (from == std::string_view::npos) return "";
  const std::size_t value = from + key.size();
  return std::string{line.substr(value, line.find('"', value) - value)};
}

}  // namespace

std::optional<ServerSample> parse_metrics(std::string_view text) {
  const auto values = plain_samples(text);
  const auto value_of = [&values](std::string_view name) {
    const auto found = values.find(name);
    return found == values.end() ? 0.0 : found->second;
  };
  if (!values.contains("clamor_records_total")) return std::nullopt;
  const auto count_of = [&value_of](std::string_view name) {
    return static_cast<std::uint64_t>(value_of(name));
  };
  ServerSample sample;
  for (const OperationCounter& counter : operation_counters) {
    sample.operations.*counter.member = count_of("clamor_" + std::string{counter.name} + "_total");
  }
  sample.fan_out_lag_records = count_of("clamor_fan_out_lag_records");
  sample.sessions = count_of("clamor_sessions");
  sample.connections = count_of("clamor_connections");
  for (const std::string_view gauge : {"clamor_commits_pending", "clamor_fan_out_lag_records",
                                       "clamor_queue_writer_backlog", "clamor_pages_due"}) {
    sample.pending += count_of(gauge);
  }
  sample.bus_messages_sent = count_of("clamor_bus_messages_sent_total");
  sample.bus_messages_received = count_of("clamor_bus_messages_received_total");
  sample.presence_waits = count_of("clamor_presence_looks") + count_of("clamor_presence_due");
  sample.nodes_up = count_of("clamor_nodes_up");
  sample.cpu_seconds = value_of("clamor_process_cpu_seconds_total");
  sample.resident_bytes = count_of("clamor_process_resident_bytes");
  sample.process_id = count_of("clamor_process_id");
  sample.written_bytes = count_of("clamor_process_written_bytes_total");
  sample.design = label_of(text, "clamor_build_info", "design");
  sample.durability = label_of(text, "clamor_build_info", "durability");
  sample.block_cache_bytes = count_of("clamor_store_block_cache_bytes");
  sample.write_buffers_bytes = count_of("clamor_store_write_buffers_bytes");
  return sample;
}

std::optional<ServerSample> scrape(const Target& target, Duration longest) {
  return scrape(std::span{&target, 1}, longest);
}

std::optional<ServerSample> scrape(std::span<const Target> targets, Duration longest) {
  ServerSample sum{.nodes_up = std::numeric_limits<std::uint64_t>::max()};
  const Instant deadline = monotonic_now() + longest;
  std::set<std::pair<std::uint32_t, std::uint64_t>> processes;
  for (const Target& target : targets) {
    const auto text = http_get(target, "/metrics", deadline);
    const auto sample = text ? parse_metrics(*text) : std::nullopt;
    if (!sample) return std::nullopt;
    sum.operations += sample->operations;
    sum.fan_out_lag_records += sample->fan_out_lag_records;
    sum.sessions += sample->sessions;
    sum.connections += sample->connections;
    sum.pending += sample->pending;
    sum.bus_messages_sent += sample->bus_messages_sent;
    sum.bus_messages_received += sample->bus_messages_received;
    sum.presence_waits += sample->presence_waits;
    sum.nodes_up = std::min(sum.nodes_up, sample->nodes_up);
    // of one node; all have the same settings
    sum.block_cache_bytes = std::max(sum.block_cache_bytes, sample->block_cache_bytes);
    sum.write_buffers_bytes = std::max(sum.write_buffers_bytes, sample->write_buffers_bytes);
    sum.design = sample->design;
    sum.durability = sample->durability;
    if (!processes.emplace(target.address.sin_addr.s_addr, sample->process_id).second) continue;
    sum.process_id += sample->process_id;
    sum.written_bytes += sample->written_bytes;
    sum.cpu_seconds += sample->cpu_seconds;
    sum.resident_bytes += sample->resident_bytes;
  }
  return sum;
}

bool are_at_rest(const ServerSample& earlier, const ServerSample& later, std::uint64_t sessions) {
  for (const ServerSample* const sample : {&earlier, &later}) {
    if (sample->pending != 0 || sample->presence_waits != 0) return false;
    if (sample->sessions != sessions || sample->connections != sessions) return false;
  }
  return earlier.bus_messages_received == later.bus_messages_sent;
}

Operations difference(const Operations& later, const Operations& earlier) {
  Operations out;
  for (const OperationCounter& counter : operation_counters) {
    // A server that was started again counts anew.
    out.*counter.member =
        later.*counter.member - std::min(later.*counter.member, earlier.*counter.member);
  }
  return out;
}

}  // namespace clamor::loadgen
