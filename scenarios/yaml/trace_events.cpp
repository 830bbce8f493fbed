#include "scenarios/yaml/trace_events.hpp"

#include "scenarios/yaml/document.hpp"
#include "scenarios/yaml/values.hpp"

#include <array>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <string_view>

namespace clamor::scenario {

namespace {

constexpr std::string_view header = "seconds,user,event,bytes,mentions";
constexpr std::size_t faults_max = 10;  // a file of another kind is wrong in every line
constexpr std::size_t fields = 5;
constexpr double ns_per_second = 1e9;
constexpr double seconds_max = 1e9;

std::string_view next_part(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

/// Reads line by line; a fault in one line leaves the others to be checked.
class EventsReader {
 public:
  explicit EventsReader(std::string path) : path_{std::move(path)} {}

  Parsed<TraceFile> read(std::string_view text) {
    while (!text.empty() && errors_.size() < faults_max) {
      ++line_;
      std::string_view line = next_part(text, '\n');
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line_ == 1) {
        if (line == header) continue;
        fault(1, fmt::format("the header is \"{}\"; expected \"{}\"", line.substr(0, 60), header));
        break;
      }
      read_line(line);
    }
    if (errors_.empty() && trace_.users == 0) fault(1, "no users; expected online or offline rows");
    if (!errors_.empty()) return {std::nullopt, std::move(errors_)};
    return {std::move(trace_), {}};
  }

 private:
  void fault(std::size_t column, const std::string& message) {
    errors_.push_back(located(path_, {line_, static_cast<int>(column)}, message));
  }

  void read_line(std::string_view line) {
    std::array<std::string_view, fields> field;
    std::array<std::size_t, fields> column{};
    std::string_view rest = line;
    for (std::size_t i = 0; i < fields; ++i) {
      column[i] = line.size() - rest.size() + 1;
      field[i] = next_part(rest, ',');
    }
    const auto seconds = parse_number(field[0]);
    if (!seconds || *seconds < 0 || *seconds > seconds_max) {
      return fault(column[0], fmt::format("time \"{}\"; expected seconds from 0", field[0]));
    }
    const auto user = parse_whole(field[1]);
    if (!user || *user > population_max) {
      return fault(column[1], fmt::format("user \"{}\"; expected a number from 0", field[1]));
    }
    const auto index = static_cast<std::uint32_t>(*user);
    if (field[2] == "online" || field[2] == "offline") {
      return read_user(index, field[2] == "online", column[1]);
    }
    if (index >= trace_.users) {
      return fault(column[1], fmt::format("user {} has no row online or offline at the top; "
                                          "expected less than {}",
                                          index, trace_.users));
    }
    TraceEvent event;
    event.at = Duration{std::llround(*seconds * ns_per_second)};
    event.user = index;
    if (!trace_.events.empty() && event.at < trace_.events.back().at) {
      return fault(column[0], "earlier than the line before; expected ascending times");
    }
    if (field[2] == "connect") {
      event.kind = TraceEvent::Kind::connect;
    } else if (field[2] == "disconnect") {
      event.kind = TraceEvent::Kind::disconnect;
    } else if (field[2] != "send") {
      static const std::array<std::string, 5> known{"online", "offline", "send", "connect",
                                                    "disconnect"};
      return fault(column[2], fmt::format("event \"{}\"; expected one of: {}{}", field[2],
                                          listed(known), did_you_mean(field[2], known)));
    } else if (!read_send(field[3], column[3], field[4], column[4], event)) {
      return;
    }
    trace_.events.push_back(std::move(event));
  }

  void read_user(std::uint32_t index, bool online, std::size_t column) {
    if (!trace_.events.empty() || index != trace_.users) {
      return fault(column, fmt::format("user {}; expected {}: users are numbered from 0, before "
                                       "the first event",
                                       index, trace_.users));
    }
    ++trace_.users;
    if (online) trace_.connected.push_back(index);
  }

  bool read_send(std::string_view bytes, std::size_t bytes_column, std::string_view mentions,
                 std::size_t mentions_column, TraceEvent& event) {
    const auto length = parse_whole(bytes);
    if (!length || *length < 1 || *length > message_bytes_max) {
      fault(bytes_column, fmt::format("bytes \"{}\"; expected a whole number from 1 to {}", bytes,
                                      message_bytes_max));
      return false;
    }
    event.bytes = static_cast<std::uint32_t>(*length);
    while (!mentions.empty()) {
      const std::string_view word = next_part(mentions, ' ');
      const auto user = parse_whole(word);
      if (!user || *user >= trace_.users) {
        fault(mentions_column,
              fmt::format("mention \"{}\"; expected a user below {}", word, trace_.users));
        return false;
      }
      event.mentions.push_back(static_cast<std::uint32_t>(*user));
    }
    return true;
  }

  std::string path_;
  int line_ = 0;
  TraceFile trace_;
  std::vector<std::string> errors_;
};

}  // namespace

Parsed<TraceFile> read_trace_file(const std::string& path) {
  const Parsed<std::string> text = read_text_file(path);
  if (!text.value) return {std::nullopt, text.errors};
  return EventsReader{path}.read(*text.value);
}

std::string write_trace_file(const TraceFile& trace) {
  std::string text{header};
  text += '\n';
  std::vector<bool> online(trace.users, false);
  for (const std::uint32_t user : trace.connected) online[user] = true;
  for (std::uint32_t user = 0; user < trace.users; ++user) {
    text += fmt::format("0.000000000,{},{},,\n", user, online[user] ? "online" : "offline");
  }
  constexpr std::int64_t second_ns = 1'000'000'000;
  for (const TraceEvent& event : trace.events) {
    const std::string at =
        fmt::format("{}.{:09}", event.at.count() / second_ns, event.at.count() % second_ns);
    if (event.kind == TraceEvent::Kind::send) {
      text += fmt::format("{},{},send,{},{}\n", at, event.user, event.bytes,
                          fmt::join(event.mentions, " "));
    } else {
      text += fmt::format("{},{},{},,\n", at, event.user,
                          event.kind == TraceEvent::Kind::connect ? "connect" : "disconnect");
    }
  }
  return text;
}

}  // namespace clamor::scenario
