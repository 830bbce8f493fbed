#include "server/token/token.hpp"

#include <gtest/gtest.h>

#include <string>

namespace clamor::token {
namespace {

const Key key = derive_key("a secret");
constexpr std::int64_t now = 1'800'000'000;
constexpr UserId user{42};
constexpr DeviceId device{7};

Verdict verdict(const std::string& token, std::int64_t at = now, DeviceId shown_by = device) {
  const Checked checked = check(key, token, shown_by, at);
  EXPECT_EQ(checked.holds(), fault_of(checked.verdict).empty());
  EXPECT_EQ(checked.user, checked.holds() ? user : UserId{});
  return checked.verdict;
}

TEST(Token, ALoginTokenNamesItsUserUntilItExpiresOnAnyDevice) {
  const std::string token = mint(key, user, now + 60);
  EXPECT_EQ(verdict(token), Verdict::login);
  EXPECT_EQ(verdict(token, now, DeviceId{8}), Verdict::login);
  EXPECT_EQ(verdict(token, now + 59), Verdict::login);
  EXPECT_EQ(verdict(token, now + 60), Verdict::expired);
}

TEST(Token, AResumeTokenHoldsForItsDeviceAlone) {
  const std::string token = mint_resume(key, user, device, now + 60);
  EXPECT_EQ(verdict(token), Verdict::resume);
  EXPECT_EQ(verdict(token, now + 60), Verdict::expired);
  EXPECT_EQ(verdict(token, now, DeviceId{8}), Verdict::other_device);
}

// Method: every single-character change of a token of either kind, and every prefix of it.
TEST(Token, AnyChangeOrTruncationIsRefused) {
  for (const std::string& token :
       {mint(key, user, now + 60), mint_resume(key, user, device, now + 60)}) {
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string changed = token;
      changed[i] = changed[i] == '1' ? '2' : '1';
      EXPECT_FALSE(check(key, changed, device, now).holds()) << changed;
      EXPECT_FALSE(check(key, token.substr(0, i), device, now).holds()) << token.substr(0, i);
    }
  }
}

TEST(Token, WhoeverWritesAnotherUserOrALaterEndIntoATokenForgedIt) {
  const std::string login = mint(key, user, now + 60);
  const std::string resume = mint_resume(key, user, device, now + 60);
  EXPECT_EQ(verdict("43" + login.substr(2)), Verdict::forged);
  EXPECT_EQ(verdict("resume.43" + resume.substr(9)), Verdict::forged);
  EXPECT_EQ(verdict("resume.42.8" + resume.substr(11), now, DeviceId{8}), Verdict::forged);
  EXPECT_EQ(verdict("42.1900000000" + login.substr(login.rfind('.'))), Verdict::forged);
}

TEST(Token, NeitherKindNorAnotherSecretPassesForTheOther) {
  const std::string login = mint(key, user, now + 60);
  const std::string resume = mint_resume(key, user, device, now + 60);
  EXPECT_EQ(verdict("resume." + login), Verdict::forged);
  EXPECT_EQ(verdict(resume.substr(7)), Verdict::forged);
  EXPECT_EQ(verdict(mint(derive_key("another"), user, now + 60)), Verdict::forged);
  EXPECT_EQ(verdict(mint_resume(derive_key("another"), user, device, now + 60)), Verdict::forged);
}

TEST(Token, AnOperatorTokenSetsAccountsUntilItExpiresAndLogsNobodyIn) {
  const std::string token = mint_operator(key, now + 60);
  EXPECT_EQ(check_operator(key, token, now), OperatorVerdict::holds);
  EXPECT_EQ(check_operator(key, token, now + 60), OperatorVerdict::expired);
  EXPECT_EQ(verdict(token), Verdict::malformed);
  EXPECT_EQ(check_operator(key, mint(key, user, now + 60), now), OperatorVerdict::malformed);
  EXPECT_EQ(check_operator(key, mint_resume(key, user, device, now + 60), now),
            OperatorVerdict::malformed);
  EXPECT_EQ(check_operator(derive_key("another"), token, now), OperatorVerdict::forged);
  EXPECT_EQ(check_operator(key, "operator.1900000000" + token.substr(token.rfind('.')), now),
            OperatorVerdict::forged);
  for (std::size_t i = 0; i < token.size(); ++i) {
    EXPECT_NE(check_operator(key, token.substr(0, i), now), OperatorVerdict::holds);
  }
}

TEST(Token, TextWithoutAMacIsMalformed) {
  const std::string not_hex(64, 'g');
  for (const std::string& text : {std::string{}, std::string{"."}, std::string{".."},
                                  std::string{"1.2.3"}, std::string{"a.b.c"}, "1.2." + not_hex}) {
    EXPECT_EQ(verdict(text), Verdict::malformed) << text;
  }
}

}  // namespace
}  // namespace clamor::token
