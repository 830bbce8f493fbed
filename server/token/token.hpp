#pragma once

#include "server/base/id.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
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

/// Makes a resume token, `resume.<user>.<device>.<expiry>.<hex MAC>`: one device of the user may
/// log in again with it. Servers make them, nobody else reads them; the MAC is BLAKE2b keyed
/// (libsodium crypto_generichash), since a reconnect storm is a storm of these.
[[nodiscard]] std::string mint_resume(const Key& key, UserId user, DeviceId device,
                                      std::int64_t expires_unix_seconds);

/// Makes an operator token, `operator.<expiry>.<hex HMAC>`, HMAC over `operator.<expiry>`: whoever
/// holds it may set accounts. For whoever knows the secret to make, and to use at once.
[[nodiscard]] std::string mint_operator(const Key& key, std::int64_t expires_unix_seconds);
/// Judges one.
enum class OperatorVerdict : std::uint8_t { holds, malformed, forged, expired };
[[nodiscard]] OperatorVerdict check_operator(const Key& key, std::string_view token,
                                             std::int64_t now_unix_seconds);
/// What is wrong with it, for people; empty for one that holds.
[[nodiscard]] std::string_view fault_of(OperatorVerdict verdict);

/// What a text that should be a token turned out to be.
enum class Verdict : std::uint8_t { login, resume, malformed, forged, expired, other_device };
/// What is wrong with it, for people; empty for one that holds.
[[nodiscard]] std::string_view fault_of(Verdict verdict);

struct Checked {
  Verdict verdict = Verdict::malformed;
  UserId user;  ///< For whom it speaks; {0} unless it holds.
  [[nodiscard]] bool holds() const {
    return verdict == Verdict::login || verdict == Verdict::resume;
  }
};
/// Judges a token that `device` shows. Keeps no state a token; compares MACs in constant time. What
/// a token claims is looked at only once its MAC is right.
[[nodiscard]] Checked check(const Key& key, std::string_view token, DeviceId device,
                            std::int64_t now_unix_seconds);

// --- proofs: who makes one holds the key ---------------------------------------------------------

/// HMAC-SHA-512-256 of some bytes.
using Proof = std::array<std::byte, 32>;
[[nodiscard]] Proof prove(const Key& key, std::span<const std::byte> bytes);
/// Compares in constant time.
[[nodiscard]] bool is_proof(const Key& key, std::span<const std::byte> bytes, const Proof& proof);

/// Bytes that nobody can foresee and that never come again.
using Nonce = std::array<std::byte, 16>;
[[nodiscard]] Nonce draw_nonce();

}  // namespace clamor::token
