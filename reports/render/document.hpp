#pragma once

#include "reports/model/comparison.hpp"
#include "reports/model/crossover.hpp"
#include "reports/model/result.hpp"
#include "reports/model/twins.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace clamor::report {

enum class Tone : std::uint8_t { plain, strong, good, bad, muted };

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
  std::optional<double> bar;  ///< In [0, 1]: its size beside its row's largest.
  std::string note{};         ///< Below the text: an interval.
};

struct Column {
  std::string group;                    ///< Neighbours of one group share a header above them.
  std::string name;                     ///< Below the group.
  std::optional<std::size_t> design{};  ///< Index into Document::designs.
  bool numeric = true;
};

struct Row {
  std::string name;
  std::vector<Cell> cells;  ///< One a column; empty: a heading between rows.
  bool code = false;        ///< The name is one of code, metrics or YAML.
};

struct Table {
  std::string caption;
  std::string corner;  ///< Header of the names.
  std::vector<Column> columns;
  std::vector<Row> rows;
  bool folded = false;  ///< On a screen: behind its caption, to be opened.
};

enum class Chart : std::uint8_t { none, percentiles, time_series };

struct Section {
  std::string id;
  std::string title;
  std::vector<std::string> paragraphs;
  Chart chart = Chart::none;
  std::vector<Table> tables;
};

/// What a report says, whatever it is printed on: HTML and Markdown render the same document, so
/// every figure behind a chart also stands in a table.
struct Document {
  std::string title;                 ///< quickstart
  std::string description;           ///< The scenario's.
  std::string started_utc;           ///< Of the first run.
  std::string headline;              ///< per_group wins, live and simulated
  std::vector<std::string> designs;  ///< Labels; the order gives the colours.
  std::vector<std::string> verdict;  ///< One sentence an engine.
  std::string region;                ///< Where the verdict holds.
  std::string crossover;             ///< Where it ends; empty where that was not looked for.
  std::vector<std::string> caveats;  ///< What weakens it.
  bool passed = true;                ///< worst_verdict() of the runs; the badge's colour.
  std::string badge;                 ///< It in a few words: "✗ a threshold failed".
  std::string command;               ///< How to do it again.
  std::vector<Section> sections;
};

/// One column of most tables: a design under one engine, over its repetitions.
struct Arm {
  Engine engine = Engine::live;
  const DesignFigures* figures = nullptr;
  std::size_t design = 0;  ///< Index into Document::designs.
  bool winner = false;
  bool tied = false;  ///< With others, so that nobody wins.

  [[nodiscard]] const RunResult& first() const { return *figures->runs.front(); }
};

/// The arms of a comparison, live before simulated, and the designs' labels.
[[nodiscard]] std::vector<Arm> arms_of(const Comparison& comparison,
                                       std::vector<std::string>& designs);

/// An arm's histogram, merged over its repetitions.
[[nodiscard]] Histogram merged_histogram(const Arm& arm, const std::string& metric,
                                         const Tags& filter = {});

/// Builds the document, which owns its text. @pre a run that is no twin.
[[nodiscard]] Document build_document(std::span<const RunResult> runs,
                                      const Crossover* crossover = nullptr);

/// The tables, by section; parts of build_document.
[[nodiscard]] Table designs_table(const Comparison& comparison, std::span<const Arm> arms);
[[nodiscard]] Table group_facts_table(std::span<const Arm> arms);
[[nodiscard]] Table groups_table(std::span<const Arm> arms);
[[nodiscard]] Table latency_table(std::span<const Arm> arms);
[[nodiscard]] Table scales_table(std::span<const Arm> arms);
[[nodiscard]] Table operations_table(std::span<const Arm> arms);
[[nodiscard]] Table ledger_table(std::span<const Arm> arms);
[[nodiscard]] Table thresholds_table(std::span<const Arm> arms);
[[nodiscard]] Table simulator_table(std::span<const Arm> arms);
[[nodiscard]] Table generator_table(std::span<const Arm> arms);
[[nodiscard]] Table environment_table(std::span<const Arm> arms);
/// Live, simulated at the same population, and the simulator's error: costs and latencies, then
/// operations. `designs` are the document's.
[[nodiscard]] Table twins_table(std::span<const Twins> twins, std::span<const std::string> designs);
/// Who wins at each point of the grid round the scenario.
[[nodiscard]] Table crossover_table(const Crossover& crossover);
[[nodiscard]] Table twin_operations_table(std::span<const Twins> twins,
                                          std::span<const std::string> designs);

/// A column an arm, under its engine's heading.
[[nodiscard]] std::vector<Column> arm_columns(std::span<const Arm> arms);
/// "Live, 2,000 users": the group that an arm's column stands under.
[[nodiscard]] std::string engine_heading(const Arm& arm);

}  // namespace clamor::report
