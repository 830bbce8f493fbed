#include "reports/render/document.hpp"

#include "reports/model/design_check.hpp"
#include "reports/model/fairness.hpp"
#include "reports/model/thresholds.hpp"
#include "reports/model/wording.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace clamor::report {
namespace {

bool has(std::span<const Arm> arms, Engine engine) {
  return std::ranges::any_of(arms, [&](const Arm& arm) { return arm.engine == engine; });
}

const char* badge_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "✓ every run met every threshold";
    case Verdict::generator_saturated:
      return "✗ the load generator was the limit";
    case Verdict::threshold_failed:
      return "✗ a threshold failed";
    case Verdict::interrupted:
      return "✗ interrupted: figures cover a part only";
  }
  return "?";
}

std::vector<std::string> caveats_of(const Comparison& comparison, std::span<const Arm> arms) {
  std::vector<std::string> caveats;
  caveats.push_back(comparison.intervals);
  for (const Arm& arm : arms) {
    for (const RunResult* run : arm.figures->runs) {
      const std::string who = label_of(run->design) + ", " + std::string{label_of(run->engine)};
      if (run->interrupted) caveats.push_back(who + ": interrupted; figures cover a part only.");
      if (!run->ledger_complete) {
        caveats.push_back(who + ": losses are unknown; " + run->ledger_unknown_because + ".");
      }
      if (run->generator.intervals_marked > 0) {
        caveats.push_back(fmt::format(
            "{}: the load generator was the limit in {} of {} intervals; latencies there are not "
            "the server's.",
            who, run->generator.intervals_marked, run->generator.intervals));
      }
    }
  }
  if (has(arms, Engine::live)) {
    const Environment& e = arms.front().first().environment;
    caveats.push_back(fmt::format("Live figures: {}; network path: {}.",
                                  e.placement.empty() ? "placement not recorded" : e.placement,
                                  e.path));
  }
  if (has(arms, Engine::live)) {
    caveats.push_back(
        "Live bytes on the device leave out what was still in memory (unflushed memtables) when "
        "the run ended.");
  }
  if (has(arms, Engine::sim)) {
    caveats.push_back(
        "Simulated times come from a cost model that `clamor calibrate` measured; counts come "
        "from the server's own decision code.");
  }
  return caveats;
}

Section section(std::string id, std::string title, std::vector<std::string> paragraphs,
                std::vector<Table> tables, Chart chart = Chart::none) {
  std::erase_if(tables, [](const Table& table) { return table.rows.empty(); });
  return {std::move(id), std::move(title), std::move(paragraphs), chart, std::move(tables)};
}

Section operations_section(std::span<const RunResult> runs, std::span<const Arm> arms) {
  const std::vector<std::string> findings = check_operations(runs);
  Section s = section("operations", "What a message costs",
                      {"Operations and bytes per accepted message. Logical counters follow from "
                       "the plan alone; phase counters also from who was online when; physical "
                       "ones are measured live and predicted by the simulator."},
                      {operations_table(arms)});
  if (findings.empty()) {
    s.paragraphs.push_back(std::ranges::all_of(runs, ran_whole_plan)
                               ? "Checked: the designs differ in these as their definitions say."
                               : "Checked, though side by side only where both ran the whole plan: "
                                 "the designs differ in these as their definitions say.");
  }
  for (const std::string& finding : findings) {
    s.paragraphs.push_back("Not as the definitions say: " + finding + ".");
  }
  return s;
}

/// What made the comparison fair, once for all designs.
Section fairness_section(const Comparison& comparison) {
  Section s = section("fairness", "The same for every design", {}, {});
  for (const EngineComparison& engine : comparison.engines) {
    const RunResult& first = *engine.designs.front().runs.front();
    const bool live = engine.engine == Engine::live;
    std::string text = live ? "Live: " : "Simulated: ";
    text += budget_text(first) + ". ";
    text += prefill_text(engine) + " ";
    if (!live) {
      text +=
          "The simulator has no memory budget and no store that fills: its reads and writes "
          "cost what calibration measured. ";
    }
    if (engine.unequal.empty()) text += "Checked: all its runs had the same. ";
    if (const std::string order = order_text(engine); !order.empty()) {
      text += "Order of the runs, drawn from the seed: " + order + ".";
    }
    s.paragraphs.push_back(std::move(text));
  }
  s.paragraphs.push_back(
      "The live path (accept, commit, acknowledge, fan out to sessions) is the same code under "
      "every design; what differs is what is written for, and read by, devices that were away.");
  return s;
}

std::vector<Section> sections_of(std::span<const RunResult> runs, const Comparison& comparison,
                                 std::span<const Arm> arms, std::span<const std::string> designs,
                                 const Crossover* crossover) {
  std::vector<Section> sections;
  sections.push_back(section(
      "designs", "The designs compared",
      {"A design wins where it meets every threshold at less server CPU, then fewer bytes written "
       "to disk, then faster catch-up. Bars compare within a row and engine."},
      {designs_table(comparison, arms)}));
  sections.push_back(section(
      "groups", "By group class",
      {"Delivery latency counts from the moment a message was due, to the receiving device."},
      {group_facts_table(arms), groups_table(arms)}));
  if (crossover != nullptr) {
    sections.push_back(
        section("crossover", "Where the verdict ends",
                {crossover_text(*crossover, large_winners(comparison)),
                 "One thing of the scenario is multiplied or divided at a time, every design "
                 "simulated at a "
                 "reduced population; the search ends with the first distance at which the winner "
                 "changes. Bold: another winner than at the scenario itself."},
                {crossover_table(*crossover)}));
  }
  sections.push_back(fairness_section(comparison));
  sections.push_back(section("latency", "Latency by percentile",
                             {"Both axes are logarithmic: the tail is what users feel."},
                             {latency_table(arms)}, Chart::percentiles));
  const std::vector<Twins> twins = pair_twins(runs);
  sections.push_back(
      section("twins", "How far off is the simulator?",
              {"The plan of the live runs, simulated at their population. " + twins_text(twins)},
              {twins_table(twins, designs), twin_operations_table(twins, designs)}));
  sections.push_back(section("time", "Over time",
                             {"One point a second. Dashed vertical lines mark faults; shaded "
                              "intervals are those in which the generator was the limit."},
                             {}, Chart::time_series));
  sections.push_back(operations_section(runs, arms));
  sections.push_back(section(
      "ledger", "Ledger",
      {"Every device that was owed a message, counted after all had caught up. The counters that "
       "must be zero are thresholds of every run."},
      {ledger_table(arms), thresholds_table(arms)}));
  sections.push_back(section("scales", "One plan, two scales",
                             {"Scaling multiplies users, the number of groups and rates; group "
                              "sizes and what one client does stay."},
                             {scales_table(arms)}));
  sections.push_back(section("health", "Can the figures be trusted?", {},
                             {generator_table(arms), simulator_table(arms)}));
  sections.push_back(section("reproduce", "Do it again", {}, {environment_table(arms)}));
  std::erase_if(sections, [](const Section& s) {
    return s.tables.empty() && s.chart == Chart::none && s.id != "reproduce" && s.id != "fairness";
  });
  return sections;
}

}  // namespace

std::vector<Arm> arms_of(const Comparison& comparison, std::vector<std::string>& designs) {
  std::vector<Arm> arms;
  for (const EngineComparison& engine : comparison.engines) {
    for (std::size_t i = 0; i < engine.designs.size(); ++i) {
      const std::string label = label_of(engine.designs[i].design);
      auto found = std::ranges::find(designs, label);
      if (found == designs.end()) found = designs.insert(designs.end(), label);
      arms.push_back({engine.engine, &engine.designs[i],
                      static_cast<std::size_t>(found - designs.begin()), engine.winner == i,
                      std::ranges::find(engine.tied, i) != engine.tied.end()});
    }
  }
  return arms;
}

Histogram merged_histogram(const Arm& arm, const std::string& metric, const Tags& filter) {
  Histogram merged;
  for (const RunResult* run : arm.figures->runs) {
    merged.merge(select_histogram(*run, metric, filter));
  }
  return merged;
}

std::string engine_heading(const Arm& arm) {
  return fmt::format("{}, {} users", arm.engine == Engine::live ? "Live" : "Simulated",
                     grouped(arm.first().deployment.users));
}

std::vector<Column> arm_columns(std::span<const Arm> arms) {
  std::vector<Column> columns;
  for (const Arm& arm : arms) {
    columns.push_back({engine_heading(arm), label_of(arm.figures->design), arm.design, true});
  }
  return columns;
}

Document build_document(std::span<const RunResult> runs, const Crossover* crossover) {
  const Comparison comparison = compare_designs(runs);
  Document document;
  const std::vector<Arm> arms = arms_of(comparison, document.designs);
  const RunResult& first = arms.front().first();
  document.title = first.scenario;
  document.description = first.description;
  document.started_utc = first.environment.started_utc;
  document.command = first.environment.command;
  document.headline = comparison.headline;
  for (const EngineComparison& engine : comparison.engines) {
    document.verdict.push_back(engine.sentence);
  }
  document.region = comparison.region;
  if (crossover != nullptr) {
    document.crossover = crossover_text(*crossover, large_winners(comparison));
  }
  document.caveats = caveats_of(comparison, arms);
  const Verdict verdict = worst_verdict(runs);
  document.badge = badge_of(verdict);
  document.passed = verdict == Verdict::passed;
  document.sections = sections_of(runs, comparison, arms, document.designs, crossover);
  return document;
}

}  // namespace clamor::report
