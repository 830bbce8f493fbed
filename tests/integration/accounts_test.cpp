// Accounts of a real `clamor serve`: `clamor account` sets them, a password gets a login token.

#include "server/core/placement.hpp"
#include "server/store/store.hpp"
#include "tests/integration/local_nodes.hpp"
#include "tests/integration/server_process.hpp"
#include "tests/integration/server_processes.hpp"
#include "tests/integration/test_client.hpp"
#include "tests/shell.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <string>
#include <vector>

namespace clamor::test {
namespace {

using namespace std::chrono_literals;
using protocol::CloseCode;
using protocol::RefusalCode;
using testing::HasSubstr;
using testing::Not;

/// Hashes that cost little: what is tested is the way to them.
const std::string cheap = "passwords: {hash_operations: 1, hash_memory_bytes: 65536";

/// What `clamor account` prints, both outputs, with `password` on its standard input.
std::string account(const std::string& what, const std::string& password,
                    const std::string& options) {
  return printed("printf '%s\\n' '" + password + "' | " CLAMOR_BINARY " account " + what + " " +
                 options + " 2>&1");
}

/// A connected session that has not logged in.
TestClient connected(std::uint16_t port) {
  TestClient client{port};
  client.upgrade();
  return client;
}

/// A login token by password; empty where it was refused as wrong.
std::string token_by_password(std::uint16_t port, std::uint64_t user, const std::string& password) {
  TestClient client = connected(port);
  client.send(protocol::Authenticate{{user}, password});
  const TestClient::Arrived arrived = client.receive();
  if (const auto* const refused = std::get_if<protocol::Refused>(&arrived.message)) {
    EXPECT_EQ(refused->code, RefusalCode::wrong_password);
    EXPECT_EQ(refused->detail, "wrong user or password");
    EXPECT_EQ(client.expect_close().code, static_cast<std::uint16_t>(CloseCode::unauthorized));
    return {};
  }
  return std::string{std::get<protocol::TokenGranted>(arrived.message).token};
}

std::string all_bytes_below(const std::string& folder) {
  std::ostringstream all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) all << std::ifstream{entry.path(), std::ios::binary}.rdbuf();
  }
  return std::move(all).str();
}

/// How a password is stored in the data of a server that has ended.
std::string stored_below(const std::string& folder, std::uint64_t user) {
  const store::Store store{{.path = folder, .partitions = core::partition_count(1)}};
  return store.account({user}).value();
}

TEST(Accounts, APasswordGetsATokenThatLogsInAndOutlivesAKill) {
  ServerProcess server{"durability: os\nlog: {level: debug}\n" + cheap + ", token_for: 1h}\n"};
  const auto options = [&] {
    return "--config " + server.config() +
           " --target ws://127.0.0.1:" + std::to_string(server.port());
  };
  EXPECT_EQ(account("set 7", "correct horse", options()), "set the account of user 7\n");
  const std::string token = token_by_password(server.port(), 7, "correct horse");
  const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
  const token::Key key = token::derive_key(test_secret);
  EXPECT_EQ(token::check(key, token, {1}, now + 3590).user, UserId{7});
  EXPECT_EQ(token::check(key, token, {1}, now + 3660).verdict, token::Verdict::expired);

  // In the session that got it, as anywhere.
  TestClient client = connected(server.port());
  client.send(protocol::Authenticate{{7}, "correct horse"});
  const std::string granted{client.expect<protocol::TokenGranted>().token};
  client.send(protocol::Login{.token = granted, .device = {1}});
  EXPECT_EQ(client.expect<protocol::LoginAccepted>().user, UserId{7});
  (void)client.expect<protocol::Page>();
  client.send(protocol::Authenticate{{7}, "correct horse"});
  EXPECT_EQ(client.expect<protocol::Refused>().code, RefusalCode::already_logged_in);

  EXPECT_EQ(token_by_password(server.port(), 7, "wrong horse"), "");
  EXPECT_EQ(token_by_password(server.port(), 8, "correct horse"), "") << "no account";
  EXPECT_EQ(metric(server.port(), "clamor_passwords_checked_total{verdict=\"right\"}"), 2);
  EXPECT_EQ(metric(server.port(), "clamor_passwords_checked_total{verdict=\"wrong\"}"), 2);

  server.kill_hard();
  server.start();
  EXPECT_NE(token_by_password(server.port(), 7, "correct horse"), "");
  EXPECT_EQ(account("set 7", "another horse", options()), "set the account of user 7\n");
  EXPECT_EQ(token_by_password(server.port(), 7, "correct horse"), "");
  EXPECT_NE(token_by_password(server.port(), 7, "another horse"), "");
  EXPECT_EQ(account("remove 7", "", options()), "removed the account of user 7\n");
  EXPECT_EQ(token_by_password(server.port(), 7, "another horse"), "");
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(server.process().log(), Not(HasSubstr("horse")));
  EXPECT_THAT(all_bytes_below(server.data()), Not(HasSubstr("horse")));
  EXPECT_EQ(stored_below(server.data(), 7), "");
}

TEST(Accounts, OnlyWhoHasTheSecretSetsThemAndAFaultIsSaid) {
  const ServerProcess server{"durability: os\n" + cheap + "}\n"};
  const std::string target = " --target ws://127.0.0.1:" + std::to_string(server.port());
  EXPECT_THAT(printed("echo 'correct horse' | CLAMOR_SECRET='another secret of mine' " CLAMOR_BINARY
                      " account set 7" +
                      target + " 2>&1"),
              HasSubstr("the operator token is forged: it was not made with the server's secret"));
  EXPECT_THAT(account("set 7", "correct horse", target), HasSubstr("no secret; expected"));
  const std::string config = "--config " + server.config();
  EXPECT_THAT(account("set 7", "short", config + target), HasSubstr("has 5 bytes; expected"));
  EXPECT_THAT(account("set 0", "correct horse", config + target), HasSubstr("USER"));
  EXPECT_THAT(account("set 7", "correct horse", config + " --target http://x"),
              HasSubstr("--target http://x: "));
  EXPECT_THAT(account("set 7", "correct horse", config + " --target ws://127.0.0.1:1"),
              HasSubstr("127.0.0.1:1: Connection refused"));

  TestClient client = connected(server.port());
  client.send(protocol::SetAccount{token_of(7), {7}, "correct horse"});
  EXPECT_EQ(client.expect<protocol::Refused>().detail, "this is no operator token");
  EXPECT_EQ(client.expect_close().code, static_cast<std::uint16_t>(CloseCode::unauthorized));
  EXPECT_EQ(token_by_password(server.port(), 7, "correct horse"), "");
}

TEST(Accounts, OfEveryNodesUsersAreSetAndCheckedThroughAnyNode) {
  ServerProcesses servers{"durability: os\n" + cheap + "}\n", 2};
  const std::uint64_t near = LocalNodes::user_of(0, 1, 2);
  const std::uint64_t far = LocalNodes::user_of(1, 1, 2);
  for (const std::uint64_t user : {near, far}) {
    EXPECT_EQ(account("set " + std::to_string(user), "correct horse",
                      "--config " + servers.config() +
                          " --target ws://127.0.0.1:" + std::to_string(servers.port(0))),
              "set the account of user " + std::to_string(user) + "\n");
    EXPECT_NE(token_by_password(servers.port(0), user, "correct horse"), "");
    EXPECT_NE(token_by_password(servers.port(1), user, "correct horse"), "");
  }
  servers.drop(1);
  servers.await_links_of(0, 1);
  TestClient client = connected(servers.port(0));
  client.send(protocol::Authenticate{{far}, "correct horse"});
  EXPECT_EQ(client.expect<protocol::Refused>().code, RefusalCode::unavailable);
  EXPECT_NE(token_by_password(servers.port(0), near, "correct horse"), "");
}

// Method: hashes so dear that none is done meanwhile.
TEST(Accounts, PasswordsBeyondTheBoundAreToldWhenToComeAgainAndMessagesGoOn) {
  const ServerProcess server{
      "durability: os\n"
      "passwords: {hash_operations: 100, hash_memory_bytes: 67108864, threads: 1, waiting: 3}\n"};
  TestDevice alice{1, 1};
  alice.come_online(server.port());
  alice.create(10, {1});
  std::vector<TestClient> guessing;
  for (int i = 0; i < 4; ++i) {
    guessing.push_back(connected(server.port()));
    guessing.back().send(protocol::Authenticate{{7}, "correct horse"});
  }
  const auto refused = guessing.back().expect<protocol::Refused>();
  EXPECT_EQ(refused.code, RefusalCode::overloaded);
  EXPECT_GE(refused.retry_after, Duration{250ms});
  EXPECT_EQ(metric(server.port(), "clamor_passwords_waiting"), 3);
  guessing.front().send(protocol::Authenticate{{7}, "another try"});
  EXPECT_EQ(guessing.front().expect<protocol::Refused>().code, RefusalCode::too_many_pending);
  // The I/O thread has nothing of it.
  EXPECT_EQ(alice.say(10, "still served"), MessageId{2});
  EXPECT_EQ(metric(server.port(), "clamor_passwords_waiting"), 3) << "slower than a message";
  // A session that ends leaves nothing behind but work that is under way.
  guessing.clear();
  EXPECT_EQ(alice.say(10, "and again"), MessageId{3});
}

TEST(Accounts, APasswordStoredAtAnotherCostIsStoredAnewWhenItIsUsed) {
  ServerProcess server{"durability: os\n" + cheap + "}\n"};
  ASSERT_EQ(account("set 7", "correct horse",
                    "--config " + server.config() +
                        " --target ws://127.0.0.1:" + std::to_string(server.port())),
            "set the account of user 7\n");
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(stored_below(server.data(), 7), HasSubstr("$argon2id$v=19$m=64,t=1,p=1$"));
  std::ofstream{server.config() + ".dearer"}
      << "listen: 127.0.0.1:0\ndata: " << server.data() << "\nsecret: " << test_secret
      << "\ndurability: os\npasswords: {hash_operations: 2, hash_memory_bytes: 131072}\n";
  {
    const TemporaryDirectory logs;
    ChildProcess dearer{{CLAMOR_BINARY, "serve", "--config", server.config() + ".dearer"},
                        logs / "log"};
    const std::string line = dearer.read_line();
    const auto port = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
    EXPECT_EQ(token_by_password(port, 7, "wrong horse"), "");
    EXPECT_NE(token_by_password(port, 7, "correct horse"), "");
    dearer.signal(SIGTERM);
    EXPECT_EQ(dearer.wait(), 0);
    EXPECT_THAT(stored_below(server.data(), 7), HasSubstr("$argon2id$v=19$m=128,t=2,p=1$"));
  }
  server.start();
  EXPECT_NE(token_by_password(server.port(), 7, "correct horse"), "");
}

}  // namespace
}  // namespace clamor::test
