#include "scenarios/app/commands.hpp"
#include "scenarios/app/output_file.hpp"
#include "scenarios/trace/import.hpp"
#include "scenarios/yaml/document.hpp"
#include "scenarios/yaml/scenario_file.hpp"
#include "scenarios/yaml/values.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <vector>

namespace clamor::scenario {

namespace {

namespace fs = std::filesystem;

struct ImportOptions {
  std::string file;
  std::string output;
  std::string duration = "30s";
  std::optional<double> speed;
  std::uint32_t copies = 1;
  bool force = false;
};

/// Nothing that exists is replaced unasked, and the log itself never.
void check_outputs(const ImportOptions& options, const std::vector<fs::path>& outputs) {
  std::vector<std::string> errors;
  for (const fs::path& output : outputs) {
    std::error_code ec;
    if (fs::equivalent(output, options.file, ec)) {
      errors.push_back(output.string() +
                       ": is the log itself, which would be lost; give --output another name");
    } else if (!options.force && fs::exists(output, ec)) {
      errors.push_back(output.string() +
                       ": exists already; give --output another name, or --force to replace it");
    }
  }
  if (!errors.empty()) throw ConfigError{std::move(errors)};
}

Replay replay_of(const ImportOptions& options, const ImportedTrace& trace) {
  if (options.speed && !std::isfinite(*options.speed)) {
    throw ConfigError{
        {"--speed is no number; expected how many times faster than the log, such as "
         "1 or 200"}};
  }
  if (options.speed) return at_speed(*options.speed, trace);
  const auto duration = parse_duration(options.duration);
  if (!duration || *duration < 1ms) {
    throw ConfigError{{"--duration is \"" + options.duration +
                       "\"; expected a duration with its unit, such as 30s or 5m"}};
  }
  return compressed_to(*duration, trace);
}

void print_facts(const ImportOptions& options, const ImportedTrace& trace, const Replay& replay) {
  const TraceFacts& facts = trace.facts;
  const auto row = [](std::string_view name, const std::string& text) {
    fmt::print("  {:<14}{}\n", name, text);
  };
  fmt::print("{}: {} lines\n", options.file, facts.lines);
  row("messages", fmt::format("{}, with {} mentions", facts.messages, facts.mentions));
  row("users", fmt::format("{}, {} of them connected at the beginning", facts.users,
                           trace.trace.connected.size()));
  row("sessions", fmt::format("{} ({} joins, {} leaves, {} reconnects)", facts.sessions,
                              facts.joins, facts.leaves, facts.reconnects));
  if (facts.renames > 0) row("renames", fmt::format("{}, the user stays the same", facts.renames));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(facts.span);
  row("span", format_duration(seconds));
  row("replay",
      fmt::format("{}, {:.4g} times faster, {} {}", format_duration(replay.duration), replay.speed,
                  options.copies, options.copies == 1 ? "channel" : "channels"));
  const auto note = [&row](std::uint32_t count, const char* what) {
    if (count > 0) row("note", fmt::format("{} {}", count, what));
  };
  note(facts.implied_connects, "spoke after leaving without joining: connected there");
  note(facts.ignored_leaves, "left when already gone: ignored");
  note(facts.shortened, "messages were longer than the limit: cut to it");
  note(facts.out_of_order, "stamps lay before the line above: read as that one's");
  for (const auto& [kind, count] : facts.other_lines) {
    row("other lines", fmt::format("{} {}", count, kind));
  }
}

int import_trace(const ImportOptions& options) {
  const fs::path output{options.output};
  fs::path events = output;
  events.replace_extension(".events.csv");
  check_outputs(options, {output, events});
  const Parsed<std::string> text = read_text_file(options.file);
  if (!text.value) throw ConfigError{text.errors};
  const ImportedTrace trace = value_or_throw(import_chat_log(*text.value, options.file));
  if (trace.facts.users < 2) {
    throw ConfigError{{options.file +
                       ": everything is of one user, so that nothing would be delivered; expected "
                       "a log of two users or more"}};
  }
  const Replay replay = replay_of(options, trace);
  const std::string source = fs::path{options.file}.filename().string();
  write_text_file(events.string(), write_trace_file(trace.trace));
  write_text_file(output.string(),
                  replay_scenario(name_for(options.output), source, events.filename().string(),
                                  replay, options.copies, trace));
  (void)load_scenario(output.string());  // what is written must read back
  print_facts(options, trace, replay);
  fmt::print("written: {} and {}\nnext: clamor compare {}\n", output.string(), events.string(),
             output.string());
  return 0;
}

}  // namespace

void add_trace_command(CLI::App& root, std::function<int()>& chosen) {
  CLI::App* trace = root.add_subcommand("trace", "Turn real traffic into a scenario");
  CLI::App* command = trace->add_subcommand(
      "import",
      "Turn a channel's log into a scenario: arrival times, senders, lengths, mentions, sessions.\n"
      "Formats: `[HH:MM] <nick> text` with `=== nick ... has joined|left` (IRC), and\n"
      "`channel YYYY-MM-DD [HH:MM:SS] <nick> text`.");
  auto options = std::make_shared<ImportOptions>();
  command->add_option("FILE", options->file, "The log")->required();
  command->add_option("--output,-o", options->output, "Scenario to write; its events go beside it")
      ->required();
  CLI::Option* duration =
      command->add_option("--duration", options->duration, "Length of the replay")
          ->capture_default_str();
  command->add_option("--speed", options->speed, "Times faster than the log; 1 keeps its own time")
      ->check(CLI::Range(1e-6, 1e9))
      ->excludes(duration);
  command->add_option("--copies", options->copies, "Channels made of the log, each with its users")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  command->add_flag("--force", options->force, "Replace the scenario and its events if they exist");
  command->callback([&chosen, options] { chosen = [options] { return import_trace(*options); }; });
}

}  // namespace clamor::scenario
