#include "server/token/token.hpp"

#include <gtest/gtest.h>

namespace clamor::token {
namespace {

const Key key = derive_key("a secret");
constexpr std::int64_t now = 1'800'000'000;

TEST(Token, MintedTokenNamesItsUserUntilItExpires) {
  const std::string token = mint(key, UserId{42}, now + 60);
  EXPECT_EQ(verify(key, token, now), UserId{42});
  EXPECT_EQ(verify(key, token, now + 59), UserId{42});
  EXPECT_FALSE(verify(key, token, now + 60));
}

TEST(Token, TokenOfAnotherSecretIsRefused) {
  EXPECT_FALSE(verify(derive_key("another"), mint(key, UserId{42}, now + 60), now));
}

// Method: every single-character change of a valid token, and every prefix of it.
TEST(Token, AnyChangeOrTruncationIsRefused) {
  const std::string token = mint(key, UserId{42}, now + 60);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == '1' ? '2' : '1';
    EXPECT_FALSE(verify(key, changed, now)) << changed;
    EXPECT_FALSE(verify(key, token.substr(0, i), now)) << token.substr(0, i);
  }
}

TEST(Token, MalformedTextIsRefused) {
  for (const char* text : {"", ".", "..", "1..", "-1.1800000060.00", "1.2.3", "a.b.c"}) {
    EXPECT_FALSE(verify(key, text, now)) << text;
  }
}

}  // namespace
}  // namespace clamor::token
