#include "server/log/log.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string>
#include <unistd.h>
#include <utility>

namespace clamor::log {
namespace {

std::string time_text(std::int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     unix_ms % 1000);
}

/// As a JSON string, which text lines use too.
std::string quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool is_word(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"_-.:/+[]"}.find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), plain);
}

class Printer {
 public:
  explicit Printer(Format format) : json_{format == Format::json} {
    if (json_) out_ = "{";
  }
  void add(std::string_view key, std::string_view text) {
    begin(key);
    out_ += json_ || !is_word(text) ? quoted(text) : std::string{text};
  }
  void add(std::string_view key, std::uint64_t number) {
    begin(key);
    out_ += std::to_string(number);
  }
  [[nodiscard]] std::string take() && {
    out_ += json_ ? "}\n" : "\n";
    return std::move(out_);
  }

 private:
  void begin(std::string_view key) {
    if (!first_) out_ += json_ ? "," : " ";
    first_ = false;
    out_ += json_ ? fmt::format("\"{}\":", key) : fmt::format("{}=", key);
  }

  bool json_;
  bool first_ = true;
  std::string out_;
};

}  // namespace

std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return {};
}

std::string_view name_of(Format format) { return format == Format::json ? "json" : "text"; }

std::string print(const Line& line, Format format) {
  Printer printer{format};
  printer.add("time", time_text(line.unix_ms));
  printer.add("level", name_of(line.level));
  if (line.node) printer.add("node", std::uint64_t{line.node->value});
  printer.add("what", line.what);
  for (const Field& field : line.fields) {
    std::visit([&](const auto& value) { printer.add(field.key, value); }, field.value);
  }
  if (line.left_out != 0) printer.add("left_out", line.left_out);
  return std::move(printer).take();
}

std::optional<std::uint64_t> Repeats::admit(std::string_view what, Instant now) {
  auto said = std::find_if(said_.begin(), said_.end(),
                           [what](const Said& one) { return one.what == what; });
  if (said == said_.end()) {
    said = std::min_element(said_.begin(), said_.end(),
                            [](const Said& a, const Said& b) { return a.since < b.since; });
    *said = {.what = what, .since = now};
  }
  if (now - said->since >= window) {
    said->since = now;
    said->lines = 0;
  }
  if (said->lines == burst) {
    ++said->left_out;
    return std::nullopt;
  }
  ++said->lines;
  return std::exchange(said->left_out, 0);
}

void Log::write(Level level, std::string_view what, std::span<const Field> fields) {
  const auto left_out =
      repeats_.admit(what, Instant{std::chrono::steady_clock::now().time_since_epoch()});
  if (!left_out) return;
  const auto unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
  const std::string text = print({.unix_ms = unix_ms,
                                  .level = level,
                                  .node = node_,
                                  .what = what,
                                  .fields = fields,
                                  .left_out = *left_out},
                                 settings_.format);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace clamor::log
