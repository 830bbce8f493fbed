// A run against servers that are not ours: what it says of them is what they are.

#include "loadgen/app/load.hpp"
#include "reports/model/result.hpp"
#include "scenarios/yaml/config_error.hpp"
#include "tests/integration/server_process.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <string>
#include <vector>

namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class Target : public testing::Test {
 protected:
  [[nodiscard]] report::RunResult run(const DesignSpec& design,
                                      const std::vector<std::uint16_t>& ports) const {
    LoadOptions options;
    options.scenario.name = "target";
    options.scenario.population.users = 20;
    options.scenario.population.contacts = 2;
    options.scenario.durability = scenario::Durability::fsync;
    scenario::Workload chat;
    chat.name = "chat";
    chat.rate = 100;
    chat.duration = 1s;
    chat.mix = {{"direct", 1}};
    options.scenario.workloads = {chat};
    options.design = design;
    options.program = CLAMOR_BINARY;
    options.target = test::url_of(ports);
    options.secret = test::test_secret;
    return run_load(options);
  }
  [[nodiscard]] std::string refusal(const DesignSpec& design,
                                    const std::vector<std::uint16_t>& ports) const {
    try {
      (void)run(design, ports);
    } catch (const scenario::ConfigError& error) {
      return error.what();
    }
    return "none";
  }

  test::ServerProcess server_{"design: {hybrid: {threshold: 7}}\ndurability: os\n", 0, 2};
  const DesignSpec hybrid_{QueueDesign::hybrid, 7};
};

TEST_F(Target, TheResultSaysWhatTheServersAre) {
  const report::RunResult result = run(hybrid_, server_.ports());
  EXPECT_TRUE(result.ledger_complete) << result.ledger_unknown_because;
  EXPECT_EQ(result.durability, "os") << "the scenario's is for servers of our own";
  EXPECT_EQ(result.operations.records, 100U);
  EXPECT_GT(result.server.device_write_bytes, 0U);
  EXPECT_GT(result.server.cpu_seconds, 0);
}

TEST_F(Target, OfAnotherDesignIsRefused) {
  EXPECT_THAT(refusal({QueueDesign::per_group}, server_.ports()),
              HasSubstr("is hybrid up to 7 members, but the run is to be of per_group"));
  EXPECT_THAT(refusal({QueueDesign::hybrid, 8}, server_.ports()),
              HasSubstr("but the run is to be of hybrid up to 8 members"));
}

TEST_F(Target, NamesEveryNodeOnce) {
  EXPECT_THAT(refusal(hybrid_, {server_.port(0)}), HasSubstr("names 1 of a deployment of 2 nodes"));
  EXPECT_THAT(refusal(hybrid_, {server_.port(0), server_.port(0)}), HasSubstr("is named twice"));
}

}  // namespace
}  // namespace clamor::loadgen
