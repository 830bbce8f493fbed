#include "loadgen/app/load.hpp"
#include "reports/model/thresholds.hpp"
#include "server/tls/dev_certificate.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/shell.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
#include <string>

// How the load generator's clients come back after a storm.
namespace clamor::loadgen {
namespace {

using namespace std::chrono_literals;
using testing::ContainsRegex;
using testing::HasSubstr;

/// Everybody's connection is reset twice: while resume tokens of two seconds' life hold, and after.
scenario::Scenario two_storms() {
  scenario::Scenario scenario;
  scenario.name = "storms";
  scenario.seed = 5;
  scenario.population.users = 40;
  scenario.population.contacts = 2;
  scenario.groups = {{"team", 2, 20, 1.0}};
  scenario::Workload chat;
  chat.name = "chat";
  chat.rate = 100;
  chat.duration = 2800ms;
  chat.mix = {{"direct", 0.5}, {"team", 0.5}};
  scenario.workloads = {chat};
  scenario.heartbeat = {1s, 30s};
  scenario.reconnect = {10ms, 100ms, true};
  scenario.faults = {{.mode = scenario::Fault::Mode::reset, .at = 50ms, .share = 1.0},
                     {.mode = scenario::Fault::Mode::reset, .at = 2500ms, .share = 1.0}};
  return scenario;
}

TEST(Reconnect, ComesByResumeTokenAndByLoginTokenOnceThatHasExpired) {
  const test::ServerProcess server{"design: per_group\ndurability: os\nlogin: {resume_for: 2s}\n"};
  LoadOptions options;
  options.scenario = two_storms();
  options.design = {QueueDesign::per_group};
  options.program = CLAMOR_BINARY;
  options.target = test::url_of(server.ports());
  options.secret = test::test_secret;
  const report::RunResult run = run_load(options);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_EQ(run.ledger.delivered, run.ledger.expected);
  EXPECT_EQ(run.ledger.acknowledged, 280U);
  const auto logins = [&](const std::string& by) {
    return test::metric(server.port(), "clamor_logins_accepted_total{by=\"" + by + "\"}");
  };
  EXPECT_GT(logins("resume_token"), 0) << "the first storm";
  EXPECT_GE(test::metric(server.port(), "clamor_refused_total{code=\"bad_token\"}"), 40)
      << "the second storm comes with tokens that have expired";
  EXPECT_GE(logins("login_token"), 1 + 40 + 40) << "control session, begin, second storm";
}

/// One storm of everybody, in a window as short as it may be.
scenario::Scenario one_storm() {
  scenario::Scenario scenario = two_storms();
  scenario.workloads.front().duration = 1s;
  scenario.faults.resize(1);
  scenario.faults.front().at = 300ms;
  return scenario;
}

TEST(Reconnect, ComesByTicketWhereTheServerSpeaksTls) {
  const test::TemporaryDirectory directory;
  const auto files = tls::write_dev_certificate(directory / "tls", {"127.0.0.1"}, 1);
  const test::ServerProcess server{
      "design: per_group\ndurability: os\ntls: {certificate: " + files.certificate.string() +
      ", key: " + files.key.string() + "}\n"};
  LoadOptions options;
  options.scenario = one_storm();
  options.design = {QueueDesign::per_group};
  options.program = CLAMOR_BINARY;
  options.target = "wss://127.0.0.1:" + std::to_string(server.port());
  options.secret = test::test_secret;
  options.authority_file = files.certificate;  // signs nothing
  try {
    (void)run_load(options);
    FAIL() << "the server's certificate is not to be trusted";
  } catch (const LoadError& error) {
    EXPECT_THAT(error.what(), HasSubstr("TLS: certificate verify failed"));
  }
  options.authority_file = files.authority;
  const report::RunResult run = run_load(options);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_EQ(run.ledger.delivered, run.ledger.expected);
  EXPECT_EQ(run.ledger.acknowledged, 100U);
  EXPECT_GT(run.server.rss_max_bytes, 0U) << "/metrics was read by TLS";
  EXPECT_THAT(test::ask_openssl(server.port(), files.authority),
              ContainsRegex("tls_handshakes_total.kind=\"resumed\". [4-9][0-9]"));
}

TEST(Reconnect, ThePortOfAPlainServerIsNamedWhereTlsIsSpokenToIt) {
  const test::ServerProcess server{"design: per_group\ndurability: os\n"};
  LoadOptions options;
  options.scenario = one_storm();
  options.program = CLAMOR_BINARY;
  options.target = "wss://127.0.0.1:" + std::to_string(server.port());
  options.secret = test::test_secret;
  try {
    (void)run_load(options);
    FAIL() << "it answered";
  } catch (const LoadError& error) {
    EXPECT_THAT(error.what(), HasSubstr("TLS: wrong version number (the port speaks no TLS)"));
  }
}

TEST(Reconnect, TheEmbeddedServerSpeaksTlsWhereItIsAskedTo) {
  LoadOptions options;
  options.scenario = one_storm();
  options.design = {QueueDesign::per_user};
  options.program = CLAMOR_BINARY;
  options.tls = true;
  const report::RunResult run = run_load(options);
  EXPECT_TRUE(run.ledger_complete) << run.ledger_unknown_because;
  EXPECT_EQ(run.ledger.delivered, run.ledger.expected);
  EXPECT_THAT(run.environment.placement, HasSubstr("TLS"));
}

}  // namespace
}  // namespace clamor::loadgen
