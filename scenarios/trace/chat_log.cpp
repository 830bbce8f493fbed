#include "scenarios/trace/chat_log.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace clamor::scenario {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(blanks), text.size());
  text.remove_prefix(first);
  const std::size_t last = text.find_last_not_of(blanks);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

std::string lower(std::string_view nick) {
  std::string out{nick};
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view next_word(std::string_view& rest) {
  rest = rest.substr(std::min(rest.find_first_not_of(blanks), rest.size()));
  const std::string_view word = rest.substr(0, std::min(rest.find_first_of(blanks), rest.size()));
  rest.remove_prefix(word.size());
  return word;
}

std::optional<int> digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{value}
                                                                  : std::nullopt;
}

/// `[HH:MM]` or `[HH:MM:SS]`, as time of day.
std::optional<Duration> time_of_day(std::string_view word, bool seconds) {
  if (word.size() != (seconds ? 10U : 7U) || word.front() != '[' || word.back() != ']') return {};
  const auto hour = digits(word.substr(1, 2));
  const auto minute = digits(word.substr(4, 2));
  const auto second = seconds ? digits(word.substr(7, 2)) : std::optional{0};
  const bool colons = word[3] == ':' && (!seconds || word[6] == ':');
  if (!colons || !hour || !minute || !second) return {};
  if (*hour > 23 || *minute > 59 || *second > 60) return {};
  return std::chrono::hours{*hour} + std::chrono::minutes{*minute} + std::chrono::seconds{*second};
}

/// `YYYY-MM-DD` as time since 1970; nullopt if there is no such day (a masked 0000-00-00).
std::optional<Duration> date(std::string_view word) {
  if (word.size() != 10 || word[4] != '-' || word[7] != '-') return {};
  const auto year = digits(word.substr(0, 4));
  const auto month = digits(word.substr(5, 2));
  const auto day = digits(word.substr(8, 2));
  if (!year || !month || !day || *month < 0 || *day < 0) return {};
  const std::chrono::year_month_day ymd{std::chrono::year{*year},
                                        std::chrono::month{static_cast<unsigned>(*month)},
                                        std::chrono::day{static_cast<unsigned>(*day)}};
  if (!ymd.ok()) return {};
  return std::chrono::duration_cast<Duration>(std::chrono::sys_days{ymd}.time_since_epoch());
}

bool looks_like_date(std::string_view word) {
  return word.size() == 10 && word[4] == '-' && word[7] == '-' && digits(word.substr(0, 4));
}

/// Reads line by line; the stamp of the line before carries over to lines without one.
class LogReader {
 public:
  explicit LogReader(LogFormat format) {
    log_.format = format;
    log_.resolution = format == LogFormat::irc_minutes ? Duration{1min} : Duration{1s};
  }

  ChatLog read(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = trimmed(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      ++log_.lines;
      if (line.empty()) {
        ++log_.other["blank"];
      } else if (log_.format == LogFormat::irc_minutes) {
        read_minutes(line);
      } else {
        read_dated(line);
      }
    }
    return std::move(log_);
  }

 private:
  void read_minutes(std::string_view line) {
    std::string_view rest = line;
    const std::string_view first = next_word(rest);
    if (first == "===") return read_server_line(rest);
    const auto at = time_of_day(first, false);
    if (!at) {
      ++log_.other["not understood"];
      return;
    }
    if (last_ && *at + day_ < *last_ - 12h) day_ += 24h;
    advance(*at + day_);
    if (!read_speech(rest)) ++log_.other["not understood"];
  }

  void read_dated(std::string_view line) {
    std::string_view rest = line;
    const std::string_view channel = next_word(rest);
    const std::string_view day = next_word(rest);
    const auto time = time_of_day(next_word(rest), true);
    if (!time || !looks_like_date(day)) {
      ++log_.other["not understood"];
      return;
    }
    // A masked stamp says nothing: what such a line tells happened between its neighbours.
    const auto since_epoch = date(day);
    if (since_epoch) {
      if (log_.channel.empty()) log_.channel = channel;
      advance(*since_epoch + *time);
    }
    if (!read_speech(rest)) ++log_.other["notice"];
  }

  /// `<nick> text` or `* nick text`.
  bool read_speech(std::string_view rest) {
    std::string_view word = next_word(rest);
    LogEntry entry;
    if (word == "*") {
      word = next_word(rest);
      if (word.empty()) return false;
      entry.nick = lower(word);
    } else {
      if (word.size() < 3 || word.front() != '<' || word.back() != '>') return false;
      entry.nick = lower(word.substr(1, word.size() - 2));
    }
    entry.text = trimmed(rest);
    add(std::move(entry));
    return true;
  }

  /// What follows `===`: `nick [user@host] has joined #channel`, `a is now known as b`, others.
  void read_server_line(std::string_view rest) {
    const std::string_view nick = next_word(rest);
    const std::string_view tail = trimmed(rest);
    LogEntry entry;
    entry.nick = lower(nick);
    constexpr std::string_view renamed = "is now known as ";
    if (tail.starts_with(renamed)) {
      entry.kind = LogEntry::Kind::rename;
      entry.new_nick = lower(trimmed(tail.substr(renamed.size())));
      return add(std::move(entry));
    }
    std::string_view verb = tail;
    if (verb.starts_with('['))
      verb = trimmed(verb.substr(std::min(verb.find(']'), verb.size() - 1) + 1));
    if (verb.starts_with("has joined")) {
      entry.kind = LogEntry::Kind::join;
    } else if (verb.starts_with("has left") || verb.starts_with("has quit")) {
      entry.kind = LogEntry::Kind::leave;
    } else {
      ++log_.other[nick.starts_with("mode/") ? "mode change" : "other server line"];
      return;
    }
    add(std::move(entry));
  }

  void advance(Duration at) {
    if (last_ && at < *last_) {
      ++log_.out_of_order;
      return;
    }
    last_ = at;
  }

  void add(LogEntry entry) {
    entry.line = log_.lines;
    entry.stamp = last_;
    log_.entries.push_back(std::move(entry));
  }

  ChatLog log_;
  std::optional<Duration> last_;
  Duration day_{};
};

std::optional<LogFormat> format_of(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view rest = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view first = next_word(rest);
    if (time_of_day(first, false)) return LogFormat::irc_minutes;
    const std::string_view second = next_word(rest);
    if (date(second) && time_of_day(next_word(rest), true)) return LogFormat::dated_seconds;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ChatLog> parse_chat_log(std::string_view text) {
  const auto format = format_of(text);
  if (!format) return std::nullopt;
  return LogReader{*format}.read(text);
}

}  // namespace clamor::scenario
