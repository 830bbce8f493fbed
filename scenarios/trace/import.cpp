#include "scenarios/trace/import.hpp"

#include "scenarios/trace/chat_log.hpp"
#include "scenarios/yaml/values.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <unordered_map>
#include <vector>

namespace clamor::scenario {

namespace {

using EventKind = TraceEvent::Kind;

/// Numbers users by their nicks; nicks that a rename links are one user (union-find).
class Nicks {
 public:
  explicit Nicks(const std::vector<LogEntry>& entries) {
    for (const LogEntry& entry : entries) {
      const std::size_t nick = add(entry.nick);
      if (entry.kind == LogEntry::Kind::rename) join(nick, add(entry.new_nick));
    }
    // Users are numbered in the order in which they first appear.
    std::vector<std::uint32_t> user_of_root(parent_.size(), unknown);
    for (std::size_t nick = 0; nick < parent_.size(); ++nick) {
      std::uint32_t& user = user_of_root[root(nick)];
      if (user == unknown) user = users_++;
      user_.push_back(user);
    }
  }

  [[nodiscard]] std::uint32_t users() const { return users_; }
  [[nodiscard]] std::uint32_t user(const std::string& nick) const { return user_[index_.at(nick)]; }
  [[nodiscard]] std::optional<std::uint32_t> find(const std::string& nick) const {
    const auto known = index_.find(nick);
    return known == index_.end() ? std::nullopt : std::optional{user_[known->second]};
  }

 private:
  static constexpr std::uint32_t unknown = 0xFFFFFFFF;

  std::size_t add(const std::string& nick) {
    const auto [known, fresh] = index_.try_emplace(nick, parent_.size());
    if (fresh) parent_.push_back(known->second);
    return known->second;
  }
  std::size_t root(std::size_t nick) {
    while (parent_[nick] != nick) nick = parent_[nick] = parent_[parent_[nick]];
    return nick;
  }
  void join(std::size_t a, std::size_t b) {
    const auto [low, high] = std::minmax({root(a), root(b)});
    parent_[high] = low;
  }

  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::size_t> parent_;
  std::vector<std::uint32_t> user_;
  std::uint32_t users_ = 0;
};

/// When each entry happened: those that share a stamp, evenly over the time that it covers.
std::vector<Duration> times_of(const ChatLog& log) {
  const auto& entries = log.entries;
  // Lines above the first stamp belong to it.
  const auto stamped = std::find_if(entries.begin(), entries.end(),
                                    [](const LogEntry& entry) { return entry.stamp.has_value(); });
  const Duration first = stamped == entries.end() ? Duration{} : *stamped->stamp;
  std::vector<Duration> times(entries.size());
  for (std::size_t i = 0; i < entries.size();) {
    const Duration stamp = entries[i].stamp.value_or(first);
    std::size_t end = i;
    while (end < entries.size() && entries[end].stamp.value_or(first) == stamp) ++end;
    const auto count = static_cast<std::int64_t>(end - i);
    for (std::int64_t k = 0; k < count; ++k) {
      times[i + static_cast<std::size_t>(k)] =
          stamp - first + log.resolution * (2 * k + 1) / (2 * count);
    }
    i = end;
  }
  return times;
}

/// Users named in a message by `nick:`, `nick,`, `@nick` or the bare nick, each once.
std::vector<std::uint32_t> mentions_in(const std::string& text, std::uint32_t sender,
                                       const Nicks& nicks) {
  constexpr std::string_view around = "@<>()[]{}\"'`,:;.!?*";
  std::vector<std::uint32_t> found;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::optional<std::uint32_t> user;
    // A nick may itself hold brackets or the like: the whole word is tried first, then less of it.
    while (!word.empty() && !(user = nicks.find(std::string{word}))) {
      if (around.find(word.back()) != std::string_view::npos) {
        word.remove_suffix(1);
      } else if (around.find(word.front()) != std::string_view::npos) {
        word.remove_prefix(1);
      } else {
        break;
      }
    }
    if (user && *user != sender && std::find(found.begin(), found.end(), *user) == found.end()) {
      found.push_back(*user);
    }
  }
  return found;
}

/// Replays the entries' effect on sessions and collects the events.
class Importer {
 public:
  Importer(const ChatLog& log, const Nicks& nicks) : log_{log}, nicks_{nicks} {
    state_.resize(nicks.users(), State::unseen);
  }

  ImportedTrace run() {
    const std::vector<Duration> times = times_of(log_);
    for (std::size_t i = 0; i < log_.entries.size(); ++i) {
      take(log_.entries[i], times[i] - times.front());
    }
    TraceFacts& facts = out_.facts;
    out_.trace.users = facts.users = nicks_.users();
    std::sort(out_.trace.connected.begin(), out_.trace.connected.end());
    facts.sessions += static_cast<std::uint32_t>(out_.trace.connected.size());
    facts.span = times.empty() ? Duration{} : times.back() - times.front();
    facts.other_lines = log_.other;
    facts.lines = log_.lines;
    facts.out_of_order = static_cast<std::uint32_t>(log_.out_of_order);
    return std::move(out_);
  }

 private:
  enum class State : std::uint8_t { unseen, connected, gone };

  void take(const LogEntry& entry, Duration at) {
    const std::uint32_t user = nicks_.user(entry.nick);
    TraceFacts& facts = out_.facts;
    switch (entry.kind) {
      case LogEntry::Kind::join:
        ++facts.joins;
        if (state_[user] == State::connected) {
          ++facts.reconnects;
          push(at, user, EventKind::disconnect);
        }
        connect(at, user);
        break;
      case LogEntry::Kind::leave:
        ++facts.leaves;
        if (state_[user] == State::gone) {
          ++facts.ignored_leaves;
          break;
        }
        appear(at, user);
        push(at, user, EventKind::disconnect);
        state_[user] = State::gone;
        break;
      case LogEntry::Kind::rename:
        ++facts.renames;
        appear(at, user);
        break;
      case LogEntry::Kind::message:
        appear(at, user);
        send(at, user, entry.text);
        break;
    }
  }

  /// Somebody acts who must be connected: has been from the beginning, or has come back unseen.
  void appear(Duration at, std::uint32_t user) {
    if (state_[user] == State::unseen) {
      out_.trace.connected.push_back(user);
      state_[user] = State::connected;
    } else if (state_[user] == State::gone) {
      ++out_.facts.implied_connects;
      connect(at, user);
    }
  }

  void connect(Duration at, std::uint32_t user) {
    ++out_.facts.sessions;
    state_[user] = State::connected;
    push(at, user, EventKind::connect);
  }

  void send(Duration at, std::uint32_t user, const std::string& text) {
    ++out_.facts.messages;
    if (text.size() > message_bytes_max) ++out_.facts.shortened;
    push(at, user, EventKind::send);
    TraceEvent& event = out_.trace.events.back();
    event.bytes =
        static_cast<std::uint32_t>(std::clamp<std::size_t>(text.size(), 1, message_bytes_max));
    std::string folded = text;  // nicks are in lower case
    for (char& c : folded) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    event.mentions = mentions_in(folded, user, nicks_);
    out_.facts.mentions += static_cast<std::uint32_t>(event.mentions.size());
  }

  void push(Duration at, std::uint32_t user, EventKind kind) {
    out_.trace.events.push_back({at, user, kind, 0, {}});
  }

  const ChatLog& log_;
  const Nicks& nicks_;
  std::vector<State> state_;
  ImportedTrace out_;
};

/// The trace's length with the mean gap after its last event, so that a replay does not end on it.
Duration length_of(const ImportedTrace& trace) {
  const auto events =
      static_cast<std::int64_t>(std::max<std::size_t>(1, trace.trace.events.size()));
  return std::max<Duration>(trace.facts.span + trace.facts.span / events, 1s);
}

/// Deliveries to connected members in the busiest second of the replay of one channel. Copies
/// have their busy seconds together.
double busiest_second(const ImportedTrace& trace, const Replay& replay) {
  std::vector<bool> connected(trace.trace.users, false);
  for (const std::uint32_t user : trace.trace.connected) connected[user] = true;
  auto online = static_cast<std::int64_t>(trace.trace.connected.size());
  std::map<std::int64_t, std::int64_t> by_second;
  for (const TraceEvent& event : trace.trace.events) {
    if (event.kind == EventKind::send) {
      const double second = to_seconds(event.at) / replay.speed;
      by_second[static_cast<std::int64_t>(second)] += online - 1;
    } else if (connected[event.user] != (event.kind == EventKind::connect)) {
      connected[event.user] = event.kind == EventKind::connect;
      online += event.kind == EventKind::connect ? 1 : -1;
    }
  }
  std::int64_t most = 1;
  for (const auto& [second, deliveries] : by_second) most = std::max(most, deliveries);
  return static_cast<double>(most);
}

/// A deployment that a planner would run: no server gets more than it delivers comfortably.
struct Sizing {
  std::uint32_t clients_per_server;
  double scale;  ///< Of the simulated run.
};

Sizing sizing_of(const ImportedTrace& trace, const Replay& replay, std::uint32_t copies) {
  constexpr double deliveries_per_second = 60'000;  // a third of what one core was measured to do
  constexpr double clients_most = 20'000;
  constexpr double servers_simulated = 20;
  const double users = trace.facts.users;
  const double channels_by_rate = std::floor(deliveries_per_second / busiest_second(trace, replay));
  const double channels =
      std::max(1.0, std::min(channels_by_rate, std::floor(clients_most / users)));
  return {static_cast<std::uint32_t>(channels * users),
          std::max(1.0, std::round(servers_simulated * channels / copies))};
}

}  // namespace

Parsed<ImportedTrace> import_chat_log(std::string_view text, const std::string& file) {
  const std::string expected =
      "expected lines such as `[11:22] <nick> text` or `channel 2018-12-26 [10:19:00] <nick> text`";
  const auto log = parse_chat_log(text);
  if (!log) return {std::nullopt, {file + ": no line of a known format; " + expected}};
  const Nicks nicks{log->entries};
  ImportedTrace trace = Importer{*log, nicks}.run();
  if (trace.facts.messages == 0) return {std::nullopt, {file + ": no messages; " + expected}};
  return {std::move(trace), {}};
}

Replay compressed_to(Duration duration, const ImportedTrace& trace) {
  return {to_seconds(length_of(trace)) / to_seconds(duration), duration};
}

Replay at_speed(double speed, const ImportedTrace& trace) {
  const double ms = std::ceil(to_seconds(length_of(trace)) / speed * 1000);
  return {speed, std::chrono::milliseconds{static_cast<std::int64_t>(ms)}};
}

std::string replay_scenario(const std::string& name, const std::string& source,
                            const std::string& events_file, const Replay& replay,
                            std::uint32_t copies, const ImportedTrace& trace) {
  const TraceFacts& facts = trace.facts;
  const std::string description =
      fmt::format("Replays {}: {} messages of {} users, {:.4g} times faster than they came.",
                  source, facts.messages, facts.users, replay.speed);
  const Sizing sizing = sizing_of(trace, replay, copies);
  const auto length = std::chrono::ceil<std::chrono::seconds>(length_of(trace));
  return fmt::format(
      R"(# Written by `clamor trace import`. Users, their channel, their sessions and what they
# send come from the events file.
name: {name}
description: {description}
seed: 1
population:
  devices: {{1: 1.0}}
# As many channels a server as make at most 60,000 deliveries in the busiest second.
deployment: {{cores: 1, clients_per_server: {clients}}}
designs: [per_user, per_group]
durability: os
scenarios:
  replay:
    executor: trace
    events: {events}
    speed: {speed}  # 1 keeps the log's own time; duration must then be {span}
    duration: {duration}
    copies: {copies}  # channels made of the log, each with users of its own
simulate: {{scale: {scale}}}  # times the copies
thresholds:
  delivery_latency: ['p(99)<250']
)",
      fmt::arg("name", name), fmt::arg("description", quoted_yaml(description)),
      fmt::arg("speed", replay.speed), fmt::arg("events", quoted_yaml(events_file)),
      fmt::arg("span", format_duration(length)),
      fmt::arg("duration", format_duration(replay.duration)), fmt::arg("copies", copies),
      fmt::arg("scale", sizing.scale), fmt::arg("clients", sizing.clients_per_server));
}

}  // namespace clamor::scenario
