#include "loadgen/app/control.hpp"
#include "loadgen/app/load_result.hpp"
#include "loadgen/app/part_file.hpp"
#include "loadgen/app/scrape.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "parts-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

Observed record(std::uint64_t id) { return {0, {id}, core::RecordKind::message, 0, {id - 1}}; }

IntervalRecord interval_of(std::uint32_t index, std::uint64_t sent) {
  IntervalRecord interval;
  interval.index = index;
  interval.connected = 10;
  interval.sent = sent;
  interval.delivery.record(1'000'000, sent);
  interval.lag.record(2'000'000);
  interval.turn_max_ns = 77;
  return interval;
}

TEST(PartFile, BringsALedgerWithItsTroubleToTheVerifier) {
  const Folder folder;
  Ledger sender{0, {0, 1}, {0}};
  Ledger receiver{1, {0, 1}, {0}};
  for (std::uint64_t id = 2; id <= 5; ++id) sender.acknowledge(0, 0, {id - 1}, {id});
  (void)receiver.receive(1, record(2));
  (void)receiver.receive(1, record(4));  // 3 is a hole, 5 is missing at the end
  WorkerPart part{.asked = 3, .opened = 2, .unsettled = 1, .unsynced = 4, .cpu_seconds = 1.5};
  part.findings = {"something odd"};
  part.recording = Recording{2};
  part.recording.by_class[1].ack.record(123, 7);
  write_part(folder.path / "a", {}, sender);
  part.totals = receiver.totals();
  write_part(folder.path / "b", part, receiver);

  Verifier verifier;
  for (const char* name : {"a", "b"}) read_notes(folder.path / name, verifier);
  verifier.seal();
  (void)read_part(folder.path / "a", verifier);
  const WorkerPart read = read_part(folder.path / "b", verifier);
  EXPECT_EQ(verifier.totals().lost, 2U);
  EXPECT_EQ(read.totals.delivered, 2U);
  EXPECT_EQ(read.unsynced, 4U);
  EXPECT_EQ(read.findings, part.findings);
  EXPECT_EQ(read.recording.by_class.at(1).ack.count(), 7U);
}

TEST(PartFile, SaysWhichFileIsCutShort) {
  const Folder folder;
  Verifier verifier;
  try {
    read_notes(folder.path / "absent", verifier);
    FAIL() << "a missing part must not pass for an empty one";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string{error.what()}.find("absent"), std::string::npos);
  }
}

TEST(ControlChannel, CarriesMessagesWholeAndTellsTheEnd) {
  auto [a, b] = ControlChannel::make_pair();
  ControlChannel left{std::move(a)};
  {
    ControlChannel right{std::move(b)};
    EXPECT_FALSE(left.receive());
    EXPECT_TRUE(right.send({{"text", std::string(100'000, 'x')}}));
    EXPECT_TRUE(right.send(to_json(interval_of(3, 9))));
    EXPECT_EQ(left.receive()->at("text").get<std::string>().size(), 100'000U);
    const IntervalRecord interval = interval_from(*left.receive());
    EXPECT_EQ(interval.index, 3U);
    EXPECT_EQ(interval.delivery.count(), 9U);
    EXPECT_EQ(interval.delivery.quantile(0.5), 1'000'000U);
    EXPECT_FALSE(left.closed());
  }
  EXPECT_FALSE(left.receive());
  EXPECT_TRUE(left.closed());
  EXPECT_FALSE(left.send({{"late", 1}}));
}

TEST(SeriesBuilder, ClosesASecondOnceEveryWorkerHasToldIt) {
  SeriesBuilder series{2};
  EXPECT_FALSE(series.add(interval_of(0, 5)));
  EXPECT_FALSE(series.add(interval_of(1, 5))) << "one worker is a second ahead";
  ASSERT_TRUE(series.add(interval_of(0, 7)));
  series.complete(ServerReading{Instant{1s}, 10.0, 100, 3}, 1);
  ASSERT_TRUE(series.add(interval_of(1, 1)));
  series.complete(ServerReading{Instant{2s}, 10.5, 100, 3}, 1);
  ASSERT_EQ(series.points().size(), 2U);
  EXPECT_EQ(series.points()[0].sent_rate, 12);
  EXPECT_EQ(series.points()[0].connected, 20U);
  EXPECT_EQ(series.points()[1].t_seconds, 2);
  EXPECT_DOUBLE_EQ(series.points()[1].server_cpu_share, 0.5);
}

TEST(Scrape, ReadsCountersAndGaugesAndNoForeignPage) {
  const auto sample = parse_metrics(
      "# HELP clamor_records_total x\n# TYPE clamor_records_total counter\n"
      "clamor_records_total 1.2e+06\nclamor_frames_in_total 7\n"
      "clamor_refused_total{code=\"overloaded\"} 4\nclamor_fan_out_lag_records 9\n"
      "clamor_process_cpu_seconds_total 2.5\n");
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->operations.records, 1'200'000U);
  EXPECT_EQ(sample->operations.frames_in, 7U);
  EXPECT_EQ(sample->fan_out_lag_records, 9U);
  EXPECT_EQ(sample->cpu_seconds, 2.5);
  EXPECT_FALSE(parse_metrics("process_cpu_seconds_total 3\n"));
}

TEST(Scrape, ServersAreAtRestWhereNothingWasUnderWayBetweenTwoSamples) {
  const auto sample_of = [](const char* more) {
    return parse_metrics(std::string{"clamor_records_total 5\nclamor_sessions 3\n"
                                     "clamor_connections 3\n"
                                     "clamor_bus_messages_sent_total 7\n"
                                     "clamor_bus_messages_received_total 7\n"} +
                         more)
        .value();
  };
  const ServerSample quiet = sample_of("");
  EXPECT_TRUE(are_at_rest(quiet, quiet, 3));
  EXPECT_FALSE(are_at_rest(quiet, quiet, 4)) << "a login or a close is under way";
  for (const char* const gauge : {"clamor_commits_pending 1\n", "clamor_fan_out_lag_records 1\n",
                                  "clamor_queue_writer_backlog 1\n", "clamor_pages_due 1\n"}) {
    EXPECT_FALSE(are_at_rest(quiet, sample_of(gauge), 3)) << gauge;
    EXPECT_FALSE(are_at_rest(sample_of(gauge), quiet, 3)) << gauge;
  }
  ServerSample other = quiet;
  ++other.connections;
  EXPECT_FALSE(are_at_rest(quiet, other, 3)) << "one has not logged in";
  other = quiet;
  ++other.bus_messages_sent;
  ++other.bus_messages_received;
  EXPECT_FALSE(are_at_rest(quiet, other, 3)) << "something was said between the two";
}

}  // namespace
}  // namespace clamor::loadgen
