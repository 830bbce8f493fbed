#include "reports/model/fairness.hpp"

#include "reports/model/wording.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace clamor::report {
namespace {

std::string memory_text(const Budget& budget) {
  if (budget == Budget{}) return "a memory budget that the server did not tell";
  const auto cache = static_cast<double>(budget.block_cache_bytes);
  const auto buffers = static_cast<double>(budget.write_buffer_bytes);
  return bytes_text(cache + buffers) + " for the store (" + bytes_text(cache) + " block cache, " +
         bytes_text(buffers) + " write buffers)";
}

std::string servers_text(const DeploymentFacts& d) {
  return grouped(d.servers) + (d.servers == 1 ? " server" : " servers") + " with " +
         grouped(d.cores_per_server) + (d.cores_per_server == 1 ? " core" : " cores") +
         (d.servers == 1 ? "" : " each");
}

struct Condition {
  const char* name;
  std::function<std::string(const RunResult&)> text;
};

const std::vector<Condition>& conditions() {
  static const std::vector<Condition> all{
      {"scenario", [](const RunResult& r) { return r.scenario; }},
      // repetition i draws from the i-th seed after the comparison's
      {"seed", [](const RunResult& r) { return std::to_string(r.seed + 1 - r.repetition); }},
      {"memory", [](const RunResult& r) { return memory_text(r.budget); }},
      {"servers", [](const RunResult& r) { return servers_text(r.deployment); }},
      {"durability", [](const RunResult& r) { return r.durability; }},
      {"ack_after", [](const RunResult& r) { return r.ack_after; }},
      {"payload", [](const RunResult& r) { return r.payload; }},
      {"pre-fill", [](const RunResult& r) { return grouped(r.prefill.records) + " messages"; }},
      {"network path", [](const RunResult& r) { return r.environment.path; }},
      {"machine", [](const RunResult& r) { return r.environment.machine; }},
      {"placement", [](const RunResult& r) { return r.environment.placement; }},
      {"users", [](const RunResult& r) { return grouped(r.deployment.users); }},
  };
  return all;
}

}  // namespace

std::vector<std::string> check_same_budget(std::span<const RunResult* const> runs) {
  std::vector<std::string> findings;
  for (const Condition& condition : conditions()) {
    for (const RunResult* run : runs) {
      const std::string first = condition.text(*runs.front());
      const std::string other = condition.text(*run);
      if (first == other) continue;
      findings.push_back(std::string{condition.name} + ": " + first + " for " +
                         label_of(runs.front()->design) + ", but " + other + " for " +
                         label_of(run->design));
      break;
    }
  }
  return findings;
}

std::string budget_text(const RunResult& run) {
  std::string text = servers_text(run.deployment);
  text += run.engine == Engine::live ? ", " + memory_text(run.budget) : "";
  text += ", durability " + run.durability + ", ack_after " + run.ack_after + ", payload " +
          run.payload + ", network path " + run.environment.path;
  return text;
}

std::string prefill_text(const EngineComparison& comparison) {
  const bool live = comparison.engine == Engine::live;
  const Prefill& any = comparison.designs.front().runs.front()->prefill;
  if (any.records == 0) {
    return live ? "The stores began empty, so nothing was read from, or compacted with, a history "
                  "larger than the run's own."
                : "The channels began empty.";
  }
  std::vector<std::string> queues;
  for (const DesignFigures& figures : comparison.designs) {
    const Prefill& prefill = figures.runs.front()->prefill;
    queues.push_back(label_of(figures.design) + " " +
                     (prefill.queue_entries == 0 ? "none" : grouped(prefill.queue_entries)) +
                     (live ? " (" + bytes_text(static_cast<double>(prefill.bytes)) + ")" : ""));
  }
  return (live ? "The stores" : "The channels") + std::string{" began with "} +
         grouped(any.records) +
         " messages, which every device held. Queue entries written for them" +
         (live ? " (and bytes of log and queues)" : "") + ": " + listed(queues) + ".";
}

std::string order_text(const EngineComparison& comparison) {
  std::vector<const RunResult*> runs;
  for (const DesignFigures& figures : comparison.designs) {
    runs.insert(runs.end(), figures.runs.begin(), figures.runs.end());
  }
  if (std::ranges::any_of(runs, [](const RunResult* run) { return run->order == 0; })) return "";
  std::ranges::sort(runs, {}, &RunResult::order);
  std::string text;
  std::uint32_t repetition = 0;
  for (const RunResult* run : runs) {
    if (run->repetition != repetition && comparison.repetitions > 1) {
      text += (text.empty() ? "repetition " : "; repetition ") + grouped(run->repetition) + ": ";
    } else if (!text.empty()) {
      text += ", ";
    }
    repetition = run->repetition;
    text += label_of(run->design);
  }
  return text;
}

}  // namespace clamor::report
