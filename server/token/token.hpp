#pragma once

#include "server/base/id.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clamor::token {

/// Key of one deployment's tokens, derived from its secret; derive once, then reuse.
using Key = std::array<unsigned char, 32>;

/// Derives the key from a secret of any length. Ends the process if libsodium cannot start.
[[nodiscard]] Key derive_key(std::string_view secret);

/// Makes a login token, `<user>.<expiry>.<hex HMAC>`: whoever holds it is `user` until
/// `expires_unix_seconds`. HMAC-SHA-512-256 (libsodium crypto_auth) over `<user>.<expiry>`.
[[nodiscard]] std::string mint(const Key& key, UserId user, std::int64_t expires_unix_seconds);

/// The user a token speaks for; nothing where it is malformed, forged or expired. Compares in
/// constant time.
[[nodiscard]] std::optional<UserId> verify(const Key& key, std::string_view token,
                                           std::int64_t now_unix_seconds);

}  // namespace clamor::token
