#include "reports/model/fault_marks.hpp"
#include "server/base/hash.hpp"
#include "sim/world/world.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

// Invariants, and what a run leaves behind.
namespace clamor::sim {
namespace {

std::uint64_t bits_of(double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

std::uint64_t hash_text(std::uint64_t hash, std::string_view text) {
  for (const char c : text) hash = combine64(hash, static_cast<unsigned char>(c));
  return combine64(hash, text.size());
}

}  // namespace

void World::broken(const std::string& law) const {
  std::string what = "invariant broken: " + law + "\n  seed " +
                     std::to_string(plan_.scenario().seed) + ", design " +
                     std::string{name_of(settings_.design.design)} + ", virtual time " +
                     std::to_string(now_ns_) + " ns, " + std::to_string(popped_) +
                     " events; the last ones (time ns, kind, index):";
  const std::uint64_t shown = std::min<std::uint64_t>(popped_, recent_.size());
  for (std::uint64_t i = popped_ - shown; i < popped_; ++i) {
    const Event& event = recent_[i % recent_.size()];
    what += "\n  " + std::to_string(event.time_ns) + " " + std::to_string(event.id >> index_bits) +
            " " + std::to_string(event.id & ((1U << index_bits) - 1));
  }
  throw InvariantBroken{what};
}

void World::expect_equal(const std::string& law, std::uint64_t a, std::uint64_t b) const {
  if (a != b) broken(law + ": " + std::to_string(a) + " != " + std::to_string(b));
}

void World::check_invariants() {
  // Conservation: what went in came out, and nothing waits.
  expect_equal("inputs that arrived at nodes = inputs taken by turns", arrived_, taken_);
  // Given up is only what was accepted long before (too_old): its record is in the log.
  const std::uint64_t settled = ledger_.acknowledged + ledger_.indeterminate;
  expect_equal("sends acknowledged or given up = records in the log", settled,
               records_.size() - undone_records_ - operations_.mode_records);
  expect_equal("sends made = sends acknowledged or given up", ledger_.sent, settled);
  expect_equal("records accepted = records durable, or undone by a kill",
               records_.size() - undone_records_, operations_.records);
  expect_equal("outbox entries left = 0", outbox_.entries_in_use(), 0);
  expect_equal("flights landed = flights launched", free_flights_.size(), flights_.size());
  expect_equal("relays arrived = relays sent", free_relays_.size(), relays_.size());
  expect_equal("frames decided = frames sent", free_frames_.size(), frames_.size());
  expect_equal("records without all their queue entries = 0", worst_lag(), 0);
  expect_equal("deliveries without an end = 0", missed_.size(), 0);
  for (std::size_t i = 0; i < expected_by_class_.size(); ++i) {
    expect_equal("deliveries expected = delivered in " +
                     std::string{plan_.class_name(static_cast<std::uint32_t>(i))},
                 expected_by_class_[i], delivered_by_class_[i]);
  }
  // Little's law, exact over a run that begins and ends empty: the time integral of a node's queue
  // is the sum of what its inputs waited.
  for (const Node& node : nodes_) {
    expect_equal("Little's law: integral of a node's queue = sum of waits",
                 static_cast<std::uint64_t>(node.inbox_area),
                 static_cast<std::uint64_t>(node.waited_ns));
    expect_equal("records and entries left at committers and queue writers = 0",
                 node.committer.backlog_records() + node.writer.backlog_records(), 0);
    expect_equal("Little's law: integral of a committer's backlog = sum of its records' times",
                 node.committer.backlog_area_ns(), node.committer_sojourn_ns);
    expect_equal("Little's law: integral of a queue writer's backlog = sum of its entries' times",
                 node.writer.backlog_area_ns(), node.writer_sojourn_ns);
  }
}

std::uint64_t World::resident_bytes() const {
  return static_cast<std::uint64_t>(settings_.costs.process_bytes) * topology_.nodes() +
         static_cast<std::uint64_t>(settings_.costs.session_bytes) * connected_;
}

std::uint64_t World::worst_lag() const {
  std::uint64_t worst = 0;
  for (const Node& node : nodes_) worst = std::max(worst, node.uncovered);
  return worst;
}

report::ServerFacts World::server_facts() const {
  report::ServerFacts facts;
  facts.cpu_seconds = static_cast<double>(window_busy_ns_) * 1e-9;
  facts.rss_max_bytes = resident_max_;
  facts.device_write_bytes = static_cast<std::uint64_t>(
      static_cast<double>(operations_.log_bytes) * settings_.costs.device_log_factor +
      static_cast<double>(operations_.queue_bytes - operations_.queue_bytes_trimmed) *
          settings_.costs.device_queue_factor);
  facts.fan_out_lag_max = uncovered_max_;
  return facts;
}

report::RunResult World::result() const {
  const scenario::Scenario& scenario = plan_.scenario();
  report::RunResult result;
  result.scenario = scenario.name;
  result.description = scenario.description;
  result.engine = report::Engine::sim;
  result.design = settings_.design;
  result.seed = scenario.seed;
  result.durability = fsync_ ? "fsync" : "os";
  result.ack_after = name_of(scenario.ack_after);
  result.payload = name_of(scenario.payload);
  result.duration_seconds = static_cast<double>(measured_ns_) * 1e-9;
  result.interrupted = stopped_;
  result.deployment = {.servers = topology_.nodes(),
                       .cores_per_server = cores_,
                       .partitions = topology_.partitions(),
                       .users = plan_.users(),
                       .clients = plan_.clients(),
                       .channels = plan_.channels()};
  result.prefill = {.records = plan_.prefill_count(), .queue_entries = prefill_entries_};
  result.ledger = ledger_;
  result.ledger.expected = operations_.expected_deliveries;
  // Without the roll call nobody knows: what is not delivered is on its way, or waits.
  result.ledger.lost = drained_ ? result.ledger.expected - result.ledger.delivered : 0;
  result.ledger_complete = drained_;
  if (!drained_) result.ledger_unknown_because = "the run was interrupted";
  result.operations = operations_;
  std::vector<std::string> classes;
  for (std::uint32_t i = 0; i < plan_.classes(); ++i) classes.emplace_back(plan_.class_name(i));
  result.histograms = metrics_.histograms(classes);
  result.series = metrics_.series(static_cast<double>(topology_.nodes()) * cores_);
  const auto seconds = static_cast<std::size_t>((measured_ns_ + 999'999'999) / 1'000'000'000);
  if (result.series.size() > seconds) result.series.resize(seconds);
  result.marks = report::fault_marks(scenario);
  result.server = server_facts();
  if (window_device_bytes_ != 0) result.server.device_write_bytes = window_device_bytes_;
  report::SimFacts facts;
  facts.events = popped_;
  facts.computed_recipients = recipients_;
  facts.computed_heartbeats = heartbeats_;
  facts.simulated_seconds = result.duration_seconds;
  result.sim = facts;
  result.result_hash = hash_of(result);
  return result;
}

std::uint64_t World::hash_of(const report::RunResult& result) const {
  std::uint64_t hash = hash_text(0, result.scenario);
  hash = combine64(hash, result.seed);
  hash = combine64(hash, static_cast<std::uint64_t>(result.design.design));
  hash = combine64(hash, result.design.threshold);
  hash = combine64(hash, result.design.window);
  for (const LedgerCounter& counter : ledger_counters) {
    hash = combine64(hash, result.ledger.*counter.member);
  }
  for (const OperationCounter& counter : operation_counters) {
    hash = combine64(hash, result.operations.*counter.member);
  }
  for (const auto& [key, histogram] : result.histograms) {
    hash = hash_text(hash, key);
    for (const std::uint64_t n : histogram.buckets()) hash = combine64(hash, n);
    hash = combine64(hash, histogram.sum());
  }
  for (const report::SeriesPoint& point : result.series) {
    hash = combine64(hash, point.connected);
    hash = combine64(hash, bits_of(point.delivery_rate));
    hash = combine64(hash, bits_of(point.server_cpu_share));
    hash = combine64(hash, point.delivery_p99_ns);
  }
  hash = combine64(hash, popped_);
  hash = combine64(hash, recipients_);
  return combine64(hash, heartbeats_);
}

}  // namespace clamor::sim
