#include "reports/model/design_check.hpp"

#include "reports/model/wording.hpp"

#include <algorithm>
#include <utility>

namespace clamor::report {
namespace {

class Checker {
 public:
  void expect(bool holds, const RunResult& run, const std::string& what) {
    if (!holds) {
      findings.push_back(label_of(run.design) + " (" + std::string{label_of(run.engine)} +
                         "): " + what);
    }
  }
  std::vector<std::string> findings;
};

std::string count(std::string_view name, std::uint64_t value) {
  return std::string{name} + " = " + grouped(value);
}

/// Records of windows that had begun before the run, one a channel.
std::uint64_t window_slack(const RunResult& run) {
  return std::uint64_t{run.deployment.channels} * run.design.window;
}

void check_alone(const RunResult& run, Checker& check) {
  const Operations& ops = run.operations;
  check.expect(ops.logins == 0 || ops.head_comparisons > 0, run,
               "logins happened, but no head was compared");
  check.expect(ops.catch_up_deliveries == 0 || ops.queue_scans + ops.log_scans > 0, run,
               "records were caught up without a scan");
  switch (run.design.design) {
    case QueueDesign::per_group:
      check.expect(ops.queue_entries == 0, run, count("queue_entries", ops.queue_entries));
      check.expect(ops.record_user_partition_pairs == 0, run,
                   count("record_user_partition_pairs", ops.record_user_partition_pairs));
      check.expect(ops.queue_bytes == 0, run, count("queue_bytes", ops.queue_bytes));
      check.expect(ops.queue_scans == 0, run, count("queue_scans", ops.queue_scans));
      check.expect(ops.log_gets == 0, run, count("log_gets", ops.log_gets));
      break;
    case QueueDesign::per_user:
      check.expect(ops.queue_entries >= ops.records, run, "fewer queue entries than records");
      check.expect(ops.queue_scans <= ops.logins, run, "more than one queue scan a login");
      break;
    case QueueDesign::per_member:
      check.expect(ops.queue_entries >= ops.records, run, "fewer queue entries than records");
      check.expect(ops.queue_scans <= ops.head_comparisons, run,
                   "more queue scans than channels looked at");
      break;
    case QueueDesign::hybrid:
      check.expect(ops.queue_scans <= ops.logins, run, "more than one queue scan a login");
      break;
    case QueueDesign::adaptive:
      check.expect(ops.queue_scans <= ops.logins, run, "more than one queue scan a login");
      // One behind the last record of a window; the first window may have begun before the run.
      check.expect(ops.mode_records * run.design.window <= ops.records + window_slack(run), run,
                   "more than one member_mode record a window");
      check.expect(ops.mode_records != 0 || run.prefill.records != 0 || ops.queue_entries == 0, run,
                   count("queue_entries", ops.queue_entries) + ", though nobody was given a queue");
      break;
  }
  check.expect(run.design.design == QueueDesign::adaptive || ops.mode_records == 0, run,
               count("mode_records", ops.mode_records));
}

bool has_every_entry(const RunResult& run) {
  return run.design.design == QueueDesign::per_user || run.design.design == QueueDesign::per_member;
}

std::string_view name_of(std::uint64_t Operations::*member) {
  for (const OperationCounter& counter : operation_counters) {
    if (counter.member == member) return counter.name;
  }
  return "?";
}

/// Shares of the messages that go to classes with queues under hybrid, and to those without.
std::pair<double, double> divided(const RunResult& hybrid) {
  std::pair<double, double> shares{0, 0};
  for (const GroupFacts& group : hybrid.region.groups) {
    const bool queued = group.members <= hybrid.design.threshold;
    (queued ? shares.first : shares.second) += group.message_share;
  }
  return shares;
}

/// Hybrid beside a design that gives every member an entry.
void check_hybrid(const RunResult& hybrid, const RunResult& full, Checker& check) {
  const auto [queued, unqueued] = divided(hybrid);
  const std::uint64_t entries = hybrid.operations.queue_entries;
  const std::uint64_t all = full.operations.queue_entries;
  const std::string what = count("queue_entries", entries) + ", against " + grouped(all) +
                           " under " + label_of(full.design) + ", though ";
  if (unqueued == 0 && queued > 0) {
    check.expect(entries == all, hybrid, what + "no class is above the threshold");
  } else if (queued == 0 && unqueued > 0) {
    check.expect(entries == 0, hybrid, what + "every class is above the threshold");
  } else if (queued > 0 && unqueued > 0) {
    check.expect(entries > 0 && entries < all, hybrid,
                 what + "some classes are above the threshold");
  }
}

void check_pair(const RunResult& a, const RunResult& b, Checker& check) {
  const std::string against = ", not as under " + label_of(b.design);
  if (!ran_whole_plan(a) || !ran_whole_plan(b)) return;
  // What follows from the plan alone, whatever the queues look like. Under adaptive there are
  // records of modes besides, which all members get.
  const bool adaptive = a.operations.mode_records != 0 || b.operations.mode_records != 0;
  const std::uint64_t sent = a.operations.records - a.operations.mode_records;
  const std::uint64_t sent_there = b.operations.records - b.operations.mode_records;
  check.expect(sent == sent_there, a,
               count("records", sent) + against + " (" + grouped(sent_there) + ")");
  for (const auto counter : {&Operations::expected_deliveries, &Operations::membership_intervals}) {
    if (adaptive && counter == &Operations::expected_deliveries) continue;
    check.expect(a.operations.*counter == b.operations.*counter, a,
                 count(name_of(counter), a.operations.*counter) + against + " (" +
                     grouped(b.operations.*counter) + ")");
  }
  // What goes to queues: all of it under per_user and per_member, less under the others.
  const bool left_full = has_every_entry(a);
  const bool right_full = has_every_entry(b);
  for (const auto counter :
       {&Operations::queue_entries, &Operations::record_user_partition_pairs}) {
    const std::uint64_t left = a.operations.*counter;
    const std::uint64_t right = b.operations.*counter;
    const std::string what = count(name_of(counter), left) + against + " (" + grouped(right) + ")";
    if (left_full && right_full) check.expect(left == right, a, what);
    // A record of modes has entries too: the more of them, the more members have a queue.
    if (!left_full && right_full && !adaptive) check.expect(left <= right, a, what);
  }
  if (a.design.design == QueueDesign::hybrid && right_full) check_hybrid(a, b, check);
  // One scan a channel with news is one a login with news or more; clients' timing differs a bit.
  if (a.design.design == QueueDesign::per_user && b.design.design == QueueDesign::per_member) {
    check.expect(10 * b.operations.queue_scans >= 9 * a.operations.queue_scans, b,
                 count("queue_scans", b.operations.queue_scans) + ", fewer than under per_user (" +
                     grouped(a.operations.queue_scans) + ")");
  }
}

}  // namespace

std::vector<std::string> check_operations(std::span<const RunResult> runs) {
  Checker check;
  for (const RunResult& run : runs) check_alone(run, check);
  for (const RunResult& a : runs) {
    for (const RunResult& b : runs) {
      const bool same_plan = a.engine == b.engine && a.seed == b.seed && a.scale == b.scale &&
                             a.repetition == b.repetition;
      if (&a < &b && same_plan) {
        // a design without full queues stands on the left, and per_user before per_member
        const auto rank = [](const RunResult& run) {
          return !has_every_entry(run) ? 0 : run.design.design == QueueDesign::per_user ? 1 : 2;
        };
        rank(a) > rank(b) ? check_pair(b, a, check) : check_pair(a, b, check);
      }
    }
  }
  return std::move(check.findings);
}

}  // namespace clamor::report
