#pragma once

#include "server/base/id.hpp"
#include "server/base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

/// What a server says of itself, one line an event, on standard error.
namespace clamor::log {

enum class Level : std::uint8_t { debug, info, warning, error };
enum class Format : std::uint8_t {
  text,  ///< `time=... level=warning node=0 what="append failed" error="No space left"`
  json,  ///< The same keys, a JSON object a line.
};
[[nodiscard]] std::string_view name_of(Level level);
[[nodiscard]] std::string_view name_of(Format format);

struct LogSettings {
  Level level = Level::info;  ///< Lines below are not written.
  Format format = Format::text;
  bool operator==(const LogSettings&) const = default;
};

/// One fact of an event. A value that is text is quoted where it must be.
struct Field {
  std::string_view key;
  std::variant<std::string_view, std::uint64_t> value;
};

/// An event as it is written.
struct Line {
  std::int64_t unix_ms = 0;
  Level level = Level::info;
  std::optional<NodeId> node;
  std::string_view what;
  std::span<const Field> fields;
  std::uint64_t left_out = 0;  ///< Lines of the same `what` that were not written before this one.
};
/// The line, its newline included. Bytes that are no UTF-8 are replaced.
[[nodiscard]] std::string print(const Line& line, Format format);

/// Bounds how often one thing is said: `burst` lines within `window`, the rest is counted. Keeps 32
/// things and forgets the one that was not said for longest. Not thread-safe.
class Repeats {
 public:
  static constexpr std::uint32_t burst = 5;
  static constexpr Duration window = std::chrono::seconds{10};

  /// How many were left out since the last line, where this one may be written; else nothing.
  /// @pre `what` outlives it.
  [[nodiscard]] std::optional<std::uint64_t> admit(std::string_view what, Instant now);

 private:
  struct Said {
    std::string_view what;
    Instant since;  ///< The window's begin.
    std::uint32_t lines = 0;
    std::uint64_t left_out = 0;
  };
  std::array<Said, 32> said_{};
};

/// Writes a node's lines, or the process's; each as one write(), so that those of several threads
/// do not mix. Does nothing where standard error is gone. Not thread-safe; one a thread.
class Log {
 public:
  explicit Log(const LogSettings& settings, std::optional<NodeId> node = std::nullopt)
      : settings_{settings}, node_{node} {}

  /// @pre `what` is a literal: it names the kind of event, `fields` say the rest.
  void debug(std::string_view what, std::initializer_list<Field> fields = {}) {
    if (settings_.level == Level::debug) write(Level::debug, what, fields);
  }
  void info(std::string_view what, std::initializer_list<Field> fields = {}) {
    if (settings_.level <= Level::info) write(Level::info, what, fields);
  }
  void warning(std::string_view what, std::initializer_list<Field> fields = {}) {
    if (settings_.level <= Level::warning) write(Level::warning, what, fields);
  }
  void error(std::string_view what, std::initializer_list<Field> fields = {}) {
    write(Level::error, what, fields);
  }

 private:
  void write(Level level, std::string_view what, std::span<const Field> fields);

  LogSettings settings_;
  std::optional<NodeId> node_;
  Repeats repeats_;
};

}  // namespace clamor::log
