#pragma once

#include "server/base/time.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::scenario {

/// One line of a channel's log that says what somebody did.
struct LogEntry {
  enum class Kind { message, join, leave, rename };
  Kind kind = Kind::message;
  int line = 0;                   ///< From 1.
  std::optional<Duration> stamp;  ///< As written, since the log's first midnight; only rising.
  std::string nick;               ///< In lower case: IRC's nicks ignore it.
  std::string new_nick;           ///< rename
  std::string text;               ///< message
};

enum class LogFormat {
  irc_minutes,    ///< `[HH:MM] <nick> text`, `=== nick [host] has joined #channel`
  dated_seconds,  ///< `channel YYYY-MM-DD [HH:MM:SS] <nick> text`
};

struct ChatLog {
  LogFormat format = LogFormat::irc_minutes;
  Duration resolution{};             ///< Of a stamp: a minute or a second.
  std::string channel;               ///< dated_seconds
  std::vector<LogEntry> entries;     ///< In the order of the file.
  std::map<std::string, int> other;  ///< Lines that say nothing anybody did, by kind.
  int out_of_order = 0;              ///< Stamps before the one above; read as that one.
  int lines = 0;
};

/// Reads a log of either format; nullopt when no line in it is of one. A log may span midnight:
/// a stamp of minutes half a day back is the next day's.
[[nodiscard]] std::optional<ChatLog> parse_chat_log(std::string_view text);

}  // namespace clamor::scenario
