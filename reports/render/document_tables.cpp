#include "reports/model/wording.hpp"
#include "reports/render/document.hpp"
#include "reports/render/summary.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <functional>
#include <optional>
#include <string_view>

namespace clamor::report {
namespace {

double to_double(std::uint64_t n) { return static_cast<double>(n); }

/// Mean over an arm's repetitions.
double mean(const Arm& arm, const std::function<double(const RunResult&)>& value) {
  double sum = 0;
  for (const RunResult* run : arm.figures->runs) sum += value(*run);
  return sum / to_double(arm.figures->runs.size());
}

double per_message(const RunResult& run, std::uint64_t n) {
  const std::uint64_t messages = run.operations.records - run.operations.mode_records;
  return messages == 0 ? 0 : to_double(n) / to_double(messages);
}

/// How one row of figures is written.
struct FigureRow {
  std::string_view name;
  Quantity quantity;
  Best best;
  std::vector<Estimate> figures;  ///< By arm.
};

std::string interval_note(const FigureRow& row, const Estimate& e) {
  if (!e.has_interval()) return "";
  return range_text(quantity_text(row.quantity, e.low), quantity_text(row.quantity, e.high), "–");
}

bool ran_whole(const Arm& arm) {
  return std::ranges::all_of(arm.figures->runs,
                             [](const RunResult* run) { return ran_to_its_end(*run); });
}

/// Bars and emphasis compare designs under one engine, never live with simulated. Emphasis: the
/// best, and what ties with it, where something does not; of runs to the end only: a part of a run
/// costs less than a whole.
Row row_of(const FigureRow& from, const Comparison& comparison, std::span<const Arm> arms) {
  Row row{.name = std::string{from.name}, .cells = {}};
  std::size_t at = 0;
  for (const EngineComparison& engine : comparison.engines) {
    const std::size_t begin = at;
    std::vector<Estimate> comparable;
    for (; at < arms.size() && arms[at].engine == engine.engine; ++at) {
      if (ran_whole(arms[at])) comparable.push_back(from.figures[at]);
    }
    const auto own = std::span{from.figures}.subspan(begin, at - begin);
    const auto [least, most] =
        std::ranges::minmax(comparable.empty() ? std::vector(own.begin(), own.end()) : comparable,
                            {}, &Estimate::median);
    const Estimate best = from.best == Best::most ? most : least;
    const auto ties = [&](const Estimate& e) { return tie(e, best, engine.tolerance); };
    const bool apart = from.best != Best::neither && !std::ranges::all_of(comparable, ties);
    for (std::size_t i = begin; i < at; ++i) {
      const Estimate& e = from.figures[i];
      if (!ran_whole(arms[i]) && e.median == 0) {
        row.cells.push_back({"unknown", Tone::plain, {}});
        continue;
      }
      row.cells.push_back({quantity_text(from.quantity, e.median),
                           apart && ran_whole(arms[i]) && ties(e) ? Tone::strong : Tone::plain,
                           most.median > 0 && least.median >= 0
                               ? std::optional{std::clamp(e.median / most.median, 0.0, 1.0)}
                               : std::nullopt,
                           interval_note(from, e)});
    }
  }
  return row;
}

Cell thresholds_cell(const Arm& arm) {
  std::size_t met = 0;
  std::size_t all = 0;
  for (const RunResult* run : arm.figures->runs) {
    all += run->thresholds.size();
    met +=
        static_cast<std::size_t>(std::ranges::count_if(run->thresholds, &ThresholdOutcome::passed));
  }
  if (!arm.figures->sustained) return {"✗ not sustained", Tone::bad, {}};
  return {fmt::format("{} {} of {}", met == all ? "✓" : "✗", met, all),
          met == all ? Tone::good : Tone::bad,
          {}};
}

/// "1.57 / 32.2 ms"
std::string quantiles_text(const Histogram& h) {
  if (h.count() == 0) return "–";
  return range_text(duration_text(to_double(h.quantile(0.5))),
                    duration_text(to_double(h.quantile(0.99))), " / ");
}

/// Entries that one message to a group of that size adds: M, or none, or those of the members who
/// come back often; ARCHITECTURE, "The designs".
std::string entries_of(const DesignSpec& design, std::uint32_t members) {
  if (design.design == QueueDesign::adaptive) return "0–" + grouped(members);
  const bool none = design.design == QueueDesign::per_group ||
                    (design.design == QueueDesign::hybrid && members > design.threshold);
  return none ? "0" : grouped(members);
}

std::string designs_caption(const Comparison& comparison) {
  std::string text = "Cost, latency and thresholds of every design";
  const auto repeated = [](const EngineComparison& e) {
    return e.repetitions >= repetitions_for_interval;
  };
  if (std::ranges::any_of(comparison.engines, repeated)) {
    text += ": median and interval over the repetitions";
  }
  return text + ". ★ wins, = ties, ✗ cannot win.";
}

std::string percent(double share) { return short_number(share * 100) + " %"; }

}  // namespace

Table designs_table(const Comparison& comparison, std::span<const Arm> arms) {
  Table table{designs_caption(comparison), "", arm_columns(arms), {}};
  for (std::size_t i = 0; i < arms.size(); ++i) {
    if (arms[i].winner) table.columns[i].name += " ★";
    if (arms[i].tied) table.columns[i].name += " =";
  }
  Row thresholds{.name = "Thresholds met", .cells = {}};
  for (const Arm& arm : arms) thresholds.cells.push_back(thresholds_cell(arm));
  table.rows.push_back(std::move(thresholds));
  for (const Measure& measure : measures()) {
    FigureRow row{measure.name, measure.quantity, measure.best, {}};
    for (const Arm& arm : arms) {
      row.figures.push_back(estimate_of(arm.figures->runs, measure.figure));
    }
    const bool no_fault =
        measure.figure == Figure::recovery_p99 &&
        std::ranges::all_of(row.figures, [](const Estimate& e) { return e.high == 0; });
    if (no_fault) continue;
    table.rows.push_back(row_of(row, comparison, arms));
  }
  FigureRow growth{"Fan-out lag grows by, records/s", Quantity::count, Best::neither, {}};
  for (const Arm& arm : arms) growth.figures.push_back(estimate(arm.figures->lag_growth));
  table.rows.push_back(row_of(growth, comparison, arms));
  return table;
}

Table group_facts_table(std::span<const Arm> arms) {
  Table table{"The classes, and what one message to them adds to the designs' sync queues.",
              "class",
              {},
              {}};
  table.columns = {{"Class", "members", {}, true},
                   {"Class", "online", {}, true},
                   {"Class", "of messages", {}, true}};
  std::vector<const Arm*> designs;
  for (const Arm& arm : arms) {
    const bool known =
        std::ranges::any_of(designs, [&](const Arm* other) { return other->design == arm.design; });
    if (!known) designs.push_back(&arm);
  }
  for (const Arm* arm : designs) {
    table.columns.push_back({"Queue entries", label_of(arm->figures->design), arm->design, true});
  }
  for (const GroupFacts& group : arms.front().first().region.groups) {
    Row row{.name = group.name,
            .cells = {{grouped(group.members), Tone::plain, {}},
                      {percent(group.online), Tone::plain, {}},
                      {percent(group.message_share), Tone::plain, {}}},
            .code = true};
    for (const Arm* arm : designs) {
      row.cells.push_back({entries_of(arm->figures->design, group.members), Tone::plain, {}});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table groups_table(std::span<const Arm> arms) {
  Table table{"Delivery latency, p50 / p99; repetitions together.", "class", arm_columns(arms), {}};
  for (const GroupFacts& group : arms.front().first().region.groups) {
    Row row{.name = group.name, .cells = {}, .code = true};
    for (const Arm& arm : arms) {
      row.cells.push_back(
          {quantiles_text(merged_histogram(arm, "delivery_latency", {{"group", group.name}})),
           Tone::plain,
           {}});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table latency_table(std::span<const Arm> arms) {
  Table table{
      "The figures behind the chart, repetitions together", "", arm_columns(arms), {}, true};
  struct Line {
    const char* title;
    const char* metric;
    Tags filter;
  };
  const std::array lines{Line{"Delivery", "delivery_latency", {}},
                         Line{"Delivery, path live", "delivery_latency", {{"path", "live"}}},
                         Line{"Delivery, path catch-up", "delivery_latency", {{"path", "catchup"}}},
                         Line{"Delivery, from actual send", "delivery_service_time", {}},
                         Line{"Acknowledgement", "ack_latency", {}},
                         Line{"Catch-up", "catch_up_latency", {}},
                         Line{"From a fault to all current again", "recovery_latency", {}},
                         Line{"Connect", "connect_time", {}}};
  for (const Line& line : lines) {
    std::vector<Histogram> histograms;
    for (const Arm& arm : arms) {
      histograms.push_back(merged_histogram(arm, line.metric, line.filter));
    }
    if (std::ranges::all_of(histograms, [](const Histogram& h) { return h.count() == 0; }))
      continue;
    table.rows.push_back({.name = line.title, .cells = {}});
    for (const auto& [name, q] :
         {std::pair{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1.0}}) {
      Row row{.name = name, .cells = {}};
      for (const Histogram& h : histograms) {
        row.cells.push_back(
            {h.count() == 0 ? "–" : duration_text(to_double(h.quantile(q))), Tone::plain, {}});
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

Table operations_table(std::span<const Arm> arms) {
  Table table{"Per accepted message.", "counter", arm_columns(arms), {}};
  std::optional<CounterClass> last;
  for (const OperationCounter& counter : operation_counters) {
    std::vector<double> values;
    for (const Arm& arm : arms) {
      values.push_back(mean(arm, [&](const RunResult& run) {
        return per_message(run, run.operations.*counter.member);
      }));
    }
    if (std::ranges::all_of(values, [](double v) { return v == 0; })) continue;
    if (last != counter.counter_class) {
      table.rows.push_back({.name = std::string{name_of(counter.counter_class)}, .cells = {}});
      last = counter.counter_class;
    }
    Row row{.name = std::string{counter.name}, .cells = {}, .code = true};
    for (const double value : values) row.cells.push_back({short_number(value), Tone::plain, {}});
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace clamor::report
