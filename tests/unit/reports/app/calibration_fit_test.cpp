#include "reports/app/calibration_fit.hpp"

#include "server/base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <gmock/gmock.h>

namespace clamor::report {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Loads of a server whose costs are known: what the fit must find again.
constexpr double wake = 15'000, turn = 6'000, frame = 2'500, post = 1'500, flush = 6'000,
                 message = 120;
constexpr double batch = 5'000, record = 4'500, log_byte = 1.5, fsync = 250'000;
constexpr double scan = 9'000, row = 400, seek = 2'500, entry = 3'500, run = 400, copied_byte = 8,
                 queue_batch = 9'000;

double jitter(std::uint64_t i) {
  return 1 + 0.02 * (unit_from_bits(draw_bits(3, DrawPurpose::test, i)) - 0.5);
}

double as_double(std::uint64_t n) { return static_cast<double>(n); }

LoadPoint turn_point(std::uint64_t i, std::uint64_t frames, std::uint64_t flushes,
                     std::uint64_t messages, std::uint64_t posts, std::uint64_t turns = 2) {
  LoadPoint p{.load = "turn " + std::to_string(i), .rounds = 1};
  p.counted.wakes = 2;
  p.counted.turns = turns;
  p.counted.frames_in = frames;
  p.counted.flushes = flushes;
  p.counted.frames_out = messages;
  p.counted.posts = posts;
  p.io_thread_ns =
      (2 * wake + turn * as_double(turns) + frame * as_double(frames) + flush * as_double(flushes) +
       message * as_double(messages) + post * as_double(posts)) *
      jitter(i);
  return p;
}

LoadPoint commit_point(const std::string& name, std::uint64_t records, std::uint64_t bytes,
                       double sync) {
  LoadPoint p{.load = name + std::to_string(records) + "/" + std::to_string(bytes), .rounds = 1};
  p.counted.write_batches = 1;
  p.counted.records = records;
  p.counted.log_bytes = records * (90 + bytes);
  p.body_bytes = records * bytes;
  p.counted.commit_ns = static_cast<std::uint64_t>(
      (batch + sync + record * as_double(records) + log_byte * as_double(p.counted.log_bytes)) *
      jitter(records + bytes));
  p.other_threads_ns = static_cast<double>(p.counted.commit_ns);
  return p;
}

Measurements measured() {
  Measurements m;
  std::uint64_t i = 0;
  for (const std::uint64_t n : {1U, 8U, 64U, 200U}) {
    m.turns.push_back(turn_point(++i, n, n, n, 0));             // echoes
    m.turns.push_back(turn_point(++i, n, 1, 1, 0));             // heartbeats
    m.turns.push_back(turn_point(++i, n, 1, 1, 0, 2 + n / 4));  // heartbeats, spread
    m.turns.push_back(turn_point(++i, 1, n, n, 2));             // fan-outs
    m.turns.push_back(turn_point(++i, 16, n, 16 * n, 2));       // fan-outs, 16 in flight
    m.turns.push_back(turn_point(++i, 4, n, 4 * n, 40));
  }
  for (const std::uint64_t n : {1U, 4U, 16U, 64U}) {
    for (const std::uint64_t bytes : {64U, 4000U}) {
      m.commits.push_back(commit_point("os ", n, bytes, 0));
      m.synced.push_back(commit_point("fsync ", n, bytes, fsync));
    }
  }
  for (const std::uint64_t n : {1U, 10U, 100U}) {
    for (const std::uint64_t per : {1U, 20U, 300U}) {
      LoadPoint p{.load = "scan " + std::to_string(n) + "x" + std::to_string(per), .rounds = 1};
      p.counted.log_scans = n;
      p.counted.catch_up_deliveries = n * per;
      p.counted.scan_ns = static_cast<std::uint64_t>(
          (scan * as_double(n) + row * as_double(n * per)) * jitter(n + per));
      m.scans.push_back(p);
      p.load = "queue " + p.load;
      p.counted.log_seeks = 3 * n;
      p.counted.scan_ns += static_cast<std::uint64_t>(seek * as_double(3 * n));
      m.scans.push_back(p);
      LoadPoint q{.load = "entries " + std::to_string(n * per + n), .rounds = 1};
      q.counted.queue_batches = n;
      q.counted.queue_entries = n * per;
      q.counted.queue_ns =
          static_cast<std::uint64_t>(queue_batch * as_double(n) + entry * as_double(n * per));
      q.other_threads_ns = static_cast<double>(q.counted.queue_ns);
      m.queues.push_back(q);
      q.load = "runs " + q.load;
      q.counted.queue_bytes = 20 * n * per;
      q.other_threads_ns += run * as_double(n * per);
      m.queue_runs.push_back(q);
      q.load = "copies " + q.load;
      q.counted.queue_bytes = 140 * n * per;
      q.other_threads_ns += (copied_byte * 140 - run) * as_double(n * per);
      m.queue_copies.push_back(q);
    }
  }
  m.accept_ns = 30'000;
  m.process_bytes = 2e7;
  m.session_bytes = 900;
  m.queue_run_bytes = 20;
  m.round_trip_ns = 200'000;
  m.device_log_factor = 1.1;
  return m;
}

sim::Calibration base() {
  sim::Calibration calibration;
  for (const sim::CostCoefficient& c : sim::cost_coefficients) calibration.costs.*c.member = 7;
  return calibration;
}

TEST(CalibrationFit, FindsTheCostsOfAKnownServer) {
  const CalibrationResult result = fit_calibration(measured(), base());
  const sim::Costs& costs = result.calibration.costs;
  EXPECT_THAT(result.missing, IsEmpty());
  EXPECT_NEAR(costs.wake_ns, wake, 0.1 * wake);
  EXPECT_NEAR(costs.turn_ns, turn, 0.1 * turn);
  EXPECT_NEAR(costs.frame_in_ns, frame, 0.05 * frame);
  EXPECT_NEAR(costs.flush_ns, flush, 0.05 * flush);
  EXPECT_NEAR(costs.message_ns, message, 0.15 * message);
  EXPECT_NEAR(costs.commit_batch_ns, batch, 0.2 * batch);
  EXPECT_NEAR(costs.commit_record_ns, record, 0.05 * record);
  EXPECT_NEAR(costs.commit_byte_ns, log_byte, 0.1 * log_byte);
  EXPECT_NEAR(costs.commit_fsync_ns, fsync, 0.05 * fsync);
  EXPECT_NEAR(costs.scan_ns, scan, 0.1 * scan);
  EXPECT_NEAR(costs.scan_record_ns, row, 0.1 * row);
  EXPECT_NEAR(costs.log_seek_ns, seek, 0.05 * seek);
  EXPECT_NEAR(costs.queue_entry_ns, entry, 0.05 * entry);
  EXPECT_NEAR(costs.log_record_bytes, 90, 1e-9);
  EXPECT_NEAR(costs.queue_run_ns, run, 0.05 * run);
  EXPECT_NEAR(costs.queue_byte_ns, copied_byte, 0.05 * copied_byte);
  EXPECT_NEAR(costs.queue_run_bytes, 20, 1e-9);
  EXPECT_EQ(costs.accept_ns, 30'000);
  EXPECT_GT(costs.client_delay_ns, 10'000);
}

TEST(CalibrationFit, KeepsTheBasesValueOfWhatNoLoadShowsAndNamesIt) {
  const CalibrationResult result = fit_calibration(measured(), base());
  EXPECT_EQ(result.calibration.costs.node_delay_ns, 7);
  EXPECT_THAT(result.carried_over, Contains("node_delay_ns"));
  EXPECT_THAT(result.carried_over, Contains("login_ns"));
  EXPECT_THAT(result.carried_over, Not(Contains("flush_ns")));
}

TEST(CalibrationFit, NamesTheNeededCostsThatTheLoadsDidNotIdentify) {
  Measurements m = measured();
  m.scans.clear();
  EXPECT_THAT(fit_calibration(m, base()).missing,
              testing::ElementsAre("scan_ns", "scan_record_ns"));
  m = measured();
  std::erase_if(m.turns, [](const LoadPoint& p) { return p.counted.flushes == 1; });
  for (LoadPoint& p : m.turns) p.counted.flushes = p.counted.frames_in;  // never apart
  EXPECT_THAT(fit_calibration(m, base()).missing,
              testing::AnyOf(Contains("flush_ns"), Contains("frame_in_ns")));
}

TEST(CalibrationFit, KnowsACostThatIsNothing) {
  Measurements m = measured();
  std::erase_if(m.scans, [](const LoadPoint& p) { return p.counted.log_seeks != 0; });
  for (LoadPoint p : std::vector<LoadPoint>{m.scans}) {
    p.load = "queue " + p.load;
    p.counted.log_seeks = p.counted.log_scans;  // at no cost
    p.counted.scan_ns -= p.counted.scan_ns / 100;
    m.scans.push_back(p);
  }
  const CalibrationResult result = fit_calibration(m, base());
  EXPECT_LT(result.calibration.costs.log_seek_ns, 0.02 * scan);
  EXPECT_THAT(result.carried_over, Not(Contains("log_seek_ns")));
}

TEST(CalibrationFit, IsNotLedAstrayByALoadThatWasDisturbedThroughout) {
  Measurements m = measured();
  for (LoadPoint& p : m.turns) {
    if (p.load == "turn 3" || p.load == "turn 17") p.io_thread_ns *= 2;
  }
  EXPECT_NEAR(fit_calibration(m, base()).calibration.costs.flush_ns, flush, 0.1 * flush);
}

TEST(CalibrationFit, TakesTheLeastDisturbedWindowOfALoad) {
  Measurements m = measured();
  const std::size_t n = m.turns.size();
  for (std::size_t i = 0; i < n; ++i) {
    LoadPoint disturbed = m.turns[i];
    disturbed.io_thread_ns *= 3;
    m.turns.push_back(disturbed);
  }
  EXPECT_NEAR(fit_calibration(m, base()).calibration.costs.flush_ns, flush, 0.05 * flush);
}

TEST(CalibrationFit, PublishesResidualsConditionAndPoints) {
  const std::string text = fits_text(fit_calibration(measured(), base()).fits);
  for (const char* part : {"# turn: 24 points, residual", "condition number", "commit_record_ns",
                           "us a round, fitted"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace clamor::report
