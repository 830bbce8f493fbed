#include "reports/model/wording.hpp"
#include "reports/render/document.hpp"
#include "reports/render/summary.hpp"

#include <algorithm>
#include <cmath>

namespace clamor::report {
namespace {

Table framed(std::string caption, std::string corner, std::span<const Twins> twins,
             std::span<const std::string> designs) {
  Table table{std::move(caption), std::move(corner), {}, {}};
  for (const Twins& t : twins) {
    const std::string label = label_of(t.design);
    const auto at = std::ranges::find(designs, label);
    const auto design = static_cast<std::size_t>(at - designs.begin());
    table.columns.push_back({label, "live", design, true});
    table.columns.push_back({label, "simulated", {}, true});
    table.columns.push_back({label, "error", {}, true});
  }
  return table;
}

void add_cells(const TwinFigure& figure, Row& row) {
  row.cells.push_back({quantity_text(figure.quantity, figure.live), Tone::plain, {}});
  row.cells.push_back({quantity_text(figure.quantity, figure.simulated), Tone::plain, {}});
  row.cells.push_back({error_text(figure.error()), Tone::strong, {}});
}

bool any(const TwinFigure& figure) { return figure.live != 0 || figure.simulated != 0; }

}  // namespace

Table twins_table(std::span<const Twins> twins, std::span<const std::string> designs) {
  Table table = framed("Error: simulated less live, of live.", "", twins, designs);
  if (twins.empty()) return table;
  for (std::size_t i = 0; i < twins.front().figures.size(); ++i) {
    if (std::ranges::none_of(twins, [&](const Twins& t) { return any(t.figures[i]); })) continue;
    Row row{.name = twins.front().figures[i].name, .cells = {}};
    for (const Twins& t : twins) add_cells(t.figures[i], row);
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table twin_operations_table(std::span<const Twins> twins, std::span<const std::string> designs) {
  Table table = framed("Operations, live and simulated", "counter", twins, designs);
  table.folded = true;
  if (twins.empty()) return table;
  std::optional<CounterClass> last;
  for (std::size_t i = 0; i < operation_counters.size(); ++i) {
    if (std::ranges::none_of(twins, [&](const Twins& t) { return any(t.operations[i]); })) continue;
    if (last != operation_counters[i].counter_class) {
      last = operation_counters[i].counter_class;
      table.rows.push_back({.name = std::string{name_of(*last)}, .cells = {}});
    }
    Row row{.name = twins.front().operations[i].name, .cells = {}, .code = true};
    for (const Twins& t : twins) add_cells(t.operations[i], row);
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace clamor::report
