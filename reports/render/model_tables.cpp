#include "reports/model/wording.hpp"
#include "reports/render/document.hpp"
#include "reports/render/summary.hpp"

#include <algorithm>
#include <cmath>

namespace clamor::report {
namespace {

/// "per_group", "hybrid(500) = per_user", "nobody".
std::string short_winners(const std::vector<std::string>& winners) {
  return winners.empty() ? "nobody" : joined(winners, " = ");
}

/// What the values of an axis are.
const char* axis_heading(Axis axis) {
  switch (axis) {
    case Axis::group_size:
      return "Members of a group";
    case Axis::away:
      return "Users online (by time away)";
    case Axis::channels:
      return "Channels a user";
    case Axis::reconnects:
      return "Reconnects per user and hour";
    case Axis::messages:
      return "Messages per user and hour";
  }
  return "";
}

bool any(const TwinFigure& figure) {
  return figure.live.median != 0 || figure.simulated.median != 0;
}

Table framed(std::string caption, std::string corner, std::span<const Twins> twins,
             std::span<const std::string> designs) {
  Table table{std::move(caption), std::move(corner), {}, {}};
  for (const Twins& t : twins) {
    const std::string label = label_of(t.design);
    const auto at = std::ranges::find(designs, label);
    table.columns.push_back({"", label, static_cast<std::size_t>(at - designs.begin()), true});
  }
  return table;
}

Cell error_cell(const TwinFigure& f) {
  if (!any(f)) return {"–", Tone::muted, {}};
  return {error_text(f.error()),
          Tone::plain,
          {},
          range_text(quantity_text(f.quantity, f.live.median),
                     quantity_text(f.quantity, f.simulated.median), " → ")};
}

}  // namespace

Table twins_table(std::span<const Twins> twins, std::span<const std::string> designs) {
  Table table = framed("The error, (simulated − live) / live; below it live → simulated.", "",
                       twins, designs);
  if (twins.empty()) return table;
  for (std::size_t i = 0; i < twins.front().figures.size(); ++i) {
    if (measures()[i].best != Best::least ||
        std::ranges::none_of(twins, [&](const Twins& t) { return any(t.figures[i]); })) {
      continue;
    }
    Row row{.name = twins.front().figures[i].name, .cells = {}};
    for (const Twins& t : twins) row.cells.push_back(error_cell(t.figures[i]));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table twin_operations_table(std::span<const Twins> twins, std::span<const std::string> designs) {
  Table table = framed("The same for operations", "counter", twins, designs);
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
    for (const Twins& t : twins) row.cells.push_back(error_cell(t.operations[i]));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table crossover_table(const Crossover& crossover) {
  Table table{"Who wins; below it where that point lies. =: they tie.", "", {}, {}};
  std::vector<double> factors{1};
  for (const CrossoverPoint& point : crossover.points) {
    if (std::ranges::find(factors, point.factor) == factors.end()) factors.push_back(point.factor);
  }
  std::ranges::sort(factors);
  for (const double factor : factors) {
    table.columns.push_back({"", factor == 1 ? "as it is" : factor_text(factor), {}, false});
  }
  for (const Axis axis : axes) {
    Row row{.name = axis_heading(axis), .cells = {}};
    bool moves = false;
    for (const double factor : factors) {
      const auto at = std::ranges::find_if(crossover.points, [&](const CrossoverPoint& point) {
        return point.axis == axis && point.factor == factor;
      });
      if (factor == 1) {
        row.cells.push_back(
            {short_winners(crossover.here), Tone::plain, {}, value_on(axis, crossover.region)});
      } else if (at == crossover.points.end()) {
        row.cells.push_back({"–", Tone::muted, {}});
      } else {
        moves = true;
        row.cells.push_back({short_winners(at->winners),
                             others_win(crossover.here, at->winners) ? Tone::strong : Tone::plain,
                             {},
                             at->value});
      }
    }
    if (moves) table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace clamor::report
