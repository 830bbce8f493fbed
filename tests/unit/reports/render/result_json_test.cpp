#include "reports/render/result_json.hpp"

#include "tests/unit/reports/sample_results.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace clamor::report {
namespace {

std::string error_of(const std::string& text) {
  try {
    static_cast<void>(read_result(text, "there.json"));
  } catch (const ResultFormatError& error) {
    return error.what();
  }
  return "";
}

TEST(ResultJson, ReadsBackEveryFieldItWrote) {
  for (const Engine engine : {Engine::live, Engine::sim}) {
    RunResult run = sample::run(engine, QueueDesign::hybrid, 2, 3);
    run.design.threshold = 321;
    run.ledger_findings = {"channel 7: device 3 of user 9 lacks 12"};
    run.thresholds.front().observed = std::nan("");
    run.thresholds.front().unknown_because = "nothing recorded";
    run.result_hash = 0xfedc'ba98'7654'3210;
    const std::string text = write_result(run);
    const RunResult back = read_result(text, "memory");
    EXPECT_EQ(write_result(back), text);
    EXPECT_EQ(back.design, run.design);
    EXPECT_EQ(back.ledger, run.ledger);
    EXPECT_EQ(back.operations, run.operations);
    EXPECT_EQ(back.result_hash, run.result_hash);
    EXPECT_EQ(back.sim.has_value(), engine == Engine::sim);
    EXPECT_TRUE(std::isnan(back.thresholds.front().observed));
    for (const double q : {0.0, 0.5, 0.99, 1.0}) {
      EXPECT_EQ(select_histogram(back, "delivery_latency").quantile(q),
                select_histogram(run, "delivery_latency").quantile(q));
    }
  }
}

TEST(ResultJson, KeepsTheSchemaThatOthersReadAgainst) {
  const auto json =
      nlohmann::json::parse(write_result(sample::run(Engine::sim, QueueDesign::per_user)));
  EXPECT_EQ(json["schema"], "clamor.result/1");
  EXPECT_EQ(json["engine"], "sim");
  EXPECT_EQ(json["design"]["name"], "per_user");
  EXPECT_EQ(json["ledger"]["lost"], 0);
  EXPECT_TRUE(json["operations"]["logical"].contains("queue_entries"));
  EXPECT_TRUE(json["operations"]["phase"].contains("logins"));
  EXPECT_TRUE(json["operations"]["physical"].contains("turn_ns"));
  EXPECT_EQ(json["result_hash"], "123456789abcdef0");
  const auto& histogram = json["histograms"]["ack_latency"];
  EXPECT_TRUE(histogram["p99_ns"].is_number_unsigned());
  std::uint64_t in_buckets = 0;
  for (const auto& pair : histogram["buckets"]) in_buckets += pair[1].get<std::uint64_t>();
  EXPECT_EQ(in_buckets, histogram["count"]);
}

TEST(ResultJson, RefusesWhatIsNoResultAndNamesThePlace) {
  EXPECT_EQ(error_of("{"), "there.json: not JSON, at byte 2; expected a clamor.result/1 file");
  for (const char* other : {"[]", "{}", R"({"schema":null})", R"({"schema":{}})"}) {
    EXPECT_NE(error_of(other).find("expected \"schema\""), std::string::npos) << other;
  }
  EXPECT_NE(error_of(R"({"schema":"clamor.result/2"})").find("clamor.result/1"), std::string::npos);
  auto json = nlohmann::json::parse(write_result(sample::run(Engine::live, QueueDesign::per_user)));
  auto missing = json;
  missing["ledger"].erase("lost");
  EXPECT_EQ(error_of(missing.dump()), "there.json: result.ledger: key 'lost' is missing");
  auto negative = json;
  negative["server"]["rss_max_bytes"] = -1;
  EXPECT_NE(error_of(negative.dump()).find("result.server.rss_max_bytes: expected a whole number"),
            std::string::npos);
  auto design = json;
  design["design"]["name"] = "per_planet";
  EXPECT_NE(error_of(design.dump()).find("'per_planet' is no queue design"), std::string::npos);
  auto bucket = json;
  bucket["histograms"]["ack_latency"]["buckets"][0][0] = 99'999;
  EXPECT_NE(error_of(bucket.dump()).find("pairs of [bucket, count]"), std::string::npos);
}

// A server reads no JSON; here is where any is read.
TEST(ResultJson, DepthCostsNoStack) {
  const std::string open(1'000'000, '[');
  EXPECT_NE(error_of(open).find("not JSON, at byte 1000001"), std::string::npos) << error_of(open);
  const std::string whole = open + std::string(open.size(), ']');
  EXPECT_NE(error_of(whole).find("expected \"schema\""), std::string::npos) << error_of(whole);
}

}  // namespace
}  // namespace clamor::report
