#pragma once

#include "loadgen/app/load.hpp"
#include "reports/model/thresholds.hpp"
#include "scenarios/model/plan.hpp"
#include "sim/app/calibration.hpp"
#include "sim/app/simulate.hpp"
#include "tests/integration/queue_audit.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/parity/naive_counts.hpp"
#include "tests/parity/town.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace clamor::parity {

inline report::RunResult run_simulated(const scenario::Plan& plan, const DesignSpec& design) {
  sim::SimOptions simulation;
  simulation.scenario = plan.scenario();
  simulation.design = design;
  simulation.scale = 1;
  simulation.calibration = sim::default_calibration();
  return sim::run_sim(simulation);
}

inline Operations simulated_counts(const scenario::Plan& plan, const DesignSpec& design) {
  return run_simulated(plan, design).operations;
}

/// Runs the plan, in steps, against nodes that listen on these ports. `meanwhile` is called once
/// within the measured window, while all is at rest.
inline report::RunResult run_live(const scenario::Plan& plan, const DesignSpec& design,
                                  const std::vector<std::uint16_t>& ports,
                                  const std::function<void()>& meanwhile,
                                  Duration step_timeout = 60s) {
  loadgen::LoadOptions load;
  load.scenario = plan.scenario();
  load.design = design;
  load.target = test::url_of(ports);
  load.secret = test::test_secret;
  load.workers = 1;
  load.step_timeout = step_timeout;
  load.program = CLAMOR_BINARY;
  bool called = false;
  load.progress = [&](const loadgen::LoadProgress& at) {
    if (called || !meanwhile || at.stage != "running" || at.elapsed_seconds <= 0) return;
    called = true;
    meanwhile();
  };
  report::RunResult run = loadgen::run_load(load);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  for (const std::string& finding : run.ledger_findings) std::printf("  %s\n", finding.c_str());
  return run;
}

/// What a live run of the plan leaves at the sinks, and what its servers count.
struct Live {
  Operations server;
  Operations sinks;  ///< Those of `server` that a sink counts, put in their place.
  std::vector<std::string> queue_faults;
  LedgerTotals ledger;
  report::Prefill prefill;  ///< As the servers count it; the sinks' counts hold it too.
};

/// @pre the servers have gone.
inline Live counts_of(const scenario::Plan& plan, const report::RunResult& run,
                      const std::string& data, std::uint32_t nodes) {
  Live live{.server = run.operations,
            .sinks = run.operations,
            .queue_faults = {},
            .ledger = run.ledger,
            .prefill = run.prefill};
  const test::QueueAudit stored = test::audit_queues(data, run.design, nodes);
  live.queue_faults = stored.faults;
  live.sinks.records = stored.messages + stored.mode_records;
  live.sinks.mode_records = stored.mode_records;
  live.sinks.queue_entries = stored.entries - stored.created_entries;
  live.sinks.record_user_partition_pairs = stored.record_user_partition_pairs;
  live.sinks.expected_deliveries = run.ledger.expected;
  live.sinks.edits = stored.kinds.edits;
  live.sinks.deletions = stored.kinds.deletions;
  live.sinks.reactions = stored.kinds.reactions;
  live.sinks.replies = stored.kinds.replies;
  // What a deletion takes out of the log, and how it came to a client, the plan alone can say.
  NaiveCount naive{plan, run.design};
  (void)naive.count();
  live.sinks.mentions = stored.kinds.mentions + naive.mentions_deleted();
  // Records that the clients decoded: live ones by their path, and the rest.
  live.sinks.live_deliveries =
      report::select_histogram(run, "delivery_latency", {{"path", "live"}}).count() +
      naive.live_deletions() + naive.modes_delivered_live();
  live.sinks.catch_up_deliveries = run.ledger.delivered - live.sinks.live_deliveries;
  live.sinks.presence_notices = run.generator.presence_notices;
  return live;
}

}  // namespace clamor::parity
