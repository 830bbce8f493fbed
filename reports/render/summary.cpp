#include "reports/render/summary.hpp"

#include "reports/model/comparison.hpp"
#include "reports/model/wording.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <vector>

namespace clamor::report {
namespace {

/// Columns that a terminal shows: bytes that begin a code point.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t used = columns(text);
  if (used < width) text.append(width - used, ' ');
  return text;
}

std::string right(const std::string& text, std::size_t width) {
  const std::size_t used = columns(text);
  return (used < width ? std::string(width - used, ' ') : "") + text;
}

class Page {
 public:
  explicit Page(bool colour) : colour_{colour} {}

  [[nodiscard]] std::string paint(const char* code, std::string_view text) const {
    return colour_ ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string{text};
  }
  [[nodiscard]] std::string mark(bool passed) const {
    return passed ? paint("32", "✓") : paint("31", "✗");
  }
  void line(std::string_view text) { text_ += fmt::format("{}\n", text); }
  void heading(std::string_view name) { text_ += "\n  " + paint("1", name) + "\n"; }
  /// Words wrapped at 90 columns.
  void paragraph(std::string_view text) {
    std::string row = " ";
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(text.size(), word.size() + 1));
      if (columns(row) + 1 + columns(word) > 90) {
        line(row);
        row = " ";
      }
      row += fmt::format(" {}", word);
    }
    line(row);
  }
  /// `    name.........: value`
  void dotted(std::string_view name, std::string_view value) {
    text_ += fmt::format("    {}: {}\n", dots(name, 34), value);
  }
  [[nodiscard]] static std::string dots(std::string_view name, std::size_t width) {
    std::string text{name};
    const std::size_t used = columns(name);
    if (used < width) text.append(width - used, '.');
    return text;
  }
  std::string text_;

 private:
  bool colour_;
};

void add_thresholds(Page& page, const RunResult& run) {
  page.heading("THRESHOLDS");
  for (const ThresholdOutcome& outcome : run.thresholds) {
    page.line(fmt::format("    {} {}: {}", page.mark(outcome.passed),
                          Page::dots(outcome.metric + " " + outcome.expression, 46),
                          observed_text(outcome)));
  }
}

void add_ledger(Page& page, const RunResult& run) {
  page.heading(run.ledger_complete ? "LEDGER" : "LEDGER (incomplete)");
  if (!run.ledger_complete) page.line("    " + run.ledger_unknown_because);
  for (const LedgerCounter& counter : ledger_counters) {
    page.dotted(counter.name, grouped(run.ledger.*counter.member));
  }
  for (const std::string& finding : run.ledger_findings) page.line("      " + finding);
}

void add_latency_row(Page& page, const std::string& name, const Histogram& h) {
  if (h.count() == 0) return;
  std::string row = "    " + padded(name, 30);
  for (const double q : {0.5, 0.95, 0.99, 1.0}) {
    row += right(duration_text(static_cast<double>(h.quantile(q))), 10);
  }
  page.line(row + right(grouped(h.count()), 14));
}

void add_latencies(Page& page, const RunResult& run) {
  page.heading(padded("LATENCY", 32) + right("p50", 10) + right("p95", 10) + right("p99", 10) +
               right("max", 10) + right("count", 14));
  for (const char* metric :
       {"delivery_latency", "delivery_service_time", "ack_latency", "catch_up_latency",
        "recovery_latency", "connect_time", "offline_notice_latency"}) {
    add_latency_row(page, metric, select_histogram(run, metric));
    if (std::string_view{metric} != "delivery_latency") continue;
    for (const GroupFacts& group : run.region.groups) {
      add_latency_row(page, "  group " + group.name,
                      select_histogram(run, metric, {{"group", group.name}}));
    }
    for (const char* path : {"live", "catchup", "outbox", "repair"}) {
      add_latency_row(page, std::string{"  path "} + path,
                      select_histogram(run, metric, {{"path", path}}));
    }
  }
}

void add_connections(Page& page, const RunResult& run) {
  page.heading("CONNECTIONS");
  std::uint64_t peak = 0;
  for (const SeriesPoint& point : run.series) peak = std::max(peak, point.connected);
  page.dotted("clients", grouped(run.deployment.clients));
  page.dotted("connected at most", grouped(peak));
  page.dotted("logins", grouped(run.operations.logins));
  if (run.engine == Engine::live) {
    page.dotted("sessions opened of asked", grouped(run.generator.sessions_opened) + " of " +
                                                grouped(run.generator.sessions_asked));
  }
}

void add_server(Page& page, const RunResult& run) {
  page.heading(run.engine == Engine::live ? "SERVER" : "SERVERS (modelled)");
  const DeploymentFacts& d = run.deployment;
  page.dotted("servers, cores each", fmt::format("{}, {}", grouped(d.servers), d.cores_per_server));
  page.dotted("CPU", short_number(run.server.cpu_seconds) + " s");
  if (run.server.cpu_seconds > 0) {
    const auto deliveries =
        static_cast<double>(run.operations.live_deliveries + run.operations.catch_up_deliveries);
    page.dotted("deliveries per CPU-second", short_number(deliveries / run.server.cpu_seconds));
  }
  if (run.server.rss_max_bytes > 0) {
    page.dotted("resident memory, most", bytes_text(static_cast<double>(run.server.rss_max_bytes)));
  }
  page.dotted("written to disk", bytes_text(static_cast<double>(run.server.device_write_bytes)));
  page.dotted("fan-out lag, most", grouped(run.server.fan_out_lag_max) + " records");
}

void add_generator(Page& page, const RunResult& run) {
  const GeneratorFacts& g = run.generator;
  page.heading("GENERATOR");
  page.dotted("workers", grouped(g.workers));
  page.dotted("CPU", short_number(g.cpu_seconds) + " s");
  page.dotted("lateness of sends, p99", duration_text(static_cast<double>(g.lag_p99_ns)));
  page.dotted("turn, p99", duration_text(static_cast<double>(g.turn_p99_ns)));
  page.dotted("intervals it limited", fmt::format("{} of {}", g.intervals_marked, g.intervals));
}

void add_simulator(Page& page, const RunResult& run) {
  if (!run.sim) return;
  const SimFacts& s = *run.sim;
  const double cpu = s.cpu_seconds > 0 ? s.cpu_seconds : 1;
  page.heading("SIMULATOR");
  page.dotted("events (pops of the pending set)", grouped(s.events));
  page.dotted("events/s", short_number(static_cast<double>(s.events) / cpu));
  page.dotted("recipients computed", grouped(s.computed_recipients));
  page.dotted("heartbeats computed", grouped(s.computed_heartbeats));
  page.dotted("simulated seconds per CPU-second", short_number(s.simulated_seconds / cpu));
  page.dotted("peak memory", bytes_text(static_cast<double>(s.peak_rss_bytes)));
  page.dotted("costs from", s.calibration);
  page.dotted("result hash", fmt::format("{:016x}", run.result_hash));
}

/// What a terminal has room for.
constexpr std::array shown_figures{Figure::server_cpu, Figure::device_bytes, Figure::catch_up_p99,
                                   Figure::delivery_p50, Figure::delivery_p99};

/// Its header names the unit of CPU seconds.
std::string column_text(Quantity quantity, double value) {
  return quantity == Quantity::cpu_seconds ? short_number(value) : quantity_text(quantity, value);
}

bool is_clean(const RunResult& run) {
  return run.ledger_complete && std::ranges::all_of(ledger_counters, [&](const LedgerCounter& c) {
           return !c.must_be_zero || run.ledger.*c.member == 0;
         });
}

constexpr std::size_t design_width = 18;
constexpr std::size_t figure_width = 16;

void add_design_table(Page& page, const EngineComparison& engine) {
  std::string header = "    " + padded("design", design_width);
  for (const Figure figure : shown_figures) {
    header += right(std::string{measure_of(figure).short_name}, figure_width);
  }
  page.line(header + right("ledger", 11));
  for (std::size_t i = 0; i < engine.designs.size(); ++i) {
    const DesignFigures& figures = engine.designs[i];
    const bool tied = std::ranges::find(engine.tied, i) != engine.tied.end();
    const char* sign = engine.winner == i ? " *" : tied ? " =" : "";
    std::string row = "    " + page.mark(figures.candidate()) + " ";
    row += padded(label_of(figures.design) + sign, design_width - 2);
    std::string intervals = "    " + std::string(design_width, ' ');
    bool any_interval = false;
    for (const Figure figure : shown_figures) {
      const Estimate e = estimate_of(figures.runs, figure);
      const auto text = [&](double value) {
        return column_text(measure_of(figure).quantity, value);
      };
      row += right(text(e.median), figure_width);
      any_interval = any_interval || e.has_interval();
      intervals += right(range_text(text(e.low), text(e.high), "–"), figure_width);
    }
    const bool clean =
        std::ranges::all_of(figures.runs, [](const RunResult* run) { return is_clean(*run); });
    const bool known = std::ranges::all_of(
        figures.runs, [](const RunResult* run) { return ran_to_its_end(*run); });
    page.line(row + right(clean ? "clean" : known ? "NOT CLEAN" : "unknown", 11));
    if (any_interval) page.line(page.paint("2", intervals));
  }
}

/// The most telling figures of each design, live and simulated at the live population, and the
/// error; the report has all of them.
void add_twins(Page& page, std::span<const Twins> twins) {
  if (twins.empty()) return;
  page.line("");
  page.paragraph(twins_text(twins));
  constexpr std::size_t width = 25;
  constexpr std::array shown{Figure::server_cpu, Figure::delivery_p50, Figure::delivery_p99,
                             Figure::catch_up_p99};
  std::string header = "    " + padded("live → simulated", design_width);
  for (const Figure figure : shown) {
    header += right(std::string{measure_of(figure).short_name}, width);
  }
  page.line(header);
  for (const Twins& t : twins) {
    std::string row = "      " + padded(label_of(t.design), design_width - 2);
    for (const Figure figure : shown) {
      const TwinFigure& f = t.figure(figure);
      row += right(range_text(column_text(f.quantity, f.live.median),
                              column_text(f.quantity, f.simulated.median), " → ") +
                       right(error_text(f.error()), 8),
                   width);
    }
    page.line(row);
  }
}

}  // namespace

std::string quantity_text(Quantity quantity, double value) {
  switch (quantity) {
    case Quantity::cpu_seconds:
      return short_number(value) + " s";
    case Quantity::bytes:
      return bytes_text(value);
    case Quantity::ns:
      return value > 0 ? duration_text(value) : "–";
    case Quantity::count:
      return short_number(value);
  }
  return "";
}

std::string range_text(std::string low, const std::string& high, std::string_view between) {
  const std::size_t unit = low.rfind(' ');
  if (unit != std::string::npos && high.ends_with(std::string_view{low}.substr(unit))) {
    low.resize(unit);
  }
  return low + std::string{between} + high;
}

std::string observed_text(const ThresholdOutcome& outcome) {
  if (std::isnan(outcome.observed)) return "unknown: " + outcome.unknown_because;
  const std::string metric = parse_metric_key(outcome.metric).first;
  const bool latency = metric.ends_with("_latency") || metric.ends_with("_time");
  const bool count = outcome.expression.starts_with("count");
  if (latency && !count) return duration_text(outcome.observed * 1e6);
  if (count) return grouped(static_cast<std::uint64_t>(outcome.observed));
  return short_number(outcome.observed);
}

std::string run_summary(const RunResult& run, bool colour) {
  Page page{colour};
  const Verdict verdict = verdict_of(run);
  page.line(fmt::format("\n  {} {} · {} · {}: {} ({} s measured, {} s in all)",
                        page.mark(verdict == Verdict::passed), run.scenario, label_of(run.design),
                        label_of(run.engine), name_of(verdict), short_number(run.duration_seconds),
                        short_number(run.wall_seconds)));
  add_thresholds(page, run);
  add_ledger(page, run);
  add_latencies(page, run);
  add_connections(page, run);
  add_server(page, run);
  run.engine == Engine::live ? add_generator(page, run) : add_simulator(page, run);
  return page.text_;
}

std::string comparison_summary(std::span<const RunResult> runs, bool colour,
                               const Crossover* crossover) {
  Page page{colour};
  const Comparison comparison = compare_designs(runs);
  page.line("\n  " + page.paint("1", comparison.headline));
  for (const EngineComparison& engine : comparison.engines) {
    page.line("");
    page.paragraph(engine.sentence);
    add_design_table(page, engine);
  }
  add_twins(page, pair_twins(runs));
  page.line("");
  page.paragraph(comparison.intervals);
  page.line("");
  page.paragraph(comparison.region);
  if (crossover != nullptr) page.line("");
  if (crossover != nullptr) page.paragraph(crossover_text(*crossover, large_winners(comparison)));
  return page.text_;
}

}  // namespace clamor::report
