// How a device proves whose it is: login tokens, and the resume tokens that they are answered with.

#include "tests/integration/server_process.hpp"
#include "tests/integration/test_client.hpp"

#include <gtest/gtest.h>

#include <string>

namespace clamor::test {
namespace {

using protocol::CloseCode;
using protocol::RefusalCode;

/// What a login was answered with: texts are copies.
struct LoginAnswer {
  UserId user;
  std::string resume_token;
  std::string refused;  ///< The refusal's detail; empty for an accepted login.
};

LoginAnswer log_in(std::uint16_t port, const std::string& token, std::uint32_t device = 1) {
  TestClient client{port};
  client.upgrade();
  client.send(protocol::Login{.token = token, .device = {device}});
  const TestClient::Arrived arrived = client.receive();
  if (const auto* const refused = std::get_if<protocol::Refused>(&arrived.message)) {
    EXPECT_EQ(refused->code, RefusalCode::bad_token);
    EXPECT_EQ(client.expect_close().code, static_cast<std::uint16_t>(CloseCode::unauthorized));
    return {.refused = std::string{refused->detail}};
  }
  const auto& accepted = std::get<protocol::LoginAccepted>(arrived.message);
  return {.user = accepted.user, .resume_token = std::string{accepted.resume_token}};
}

const token::Key key = token::derive_key(test_secret);

double logins_by(std::uint16_t port, const std::string& what) {
  return metric(port, "clamor_logins_accepted_total{by=\"" + what + "\"}");
}

TEST(Login, AResumeTokenLogsItsDeviceInAgainAlsoAfterARestart) {
  ServerProcess server{"durability: os\n"};
  const LoginAnswer first = log_in(server.port(), token_of(1));
  EXPECT_EQ(first.user, UserId{1});
  ASSERT_FALSE(first.resume_token.empty());
  const LoginAnswer second = log_in(server.port(), first.resume_token);
  EXPECT_EQ(second.user, UserId{1}) << second.refused;
  EXPECT_EQ(second.resume_token, "") << "the one that it has stays as it is";
  EXPECT_EQ(logins_by(server.port(), "login_token"), 1);
  EXPECT_EQ(logins_by(server.port(), "resume_token"), 1);
  EXPECT_EQ(server.stop(), 0);
  server.start();
  EXPECT_EQ(log_in(server.port(), first.resume_token).user, UserId{1});
  EXPECT_EQ(logins_by(server.port(), "resume_token"), 1);
}

TEST(Login, ATokenThatDoesNotHoldIsRefusedByName) {
  const ServerProcess server{"durability: os\n"};
  const std::string own = log_in(server.port(), token_of(1)).resume_token;
  const std::string another = log_in(server.port(), token_of(2)).resume_token;
  const std::string mac = own.substr(own.rfind('.'));
  EXPECT_EQ(log_in(server.port(), own, 2).refused, "the resume token is another device's");
  EXPECT_EQ(log_in(server.port(), another.substr(0, another.rfind('.')) + mac).refused,
            "the token is forged")
      << "another user's name over one's own MAC";
  EXPECT_EQ(log_in(server.port(), own.substr(0, own.size() - 1)).refused, "the token is malformed");
  EXPECT_EQ(log_in(server.port(), token::mint_resume(key, {1}, {1}, 1)).refused,
            "the token has expired");
  EXPECT_EQ(log_in(server.port(), token::mint(key, {1}, 1)).refused, "the token has expired");
  EXPECT_EQ(log_in(server.port(), own).user, UserId{1});
}

TEST(Login, AResumeTokenHoldsForAsLongAsTheSettingsSay) {
  const ServerProcess server{"durability: os\nlogin: {resume_for: 1h}\n"};
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const std::string token = log_in(server.port(), token_of(1)).resume_token;
  EXPECT_EQ(token::check(key, token, {1}, now + 3590).verdict, token::Verdict::resume);
  EXPECT_EQ(token::check(key, token, {1}, now + 3660).verdict, token::Verdict::expired);
}

}  // namespace
}  // namespace clamor::test
