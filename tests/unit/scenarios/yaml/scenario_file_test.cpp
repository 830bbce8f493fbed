#include "scenarios/yaml/scenario_file.hpp"

#include "scenarios/model/plan.hpp"
#include "scenarios/yaml/catalogue.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <string>

namespace clamor::scenario {
namespace {

namespace fs = std::filesystem;

std::string quickstart() {
  for (const CatalogueEntry& entry : catalogue()) {
    if (entry.name == "quickstart") return std::string{entry.text};
  }
  return "";
}

/// A small right scenario; tests put one thing wrong in it.
const std::string base = R"(name: small
population:
  users: 100
  contacts: 4
groups:
  - {name: team, count: 5, members: 20}
scenarios:
  chat:
    executor: constant-arrival-rate
    rate: 10
    duration: 5s
    mix: {direct: 0.5, team: 0.5}
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "the test replaces what is not there: " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string all_errors(const Parsed<Scenario>& parsed) {
  std::string text;
  for (const std::string& error : parsed.errors) text += error + "\n";
  return text;
}

struct BadInput {
  const char* because;
  std::string from;  ///< Replaced in `base`; empty: `to` is appended.
  std::string to;
  std::string expected;  ///< All messages, a line each.
};

void PrintTo(const BadInput& bad, std::ostream* out) { *out << bad.because; }

class BadScenario : public testing::TestWithParam<BadInput> {};

TEST_P(BadScenario, IsRefusedWithPlaceExpectationAndHint) {
  const BadInput& bad = GetParam();
  const std::string text = bad.from.empty() ? base + bad.to : replaced(base, bad.from, bad.to);
  const Parsed<Scenario> parsed = parse_scenario(text, "s.yaml", ".");
  EXPECT_FALSE(parsed.value.has_value());
  EXPECT_EQ(all_errors(parsed), bad.expected) << text;
}

const std::vector<BadInput> bad_inputs{
    {"unknown key", "users: 100", "users: 100\n  usrs: 7",
     "s.yaml:4:3: unknown key \"usrs\" in population; expected away, contacts, devices, "
     "presence, transports, typing, users; did you mean \"users\"?\n"},
    {"missing key", "  users: 100\n  contacts: 4", "  contacts: 4",
     "s.yaml:3:3: population lacks \"users\"\n"},
    {"wrong type", "users: 100", "users: many",
     "s.yaml:3:10: users is \"many\"; expected a whole number from 1 to 2000000000\n"},
    {"quoted number", "users: 100", "users: '100'",
     "s.yaml:3:10: users is the text \"100\"; expected a whole number from 1 to 2000000000\n"},
    {"negative", "users: 100", "users: -5",
     "s.yaml:3:10: users is \"-5\"; expected a whole number from 1 to 2000000000\n"},
    {"fraction", "users: 100", "users: 1.5",
     "s.yaml:3:10: users is \"1.5\"; expected a whole number from 1 to 2000000000\n"},
    {"empty value", "users: 100",
     "users:", "s.yaml:3:3: users is empty; expected a whole number from 1 to 2000000000\n"},
    {"duplicate key", "users: 100", "users: 100\n  users: 200",
     "s.yaml:4:3: \"users\" stands twice in population; the first is in line 3; expected one\n"},
    {"too little memory", "name: small\n", "deployment: {memory_mib: 8}\n",
     "s.yaml:1:26: memory_mib is \"8\"; expected a whole number from 12 to 1048576\n"},
    {"contacts beyond users", "contacts: 4", "contacts: 100",
     "s.yaml:4:13: 100 contacts among 100 users; expected fewer than users\n"},
    {"device shares", "contacts: 4", "contacts: 4\n  devices: {1: 0.9, 2: 0.2}",
     "s.yaml:5:12: the shares of devices sum to 1.1; expected 1\n"},
    {"device count", "contacts: 4", "contacts: 4\n  devices: {0: 1}",
     "s.yaml:5:13: devices a user: \"0\"; expected a whole number from 1 to 16\n"},
    {"transport not supported yet", "contacts: 4", "contacts: 4\n  transports: {poll: 1}",
     "s.yaml:5:16: transport \"poll\" is not supported yet; expected one of: websocket\n"},
    {"mistyped transport", "contacts: 4", "contacts: 4\n  transports: {websockets: 1}",
     "s.yaml:5:16: transport \"websockets\" is unknown; expected one of: websocket; did you mean "
     "\"websocket\"?\n"},
    {"away of no kind", "contacts: 4", "contacts: 4\n  away:\n    - {share: 0.1}",
     "s.yaml:6:7: an absence is either `once: 12s, within: 8s` or `for: 3s, every: 6s`\n"},
    {"away longer than its period", "contacts: 4",
     "contacts: 4\n  away:\n    - {share: 0.1, for: 9s, every: 6s}",
     "s.yaml:6:25: away for 9s of every 6s; expected less than the period\n"},
    {"away shares", "contacts: 4",
     "contacts: 4\n  away:\n    - {share: 0.6, for: 1s, every: 6s}\n"
     "    - {share: 0.6, once: 1s, within: 6s}",
     "s.yaml:6:5: the shares of away sum to 1.2; expected at most 1\n"},
    {"group larger than the users", "members: 20", "members: 200",
     "s.yaml:6:37: group \"team\" has 200 members, but there are 100 users; expected at most as "
     "many\n"},
    {"reserved group name", "name: team", "name: direct",
     "s.yaml:6:12: group \"direct\": that name is kept for the contacts; expected another\n"
     "s.yaml:12:24: mix names the unknown group \"team\"; expected one of: direct\n"},
    {"more channels than can run", "count: 5", "count: 1000000000",
     "s.yaml:6:25: count makes 1e+09 channels; expected at most 100000000\n"},
    {"more memberships than can run", "count: 5", "count: 60000000",
     "s.yaml:6:25: count makes 1.2e+09 memberships; expected at most 1000000000\n"},
    {"more groups a user than can run", "count: 5", "count: 1000000",
     "s.yaml:6:25: count makes 200000 groups of one class a user; expected at most 100000\n"},
    {"more messages than can run", "rate: 10", "timeUnit: 1ns\n    rate: 10",
     "s.yaml:11:11: rate is 10 a 1ns, which makes 5e+10 messages in 5s; expected at most "
     "1000000000 in all\n"},
    {"rate too low for one message", "rate: 10", "rate: 0.1",
     "s.yaml:10:11: rate is 0.1 a 1s, which makes no message in 5s; expected at least one\n"},
    {"two groups of a name", "members: 20}", "members: 20}\n  - {name: team, members: 3}",
     "s.yaml:7:12: a second group \"team\"; expected names to differ\n"},
    {"mix of an unknown group", "team: 0.5", "tean: 0.5",
     "s.yaml:12:24: mix names the unknown group \"tean\"; expected one of: direct, team; did you "
     "mean \"team\"?\n"},
    {"mix without contacts", "contacts: 4", "contacts: 0",
     "s.yaml:12:11: mix names \"direct\", but population has no contacts\n"},
    {"mix that does not sum to 1", "direct: 0.5", "direct: 0.6",
     "s.yaml:12:10: the shares of mix sum to 1.1; expected 1\n"},
    {"no mix", "    mix: {direct: 0.5, team: 0.5}\n", "",
     "s.yaml:9:5: scenario \"chat\" lacks \"mix\"; expected the share of messages that goes to "
     "each of: direct, team\n"},
    {"executor of k6", "constant-arrival-rate", "ramping-vus",
     "s.yaml:9:15: executor \"ramping-vus\" is not supported yet; expected one of: "
     "constant-arrival-rate, trace\n"},
    {"mistyped executor", "constant-arrival-rate", "constant-arival-rate",
     "s.yaml:9:15: executor is \"constant-arival-rate\"; expected one of: constant-arrival-rate, "
     "trace; did you mean \"constant-arrival-rate\"?\n"},
    {"key of k6", "rate: 10", "rate: 10\n    maxVUs: 50",
     "s.yaml:11:13: maxVUs of k6 has no meaning here; expected it left out\n"},
    {"rate of nothing", "rate: 10", "rate: 0",
     "s.yaml:10:11: rate is 0; expected more than 0 messages a timeUnit\n"},
    {"infinite rate", "rate: 10", "rate: .inf",
     "s.yaml:10:11: rate is \".inf\"; expected a number from 0 to 1000000000\n"},
    {"duration without unit", "duration: 5s", "duration: 5",
     "s.yaml:11:15: duration is \"5\"; expected a duration with its unit, such as 500ms, 30s, 5m "
     "or 1h30m; did you mean \"5s\"?\n"},
    {"duration in disorder", "duration: 5s", "duration: 30s1m",
     "s.yaml:11:15: duration is \"30s1m\"; expected a duration with its unit, such as 500ms, 30s, "
     "5m or 1h30m\n"},
    {"duration of nothing", "duration: 5s", "duration: 0s",
     "s.yaml:11:15: duration is \"0s\"; expected a duration from 1ms to 720h\n"},
    {"message sizes", "rate: 10", "rate: 10\n    message_bytes: {lognormal: {median: 80, p99: 8}}",
     "s.yaml:11:50: p99 is 8; expected at least the median of 80\n"},
    {"message beyond the limit", "rate: 10", "rate: 10\n    message_bytes: 1000000",
     "s.yaml:11:20: message_bytes is \"1000000\"; expected a whole number from 1 to 32768\n"},
    {"unknown kind", "rate: 10", "rate: 10\n    kinds: {message: 0.9, reaktion: 0.1}",
     "s.yaml:11:27: kinds has the unknown \"reaktion\"; expected one of: message, reply, reaction, "
     "edit, deletion; did you mean \"reaction\"?\n"},
    {"kinds without enough messages", "rate: 10", "rate: 10\n    kinds: {message: 0.4, edit: 0.6}",
     "s.yaml:11:12: 0.6 of kinds are no plain messages; expected at most 0.5: each is about a "
     "message of its own\n"},
    {"kinds that do not sum to 1", "rate: 10", "rate: 10\n    kinds: {message: 0.9}",
     "s.yaml:11:12: the shares of kinds sum to 0.9; expected 1\n"},
    {"a time after nothing", "rate: 10", "rate: 10\n    kinds_after: 2s",
     "s.yaml:11:18: kinds_after without kinds; expected the shares of edits, deletions, reactions "
     "and replies beside it\n"},
    {"mentions beyond all", "rate: 10", "rate: 10\n    mentions: 2",
     "s.yaml:11:15: mentions is \"2\"; expected a number from 0 to 1\n"},
    {"unknown design", "", "designs: [per-user]\n",
     "s.yaml:13:11: design \"per-user\" is unknown; expected one of: per_user, per_member, "
     "per_group, hybrid, adaptive; did you mean \"per_user\"?\n"},
    {"window of adaptive", "", "designs: [per_user, {adaptive: {window: 3}}]\n",
     "s.yaml:13:41: window is \"3\"; expected a whole number from 4 to 10000\n"},
    {"knob that adaptive has not", "", "designs: [{adaptive: {threshold: 5}}]\n",
     "s.yaml:13:23: unknown key \"threshold\" in adaptive; expected window\n"},
    {"knob of another design", "", "designs: [{per_user: {threshold: 5}}]\n",
     "s.yaml:13:22: design \"per_user\" has no knobs; expected the name alone\n"},
    {"no designs", "", "designs: []\n",
     "s.yaml:13:10: designs is an empty list; expected at least one of: per_user, per_member, "
     "per_group, hybrid, adaptive\n"},
    {"fault not supported yet", "", "faults:\n  - {at: 1s, kind: pause, share: 1}\n",
     "s.yaml:14:20: kind \"pause\" is not supported yet; expected one of: disconnect, kill\n"},
    {"kill without an end", "", "faults:\n  - {at: 1s, kind: kill, share: 1}\n",
     "s.yaml:14:5: fault lacks \"restart_after\"\n"},
    {"kill beyond the end", "", "faults:\n  - {at: 1s, kind: kill, share: 1, restart_after: 4s}\n",
     "s.yaml:14:51: the server starts again at 5s, but the last workload ends at 5s; expected it "
     "before, so that what the kill did can be seen\n"},
    {"kill of clients", "",
     "faults:\n  - {at: 1s, kind: kill, target: clients, share: 1, restart_after: 1s}\n",
     "s.yaml:14:34: target is clients; expected servers, which is what a kill hits\n"},
    {"kills at once", "",
     "faults:\n  - {at: 1s, kind: kill, share: 1, restart_after: 2s}\n"
     "  - {at: 2s, kind: kill, share: 0.5, restart_after: 1s}\n",
     "s.yaml:15:10: at is 2s, while the kill at 1s has servers down until 3s; expected kills one "
     "after the other\n"},
    {"mode of a kill", "",
     "faults:\n  - {at: 1s, kind: kill, share: 1, restart_after: 1s, mode: reset}\n",
     "s.yaml:14:55: unknown key \"mode\" in fault; expected at, kind, restart_after, share, "
     "target\n"},
    {"restart of a disconnect", "",
     "faults:\n  - {at: 1s, kind: disconnect, share: 1, restart_after: 1s}\n",
     "s.yaml:14:42: unknown key \"restart_after\" in fault; expected at, kind, mode, share, "
     "target\n"},
    {"fault after the end", "", "faults:\n  - {at: 9s, kind: disconnect, share: 1}\n",
     "s.yaml:14:10: at is 9s, but the last workload ends at 5s; expected it before\n"},
    {"share beyond 1", "", "faults:\n  - {at: 1s, kind: disconnect, share: 30}\n",
     "s.yaml:14:39: share is \"30\"; expected a number from 0 to 1\n"},
    {"fault of nobody", "", "faults:\n  - {at: 1s, kind: disconnect, share: 0}\n",
     "s.yaml:14:39: share is 0, so nothing happens; expected more, or the fault left out\n"},
    {"heartbeats", "", "heartbeat: {interval: 40s}\n",
     "s.yaml:13:12: offline_after is 30s; expected more than the interval of 40s\n"},
    {"second look", "", "heartbeat: {offline_delay: soon}\n",
     "s.yaml:13:28: offline_delay is \"soon\"; expected a duration with its unit, such as 500ms, "
     "30s, 5m "
     "or 1h30m\n"},
    {"presence of too many", "contacts: 4", "contacts: 4\n  presence: {subscribe: 257}",
     "s.yaml:5:25: subscribe is \"257\"; expected a whole number from 0 to 256\n"},
    {"presence of nobody said", "contacts: 4", "contacts: 4\n  presence: {}",
     "s.yaml:5:13: presence lacks \"subscribe\"\n"},
    {"backoff", "", "reconnect: {base: 5s, cap: 1s}\n",
     "s.yaml:13:28: cap is 1s; expected at least the base of 5s\n"},
    {"unknown metric", "", "thresholds:\n  delivery_latencies: ['p(99)<250']\n",
     "s.yaml:14:3: unknown metric \"delivery_latencies\"; did you mean \"delivery_latency\"?\n"},
    {"threshold that is no expression", "", "thresholds:\n  ack_latency: ['p99<250']\n",
     "s.yaml:14:17: threshold of ack_latency is the text \"p99<250\"; expected p(N), avg, min, "
     "med, max or count, in milliseconds, such as p(99)<250\n"},
    {"threshold with a unit", "", "thresholds:\n  ack_latency: ['p(99) < 2s']\n",
     "s.yaml:14:17: threshold of ack_latency is the text \"p(99) < 2s\"; expected bare "
     "milliseconds: p(99) < 2000\n"},
    {"latency below 0", "", "thresholds:\n  ack_latency: ['p(99)<0']\n",
     "s.yaml:14:17: threshold of ack_latency is the text \"p(99)<0\", which can never hold; "
     "expected a bound that the latency can meet\n"},
    {"share above 1", "", "thresholds:\n  reach: ['rate>1']\n",
     "s.yaml:14:11: threshold of reach is the text \"rate>1\", which can never hold; expected a "
     "bound that the metric can meet\n"},
    {"aggregate of another kind", "", "thresholds:\n  lost: ['p(99)<250']\n",
     "s.yaml:14:10: threshold of lost is the text \"p(99)<250\"; expected count or rate, such as "
     "count==0\n"},
    {"threshold of an unknown group", "", "thresholds:\n  ack_latency{group:taem}: ['avg<1']\n",
     "s.yaml:14:3: ack_latency{group:taem}: group \"taem\"; expected one of: direct, team; did you "
     "mean \"team\"?\n"},
    {"threshold without a list", "", "thresholds:\n  lost: count==0\n",
     "s.yaml:14:9: thresholds of lost are \"count==0\"; expected a list, such as "
     "['p(99)<250']\n"},
    {"scale of nothing", "", "simulate: {scale: 0}\n",
     "s.yaml:13:19: scale is \"0\"; expected a number from 1e-06 to 20000000\n"},
    {"prefill of a word", "", "prefill: {messages: many}\n",
     "s.yaml:13:21: messages is \"many\"; expected a whole number from 0 to 10000000\n"},
    {"prefill that takes too long", "", "prefill: {messages: 10000001}\n",
     "s.yaml:13:21: messages is \"10000001\"; expected a whole number from 0 to 10000000\n"},
    {"prefill of nothing", "", "prefill: {}\n", "s.yaml:13:10: prefill lacks \"messages\"\n"},
    {"prefill by another measure", "", "prefill: {messages: 5, bytes: 7}\n",
     "s.yaml:13:24: unknown key \"bytes\" in prefill; expected messages\n"},
    {"prefill that is no mapping", "", "prefill: 5000\n",
     "s.yaml:13:10: prefill is \"5000\"; expected a mapping of keys to values\n"},
    {"name no folder can have", "name: small", "name: a/b",
     "s.yaml:1:7: name \"a/b\"; expected letters, digits, _, - and ., since result folders are "
     "called by it\n"},
    {"trace without its file", "executor: constant-arrival-rate", "executor: trace",
     "s.yaml:3:10: users does not go with the executor trace, which brings its users, their "
     "channel and their absences; expected it left out\n"
     "s.yaml:4:13: contacts does not go with the executor trace, which brings its users, their "
     "channel and their absences; expected it left out\n"
     "s.yaml:6:3: groups do not go with the executor trace; expected them left out\n"
     "s.yaml:9:5: scenario \"chat\" lacks \"events\"\n"
     "s.yaml:10:11: rate does not go with the executor trace, whose events say it; expected it "
     "left out\n"
     "s.yaml:12:10: mix does not go with the executor trace, whose events say it; expected it "
     "left out\n"},
};

INSTANTIATE_TEST_SUITE_P(Every, BadScenario, testing::ValuesIn(bad_inputs),
                         [](const testing::TestParamInfo<BadInput>& one) {
                           std::string name = one.param.because;
                           for (char& c : name) c = std::isalnum(c) != 0 ? c : '_';
                           return name;
                         });

TEST(ScenarioFile, ReportsEveryFaultInTheOrderOfTheFile) {
  const Parsed<Scenario> parsed = parse_scenario(
      "name: x y\npopulation: {users: 0}\nscenarios: {}\nthreshold: {}\n", "s.yaml", ".");
  EXPECT_EQ(
      all_errors(parsed),
      "s.yaml:1:7: name \"x y\"; expected letters, digits, _, - and ., since result folders "
      "are called by it\n"
      "s.yaml:2:21: users is \"0\"; expected a whole number from 1 to 2000000000\n"
      "s.yaml:3:12: scenarios is empty; expected at least one workload\n"
      "s.yaml:4:1: unknown key \"threshold\" in the scenario; expected ack_after, "
      "deployment, description, designs, durability, faults, groups, heartbeat, name, payload, "
      "population, prefill, reconnect, scenarios, seed, simulate, thresholds; did you mean "
      "\"thresholds\"?\n");
}

TEST(ScenarioFile, RefusesWhatIsNoScenarioAtAll) {
  const auto refusal = [](const std::string& text) {
    return all_errors(parse_scenario(text, "s.yaml", "."));
  };
  EXPECT_EQ(refusal(""), "s.yaml:1:1: the file is empty\n");
  EXPECT_EQ(refusal("# only a comment\n"), "s.yaml:1:1: the file is empty\n");
  EXPECT_EQ(refusal("hello"),
            "s.yaml:1:1: the scenario is \"hello\"; expected a mapping of keys to values\n");
  EXPECT_EQ(refusal("- 1\n- 2\n"),
            "s.yaml:1:1: the scenario is a list; expected a mapping of keys to values\n");
  EXPECT_EQ(refusal("name: [a\nb: c"),
            "s.yaml:2:2: not valid YAML: end of sequence flow not "
            "found\n");
  EXPECT_EQ(refusal("name: a\npopulation:\n\tusers: 5\n"),
            "s.yaml:3:1: a tab in the indentation; expected spaces\n");
  const std::string deep = refusal("x: " + std::string(100'000, '['));
  EXPECT_NE(deep.find("nested too deeply; expected a scenario"), std::string::npos) << deep;
  EXPECT_EQ(refusal(std::string("a\0b", 3)), "s.yaml:1:1: not a text file; expected YAML\n");
  EXPECT_EQ(refusal("name: a\n---\nname: b\n"),
            "s.yaml:3:1: a second document; expected one document in the file\n");
  EXPECT_EQ(refusal("{[a]: b}"),
            "s.yaml:1:2: a key is no plain text; expected a word before the colon\n");
}

TEST(ScenarioFile, SurvivesAliasesOfAliases) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + ", " + before +
            "]\n";
  }
  const Parsed<Scenario> parsed = parse_scenario(text, "s.yaml", ".");
  ASSERT_EQ(parsed.errors.size(), 1U);
  EXPECT_NE(parsed.errors[0].find("too many values by aliases"), std::string::npos);
}

TEST(ScenarioFile, NamesAMissingFileADirectoryAndAnUnreadableOne) {
  EXPECT_EQ(all_errors(read_scenario("/nowhere/s.yaml")), "/nowhere/s.yaml: no such file\n");
  EXPECT_EQ(all_errors(read_scenario("/")), "/: is a directory; expected a file\n");
}

TEST(ScenarioFile, ReadsTheQuickstartWithEveryValue) {
  const Parsed<Scenario> parsed = parse_scenario(quickstart(), "quickstart.yaml", ".");
  ASSERT_TRUE(parsed.value.has_value()) << all_errors(parsed);
  const Scenario& s = *parsed.value;
  EXPECT_EQ(s.name, "quickstart");
  EXPECT_EQ(s.seed, 42U);
  EXPECT_EQ(s.population.users, 2000U);
  EXPECT_EQ(s.population.devices, (std::map<std::uint32_t, double>{{1, 0.9}, {2, 0.1}}));
  EXPECT_EQ(s.population.contacts, 10U);
  ASSERT_EQ(s.population.away.size(), 2U);
  EXPECT_EQ(s.population.away[0].kind, Away::Kind::once);
  EXPECT_EQ(s.population.away[0].duration, 12s);
  EXPECT_EQ(s.population.away[0].within, 8s);
  EXPECT_EQ(s.population.away[1].kind, Away::Kind::repeating);
  EXPECT_EQ(s.population.away[1].every, 6s);
  ASSERT_EQ(s.groups.size(), 4U);
  EXPECT_EQ(s.groups[3].name, "archive");
  EXPECT_DOUBLE_EQ(s.groups[3].online, 0.1);
  ASSERT_EQ(s.designs.size(), 4U);
  EXPECT_EQ(s.designs[3], (DesignSpec{QueueDesign::hybrid, 500}));
  EXPECT_EQ(s.durability, Durability::os);
  EXPECT_EQ(s.ack_after, AckAfter::log);
  EXPECT_EQ(s.payload, QueuePayload::reference);
  ASSERT_EQ(s.workloads.size(), 1U);
  EXPECT_EQ(s.workloads[0].name, "chat");
  EXPECT_DOUBLE_EQ(s.workloads[0].rate, 200);
  EXPECT_EQ(s.workloads[0].duration, 20s);
  EXPECT_DOUBLE_EQ(s.workloads[0].mix.at("quiet"), 0.28);
  EXPECT_EQ(s.workloads[0].message_bytes.kind, MessageBytes::Kind::lognormal);
  ASSERT_EQ(s.faults.size(), 1U);
  EXPECT_EQ(s.faults[0].at, 10s);
  EXPECT_EQ(s.faults[0].mode, Fault::Mode::reset);
  EXPECT_DOUBLE_EQ(s.simulate_scale, 500);
  ASSERT_EQ(s.thresholds.size(), 1U);
  EXPECT_EQ(s.thresholds[0].metric, "delivery_latency");
  EXPECT_EQ(s.thresholds[0].text, "p(99)<250");
  EXPECT_DOUBLE_EQ(s.thresholds[0].bound, 250);
}

TEST(ScenarioFile, GivesAServersStoreItsMemoryAndWritesItBack) {
  const std::string text = replaced(base, "name: small\n", "deployment: {memory_mib: 60}\n");
  const Parsed<Scenario> parsed = parse_scenario(text, "s.yaml", ".");
  ASSERT_TRUE(parsed.value.has_value()) << all_errors(parsed);
  EXPECT_EQ(parsed.value->deployment.memory_mib, 60U);
  const Parsed<Scenario> again = parse_scenario(write_effective(*parsed.value), "s.yaml", ".");
  ASSERT_TRUE(again.value.has_value()) << all_errors(again);
  EXPECT_EQ(again.value->deployment.memory_mib, 60U);
}

TEST(ScenarioFile, APreFillIsReadAndWrittenBack) {
  const Parsed<Scenario> parsed =
      parse_scenario(base + "prefill: {messages: 5000}\n", "s.yaml", ".");
  ASSERT_TRUE(parsed.value.has_value()) << all_errors(parsed);
  EXPECT_EQ(parsed.value->prefill_messages, 5000U);
  const Parsed<Scenario> again = parse_scenario(write_effective(*parsed.value), "s.yaml", ".");
  ASSERT_TRUE(again.value.has_value()) << all_errors(again);
  EXPECT_EQ(again.value->prefill_messages, 5000U);
}

TEST(ScenarioFile, KindsMentionsAndTypingAreReadAndWrittenBack) {
  std::string text = replaced(base, "rate: 10",
                              "rate: 10\n    kinds: {message: 0.8, reaction: 0.15, deletion: 0.05}"
                              "\n    kinds_after: 4s\n    mentions: 0.1");
  text = replaced(text, "contacts: 4", "contacts: 4\n  typing: 1500ms");
  const Parsed<Scenario> parsed = parse_scenario(text, "s.yaml", ".");
  ASSERT_TRUE(parsed.value.has_value()) << all_errors(parsed);
  const Parsed<Scenario> again = parse_scenario(write_effective(*parsed.value), "s.yaml", ".");
  ASSERT_TRUE(again.value.has_value()) << all_errors(again);
  for (const Scenario& scenario : {*parsed.value, *again.value}) {
    const Workload& chat = scenario.workloads[0];
    EXPECT_THAT(chat.kinds, testing::ElementsAre(0.8, 0, 0.15, 0, 0.05));
    EXPECT_EQ(chat.kinds_after, 4s);
    EXPECT_EQ(chat.mentions, 0.1);
    EXPECT_EQ(scenario.population.typing, 1500ms);
  }
}

TEST(ScenarioFile, TheCatalogueReadsWritesAndReadsBackToTheSamePlan) {
  ASSERT_GE(catalogue().size(), 3U);
  for (const CatalogueEntry& entry : catalogue()) {
    const auto read = parse_scenario(std::string{entry.text}, std::string{entry.name}, ".");
    ASSERT_TRUE(read.value.has_value()) << entry.name << "\n" << all_errors(read);
    EXPECT_EQ(read.value->name, entry.name);
    EXPECT_FALSE(read.value->description.empty()) << entry.name;
    EXPECT_LE(measured_duration(*read.value), 60s) << entry.name;
    const std::string written = write_effective(*read.value);
    const auto again = parse_scenario(written, "effective.yaml", ".");
    ASSERT_TRUE(again.value.has_value()) << written << all_errors(again);
    EXPECT_EQ(write_effective(*again.value), written);
    EXPECT_EQ(Plan{*again.value}.fingerprint(), Plan{*read.value}.fingerprint());
  }
}

TEST(ScenarioFile, IsFoundByPathOrByNameInTheCatalogue) {
  EXPECT_EQ(load_scenario("quickstart").name, "quickstart");
  EXPECT_EQ(load_scenario(std::string{CLAMOR_ROOT} + "/scenarios/quickstart.yaml").name,
            "quickstart");
  try {
    (void)load_scenario("quikstart.yaml");
    FAIL() << "a missing scenario was found";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(
        error.what(),
        "quikstart.yaml: no such file; expected a scenario file or one of: busy-team, "
        "large-group, notice-boards, quickstart, reconnect-storm, server-loss; did you mean "
        "\"quickstart\"?");
  }
}

}  // namespace
}  // namespace clamor::scenario
