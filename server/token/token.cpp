#include "server/token/token.hpp"

#include "server/base/assert.hpp"

#include <charconv>
#include <cstddef>
#include <optional>
#include <sodium.h>

namespace clamor::token {
namespace {

constexpr std::string_view resume_prefix = "resume.";
constexpr std::string_view operator_prefix = "operator.";

using Mac = std::array<unsigned char, 32>;
constexpr std::size_t hex_length = std::size_t{2} * sizeof(Mac);
static_assert(crypto_auth_KEYBYTES == sizeof(Key) && crypto_auth_BYTES == sizeof(Mac));
static_assert(crypto_generichash_BYTES == sizeof(Mac));

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Claims of the two kinds begin differently, so that none is ever taken for the other.
Mac mac_of(const Key& key, std::string_view claim) {
  Mac mac{};
  if (claim.starts_with(resume_prefix)) {
    crypto_generichash(mac.data(), mac.size(), bytes_of(claim), claim.size(), key.data(),
                       key.size());
  } else {
    crypto_auth(mac.data(), bytes_of(claim), claim.size(), key.data());
  }
  return mac;
}

std::string sealed(const Key& key, std::string claim) {
  const Mac mac = mac_of(key, claim);
  std::array<char, hex_length + 1> hex{};
  sodium_bin2hex(hex.data(), hex.size(), mac.data(), mac.size());
  return std::move(claim) + "." + hex.data();
}

/// Takes what stands before the last dot off the end of `text`; nothing where there is no dot.
std::optional<std::string_view> take_last(std::string_view& text) {
  const std::size_t dot = text.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view last = text.substr(dot + 1);
  text = text.substr(0, dot);
  return last;
}

/// Parses all of `text` as a decimal number; a sign, blanks or a tail make it fail.
template <class Number>
std::optional<Number> parse_all(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  Number value{};
  const char* const end = text->data() + text->size();
  const auto [stopped, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc{} || stopped != end || value < 0) return std::nullopt;
  return value;
}

/// Whether `token` has the form of one; then `claim` is what its MAC is over.
enum class Seal : std::uint8_t { none, broken, holds };
Seal open_seal(const Key& key, std::string_view token, std::string_view& claim) {
  claim = token;
  const auto hex = take_last(claim);
  Mac shown{};
  if (!hex || hex->size() != hex_length ||
      sodium_hex2bin(shown.data(), shown.size(), hex->data(), hex->size(), nullptr, nullptr,
                     nullptr) != 0) {
    return Seal::none;
  }
  const Mac own = mac_of(key, claim);
  return sodium_memcmp(own.data(), shown.data(), own.size()) == 0 ? Seal::holds : Seal::broken;
}

}  // namespace

Key derive_key(std::string_view secret) {
  CLAMOR_ASSERT(sodium_init() >= 0);
  Key key{};
  crypto_generichash(key.data(), key.size(), bytes_of(secret), secret.size(), nullptr, 0);
  return key;
}

std::string mint(const Key& key, UserId user, std::int64_t expires_unix_seconds) {
  return sealed(key, std::to_string(user.value) + "." + std::to_string(expires_unix_seconds));
}

std::string mint_resume(const Key& key, UserId user, DeviceId device,
                        std::int64_t expires_unix_seconds) {
  return sealed(key, std::string{resume_prefix} + std::to_string(user.value) + "." +
                         std::to_string(device.value) + "." + std::to_string(expires_unix_seconds));
}

std::string_view fault_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::login:
    case Verdict::resume:
      return {};
    case Verdict::malformed:
      return "the token is malformed";
    case Verdict::forged:
      return "the token is forged";
    case Verdict::expired:
      return "the token has expired";
    case Verdict::other_device:
      return "the resume token is another device's";
  }
  return {};
}

Checked check(const Key& key, std::string_view token, DeviceId device,
              std::int64_t now_unix_seconds) {
  std::string_view claim;
  const Seal seal = open_seal(key, token, claim);
  if (seal == Seal::none) return {.verdict = Verdict::malformed};
  if (seal == Seal::broken) return {.verdict = Verdict::forged};
  const bool resume = claim.starts_with(resume_prefix);
  if (resume) claim.remove_prefix(resume_prefix.size());
  const auto expires = parse_all<std::int64_t>(take_last(claim));
  const auto owner = resume ? parse_all<std::uint32_t>(take_last(claim)) : device.value;
  const auto user = parse_all<std::uint64_t>(claim);
  if (!user || !owner || !expires) return {.verdict = Verdict::malformed};
  if (*expires <= now_unix_seconds) return {.verdict = Verdict::expired};
  if (DeviceId{*owner} != device) return {.verdict = Verdict::other_device};
  return {resume ? Verdict::resume : Verdict::login, UserId{*user}};
}

std::string mint_operator(const Key& key, std::int64_t expires_unix_seconds) {
  return sealed(key, std::string{operator_prefix} + std::to_string(expires_unix_seconds));
}

OperatorVerdict check_operator(const Key& key, std::string_view token,
                               std::int64_t now_unix_seconds) {
  std::string_view claim;
  const Seal seal = open_seal(key, token, claim);
  if (seal == Seal::none) return OperatorVerdict::malformed;
  if (seal == Seal::broken) return OperatorVerdict::forged;
  if (!claim.starts_with(operator_prefix)) return OperatorVerdict::malformed;
  const auto expires = parse_all<std::int64_t>(claim.substr(operator_prefix.size()));
  if (!expires) return OperatorVerdict::malformed;
  return *expires <= now_unix_seconds ? OperatorVerdict::expired : OperatorVerdict::holds;
}

std::string_view fault_of(OperatorVerdict verdict) {
  switch (verdict) {
    case OperatorVerdict::holds:
      return {};
    case OperatorVerdict::malformed:
      return "this is no operator token";
    case OperatorVerdict::forged:
      return "the operator token is forged: it was not made with the server's secret";
    case OperatorVerdict::expired:
      return "the operator token has expired";
  }
  return {};
}

// --- proofs --------------------------------------------------------------------------------------

static_assert(sizeof(Proof) == crypto_auth_BYTES);

Proof prove(const Key& key, std::span<const std::byte> bytes) {
  Proof proof{};
  crypto_auth(reinterpret_cast<unsigned char*>(proof.data()),
              reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), key.data());
  return proof;
}

bool is_proof(const Key& key, std::span<const std::byte> bytes, const Proof& proof) {
  return crypto_auth_verify(reinterpret_cast<const unsigned char*>(proof.data()),
                            reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                            key.data()) == 0;
}

Nonce draw_nonce() {
  CLAMOR_ASSERT(sodium_init() >= 0);
  Nonce nonce{};
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

}  // namespace clamor::token
