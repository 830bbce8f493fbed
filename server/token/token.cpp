#include "server/token/token.hpp"

#include "server/base/assert.hpp"

#include <charconv>
#include <cstddef>
#include <sodium.h>

namespace clamor::token {
namespace {

constexpr std::size_t hex_length = std::size_t{crypto_auth_BYTES} * 2;
static_assert(crypto_auth_KEYBYTES == sizeof(Key));

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Parses all of `text` as a decimal number; a sign, blanks or a tail make it fail.
template <class Number>
std::optional<Number> parse_all(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end || value < 0) return std::nullopt;
  return value;
}

}  // namespace

Key derive_key(std::string_view secret) {
  CLAMOR_ASSERT(sodium_init() >= 0);
  Key key{};
  crypto_generichash(key.data(), key.size(), bytes_of(secret), secret.size(), nullptr, 0);
  return key;
}

std::string mint(const Key& key, UserId user, std::int64_t expires_unix_seconds) {
  std::string token = std::to_string(user.value) + "." + std::to_string(expires_unix_seconds);
  std::array<unsigned char, crypto_auth_BYTES> mac{};
  crypto_auth(mac.data(), bytes_of(token), token.size(), key.data());
  std::array<char, hex_length + 1> hex{};
  sodium_bin2hex(hex.data(), hex.size(), mac.data(), mac.size());
  return token + "." + hex.data();
}

std::optional<UserId> verify(const Key& key, std::string_view token,
                             std::int64_t now_unix_seconds) {
  const std::size_t user_end = token.find('.');
  const std::size_t claim_end = token.rfind('.');
  if (user_end == std::string_view::npos || claim_end == user_end) return std::nullopt;
  const auto user = parse_all<std::uint64_t>(token.substr(0, user_end));
  const auto expires =
      parse_all<std::int64_t>(token.substr(user_end + 1, claim_end - user_end - 1));
  const std::string_view hex = token.substr(claim_end + 1);
  if (!user || !expires || hex.size() != hex_length) return std::nullopt;

  std::array<unsigned char, crypto_auth_BYTES> mac{};
  if (sodium_hex2bin(mac.data(), mac.size(), hex.data(), hex.size(), nullptr, nullptr, nullptr) !=
      0) {
    return std::nullopt;
  }
  const std::string_view claim = token.substr(0, claim_end);
  if (crypto_auth_verify(mac.data(), bytes_of(claim), claim.size(), key.data()) != 0) {
    return std::nullopt;
  }
  if (*expires <= now_unix_seconds) return std::nullopt;
  return UserId{*user};
}

}  // namespace clamor::token
