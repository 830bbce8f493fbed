// A server on which things wait too long takes less, by class. A limit of a nanosecond is reached
// by the first commit at the latest, whose end finds it older, and never left: what is decided is
// shown here; when, in core's unit tests.

#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace clamor::test {
namespace {

using protocol::RefusalCode;

double closed(const ServerProcess& server, const std::string& what) {
  return metric(server, "clamor_admission_closed{class=\"" + what + "\"}");
}

TEST(Admission, ShedsTypingFirstAndNothingElse) {
  ServerProcess server{
      "durability: os\nadmission: {lossy_age: 1ns, login_age: 0s, message_age: 0s, sustained: "
      "0s}\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  alice.create(10, {1, 2});
  alice.hear();
  bob.hear();
  bob.client().send(protocol::Typing{{10}});
  bob.say(10, "bob's notice came before this");
  EXPECT_EQ(alice.hear().body, "bob's notice came before this") << "and nothing before it";
  EXPECT_EQ(metric(server, "clamor_lossy_shed_total"), 1);
  EXPECT_EQ(metric(server, "clamor_messages_refused_total"), 0);
  EXPECT_EQ(closed(server, "lossy"), 1);
  EXPECT_EQ(closed(server, "login"), 0);
}

TEST(Admission, TakesNoSessionWhileLoginsAreTurnedAwayAndCanBeWatched) {
  ServerProcess server{
      "durability: os\nadmission: {lossy_age: 0s, login_age: 1ns, message_age: 0s, sustained: "
      "0s}\n"};
  std::string answer;
  try {
    TestDevice alice{1, 1};
    alice.come_online(server.port());
    alice.create(10, {1});
    alice.hear();
    TestClient{server.port()}.upgrade();
    ADD_FAILURE() << "a session was opened";
  } catch (const std::runtime_error& error) {  // Hers may have come too late already.
    answer = error.what();
  }
  if (answer.find("refused with 15") != std::string::npos) {
    EXPECT_THROW(TestClient{server.port()}.upgrade(), std::runtime_error);
  } else {
    EXPECT_NE(answer.find(" 503 "), std::string::npos) << answer;
    EXPECT_NE(answer.find("Retry-After: 1"), std::string::npos) << answer;
  }
  EXPECT_GE(metric(server, "clamor_logins_refused_total"), 1);
  EXPECT_EQ(metric(server, "clamor_gateway_sessions_not_taken_total"), 1);
  EXPECT_EQ(closed(server, "login"), 1);
  EXPECT_EQ(closed(server, "message"), 0);
}

TEST(Admission, RefusesSendsAndChangesLastAndAcceptsNothingOfThem) {
  ServerProcess server{
      "durability: os\nadmission: {lossy_age: 0s, login_age: 0s, message_age: 1ns, sustained: "
      "0s}\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.client().send(protocol::CreateChannel{.channel = {10}, .members = {{2}}});
  const bool taken =
      std::holds_alternative<protocol::ChannelChanged>(alice.client().receive().message);
  alice.client().send(protocol::CreateChannel{.channel = {11}, .members = {{1}, {2}}});
  auto refused = alice.client().expect<protocol::Refused>();
  EXPECT_EQ(refused.code, RefusalCode::overloaded);
  alice.send(10, 1, "a number that stays free");
  refused = alice.client().expect<protocol::Refused>();
  EXPECT_EQ(refused.code, RefusalCode::overloaded);
  EXPECT_EQ(refused.client_message_id.value, 1U);
  EXPECT_GE(refused.retry_after, std::chrono::seconds{1});
  EXPECT_EQ(metric(server, "clamor_messages_refused_total"), taken ? 2 : 3);
  EXPECT_EQ(metric(server, "clamor_records_total"), taken ? 1 : 0);
}

/// What answers `count` requests that were sent: acks or changes, and refusals by code.
struct Answers {
  int taken = 0;
  std::vector<protocol::Refused> refused;
};
Answers answers(TestClient& client, int count) {
  Answers all;
  for (int i = 0; i < count;) {
    const TestClient::Arrived arrived = client.receive();
    if (std::holds_alternative<protocol::RecordFrame>(arrived.message)) continue;
    ++i;
    if (const auto* refused = std::get_if<protocol::Refused>(&arrived.message)) {
      all.refused.push_back(*refused);
    } else {
      ++all.taken;
    }
  }
  return all;
}
/// Those beyond the rate; each must say when.
std::size_t beyond_rate(const Answers& all) {
  std::size_t count = 0;
  for (const protocol::Refused& refused : all.refused) {
    if (refused.code != RefusalCode::too_many_requests) continue;
    ++count;
    EXPECT_GT(refused.retry_after, Duration{});
    EXPECT_LE(refused.retry_after, std::chrono::seconds{1});
  }
  return count;
}

TEST(Rates, AUserWhoAsksTooOftenIsToldWhenTheNextOneIsTakenAndNobodyElseIs) {
  ServerProcess server{
      "durability: os\n"
      "rates: {sends: {per_second: 1, burst: 2}, requests: {per_second: 1, burst: 1}}\n"};
  TestDevice alice{1, 1};
  TestDevice bob{2, 1};
  alice.come_online(server.port());
  bob.come_online(server.port());
  constexpr int many = 30;  // To be all within the rate they would have to take half a minute.
  for (std::uint64_t channel = 1; channel <= many; ++channel) {
    alice.client().send(protocol::CreateChannel{.channel = {channel}, .members = {{1}, {2}}});
  }
  const Answers created = answers(alice.client(), many);
  EXPECT_GE(created.taken, 1);
  EXPECT_GE(beyond_rate(created), 1U);

  for (std::uint64_t number = 1; number <= many; ++number) alice.send(1, number, "x");
  const Answers sent = answers(alice.client(), many);
  EXPECT_GE(sent.taken, 2);
  ASSERT_GE(beyond_rate(sent), 1U);
  bob.send(1, 1, "bob has a bucket of his own");
  EXPECT_EQ(answers(bob.client(), 1).taken, 1);

  // The first number that was refused is taken once the time has passed that the refusal says.
  const auto until = std::chrono::steady_clock::now() + TestClient::patience;
  const std::uint64_t number = sent.refused.front().client_message_id.value;
  Duration wait = sent.refused.front().retry_after;
  for (;;) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    std::this_thread::sleep_for(wait);
    alice.send(1, number, "x");
    const Answers again = answers(alice.client(), 1);
    if (again.taken == 1) break;
    wait = again.refused.front().retry_after;
  }
  EXPECT_GE(metric(server, "clamor_refused_total{code=\"too_many_requests\"}"), 2);
}

}  // namespace
}  // namespace clamor::test
