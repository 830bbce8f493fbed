#include "server/token/token.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace clamor::token {
namespace {

TEST(ProtocolDocument, PrintedTokenIsTheOneThatItsSecretMakes) {
  std::ifstream in{CLAMOR_ROOT "/server/protocol/PROTOCOL.md"};
  std::stringstream text;
  text << in.rdbuf();
  const std::string token = mint(derive_key("a secret"), UserId{42}, 1'893'456'000);
  EXPECT_NE(text.str().find("\n    " + token + "\n"), std::string::npos) << token;
}

}  // namespace
}  // namespace clamor::token
