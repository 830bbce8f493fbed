#include "reports/model/wording.hpp"
#include "reports/render/document.hpp"
#include "reports/render/summary.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>

namespace clamor::report {
namespace {

std::vector<Arm> only(std::span<const Arm> arms, Engine engine) {
  std::vector<Arm> chosen;
  std::ranges::copy_if(arms, std::back_inserter(chosen),
                       [&](const Arm& arm) { return arm.engine == engine; });
  return chosen;
}

/// The first arm of each engine: what does not depend on the design.
std::vector<Arm> one_per_engine(std::span<const Arm> arms) {
  std::vector<Arm> chosen;
  for (const Arm& arm : arms) {
    if (chosen.empty() || chosen.back().engine != arm.engine) chosen.push_back(arm);
  }
  return chosen;
}

using Text = std::function<std::string(const RunResult&)>;

Row row_of(std::string name, std::span<const Arm> arms, const Text& text) {
  Row row{.name = std::move(name), .cells = {}};
  for (const Arm& arm : arms) row.cells.push_back({text(arm.first()), Tone::plain, {}});
  return row;
}

double to_double(std::uint64_t n) { return static_cast<double>(n); }

}  // namespace

Table ledger_table(std::span<const Arm> arms) {
  Table table{"Sums over the repetitions.", "counter", arm_columns(arms), {}};
  for (const LedgerCounter& counter : ledger_counters) {
    Row row{.name = std::string{counter.name}, .cells = {}, .code = true};
    for (const Arm& arm : arms) {
      LedgerTotals total;
      bool complete = true;
      for (const RunResult* run : arm.figures->runs) {
        total += run->ledger;
        complete = complete && run->ledger_complete;
      }
      const std::uint64_t value = total.*counter.member;
      Cell cell{grouped(value), Tone::plain, {}};
      if (counter.must_be_zero) {
        cell.tone = value == 0 && complete ? Tone::good : Tone::bad;
        cell.text = !complete ? "unknown, " + grouped(value) + " seen"
                              : (value == 0 ? "✓ " : "✗ ") + cell.text;
      }
      row.cells.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table thresholds_table(std::span<const Arm> arms) {
  Table table{"The scenario's thresholds (repetition 1).", "threshold", arm_columns(arms), {}};
  const std::vector<ThresholdOutcome>& all = arms.front().first().thresholds;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].implicit) continue;  // the ledger shows them
    Row row{.name = all[i].metric + " " + all[i].expression, .cells = {}, .code = true};
    for (const Arm& arm : arms) {
      const std::vector<ThresholdOutcome>& own = arm.first().thresholds;
      if (i >= own.size()) {
        row.cells.push_back({"–", Tone::muted, {}});
        continue;
      }
      row.cells.push_back({(own[i].passed ? "✓ " : "✗ ") + observed_text(own[i]),
                           own[i].passed ? Tone::good : Tone::bad,
                           {}});
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table scales_table(std::span<const Arm> all) {
  const std::vector<Arm> arms = one_per_engine(all);
  Table table{"Both deployments.", "", {}, {}};
  for (const Arm& arm : arms) {
    table.columns.push_back({"", arm.engine == Engine::live ? "Live" : "Simulated", {}, true});
  }
  const auto add = [&](const char* name, const Text& text) {
    table.rows.push_back(row_of(name, arms, text));
  };
  add("Scale", [](const RunResult& r) { return "× " + short_number(r.scale); });
  add("Users", [](const RunResult& r) { return grouped(r.deployment.users); });
  add("Clients (devices)", [](const RunResult& r) { return grouped(r.deployment.clients); });
  add("Channels", [](const RunResult& r) { return grouped(r.deployment.channels); });
  add("Servers", [](const RunResult& r) { return grouped(r.deployment.servers); });
  add("Cores a server", [](const RunResult& r) { return grouped(r.deployment.cores_per_server); });
  add("Partitions", [](const RunResult& r) { return grouped(r.deployment.partitions); });
  add("Messages sent", [](const RunResult& r) { return grouped(r.ledger.sent); });
  add("Deliveries owed", [](const RunResult& r) { return grouped(r.ledger.expected); });
  add("Measured", [](const RunResult& r) { return short_number(r.duration_seconds) + " s"; });
  add("Took", [](const RunResult& r) { return short_number(r.wall_seconds) + " s"; });
  return table;
}

Table generator_table(std::span<const Arm> all) {
  const std::vector<Arm> arms = only(all, Engine::live);
  Table table{"The load generator, beside the server it loads.", "", arm_columns(arms), {}};
  if (arms.empty()) return table;
  const auto add = [&](const char* name, const Text& text) {
    table.rows.push_back(row_of(name, arms, text));
  };
  add("Server CPU", [](const RunResult& r) { return short_number(r.server.cpu_seconds) + " s"; });
  add("Server memory at most",
      [](const RunResult& r) { return bytes_text(to_double(r.server.rss_max_bytes)); });
  add("Worker processes", [](const RunResult& r) { return grouped(r.generator.workers); });
  add("Generator CPU",
      [](const RunResult& r) { return short_number(r.generator.cpu_seconds) + " s"; });
  add("Sessions opened of asked", [](const RunResult& r) {
    return grouped(r.generator.sessions_opened) + " of " + grouped(r.generator.sessions_asked);
  });
  add("Lateness of sends, p99",
      [](const RunResult& r) { return duration_text(to_double(r.generator.lag_p99_ns)); });
  add("Generator turn, p99",
      [](const RunResult& r) { return duration_text(to_double(r.generator.turn_p99_ns)); });
  add("Intervals it limited", [](const RunResult& r) {
    return fmt::format("{} of {}", r.generator.intervals_marked, r.generator.intervals);
  });
  return table;
}

Table simulator_table(std::span<const Arm> all) {
  std::vector<Arm> arms = only(all, Engine::sim);
  std::erase_if(arms, [](const Arm& arm) { return !arm.first().sim; });
  Table table{"The simulator.", "", arm_columns(arms), {}};
  if (arms.empty()) return table;
  const auto add = [&](const char* name, const std::function<std::string(const SimFacts&)>& text) {
    table.rows.push_back(row_of(name, arms, [&](const RunResult& r) { return text(*r.sim); }));
  };
  add("Events (pops of the pending set)", [](const SimFacts& s) { return grouped(s.events); });
  add("Events a CPU-second", [](const SimFacts& s) {
    return s.cpu_seconds > 0 ? short_number(to_double(s.events) / s.cpu_seconds) : "–";
  });
  add("Recipients computed", [](const SimFacts& s) { return grouped(s.computed_recipients); });
  add("Heartbeats computed", [](const SimFacts& s) { return grouped(s.computed_heartbeats); });
  add("Simulated seconds a CPU-second", [](const SimFacts& s) {
    return s.cpu_seconds > 0 ? short_number(s.simulated_seconds / s.cpu_seconds) : "–";
  });
  add("Peak memory", [](const SimFacts& s) { return bytes_text(to_double(s.peak_rss_bytes)); });
  add("Costs from", [](const SimFacts& s) { return s.calibration; });
  table.rows.push_back(row_of("Result hash", arms, [](const RunResult& r) {
    return fmt::format("{:016x}", r.result_hash);
  }));
  return table;
}

Table environment_table(std::span<const Arm> all) {
  const std::vector<Arm> arms = one_per_engine(all);
  Table table{"Environment.", "", {}, {}};
  for (const Arm& arm : arms) {
    table.columns.push_back({"", arm.engine == Engine::live ? "Live" : "Simulated", {}, false});
  }
  const auto add = [&](const char* name, const Text& text) {
    table.rows.push_back(row_of(name, arms, text));
  };
  add("Clamor", [](const RunResult& r) { return r.environment.clamor_version; });
  add("Machine", [](const RunResult& r) { return r.environment.machine; });
  add("Kernel", [](const RunResult& r) { return r.environment.kernel; });
  add("Started", [](const RunResult& r) { return r.environment.started_utc; });
  add("Placement", [](const RunResult& r) {
    return r.engine == Engine::sim ? "one process, virtual time" : r.environment.placement;
  });
  add("Network path", [](const RunResult& r) { return r.environment.path; });
  add("Durability", [](const RunResult& r) { return r.durability; });
  add("Acknowledged after", [](const RunResult& r) { return r.ack_after; });
  add("Payload of queue entries", [](const RunResult& r) { return r.payload; });
  add("Messages before the window", [](const RunResult& r) { return grouped(r.prefill.records); });
  add("Seed", [](const RunResult& r) { return std::to_string(r.seed); });
  add("Repetitions", [](const RunResult& r) { return std::to_string(r.repetitions); });
  return table;
}

}  // namespace clamor::report
