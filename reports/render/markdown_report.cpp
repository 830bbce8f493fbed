#include "reports/render/document.hpp"
#include "reports/render/report.hpp"

#include <fmt/format.h>

namespace clamor::report {
namespace {

/// Text of a table's cell: `|` ends a cell, a line break a row.
std::string cell_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string row_text(const std::string& name, const std::vector<std::string>& cells) {
  std::string line = "| " + cell_text(name) + " |";
  for (const std::string& cell : cells) line += " " + cell_text(cell) + " |";
  return line + "\n";
}

std::string table_text(const Table& table) {
  std::vector<std::string> header;
  std::string rule = "| --- |";
  for (const Column& column : table.columns) {
    header.push_back(column.group.empty() ? column.name : column.group + ": " + column.name);
    rule += column.numeric ? " ---: |" : " --- |";
  }
  std::string markdown = table.caption + "\n\n" + row_text(table.corner, header) + rule + "\n";
  for (const Row& row : table.rows) {
    std::vector<std::string> cells;
    for (const Cell& cell : row.cells) {
      std::string text = cell.tone == Tone::strong ? "**" + cell.text + "**" : cell.text;
      if (!cell.note.empty()) text += " (" + cell.note + ")";
      cells.push_back(std::move(text));
    }
    if (cells.empty()) cells.resize(table.columns.size());
    const std::string name = row.code            ? "`" + row.name + "`"
                             : row.cells.empty() ? "*" + row.name + "*"
                                                 : row.name;
    markdown += row_text(name, cells);
  }
  return markdown + "\n";
}

}  // namespace

std::string markdown_report(std::span<const RunResult> runs, const Crossover* crossover) {
  const Document document = build_document(runs, crossover);
  std::string text = fmt::format("# {}: {}\n\n{} · {}\n\n", document.title, document.headline,
                                 document.badge, document.started_utc);
  for (const std::string& sentence : document.verdict) text += sentence + "\n\n";
  text += document.region + "\n\n";
  if (!document.crossover.empty()) text += document.crossover + "\n\n";
  for (const std::string& caveat : document.caveats) text += "- " + caveat + "\n";
  for (const Section& section : document.sections) {
    if (section.tables.empty() && section.chart != Chart::none) continue;  // a chart alone
    text += "\n## " + section.title + "\n\n";
    for (const std::string& paragraph : section.paragraphs) {
      if (section.chart == Chart::none) text += paragraph + "\n\n";
    }
    if (section.id == "reproduce" && !document.command.empty()) {
      text += "```\n" + document.command + "\n```\n\n";
    }
    for (const Table& table : section.tables) text += table_text(table);
  }
  return text;
}

}  // namespace clamor::report
