#include "server/token/password.hpp"

#include "server/base/assert.hpp"

#include <array>
#include <cerrno>
#include <sodium.h>
#include <span>
#include <utility>

namespace clamor::token {
namespace {

static_assert(PasswordCost{}.operations == crypto_pwhash_OPSLIMIT_INTERACTIVE);
static_assert(PasswordCost{}.memory_bytes == crypto_pwhash_MEMLIMIT_INTERACTIVE);
static_assert(password_cost_min.operations == crypto_pwhash_OPSLIMIT_MIN);
static_assert(password_cost_min.memory_bytes == crypto_pwhash_MEMLIMIT_MIN);

/// As argon2's texts have it: base64 without padding.
std::string random_base64(std::size_t bytes) {
  std::array<unsigned char, 32> random{};
  CLAMOR_ASSERT(bytes <= random.size());
  randombytes_buf(random.data(), bytes);
  std::array<char, 64> text{};
  sodium_bin2base64(text.data(), text.size(), random.data(), bytes,
                    sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
  return text.data();
}

}  // namespace

Password& Password::operator=(Password&& other) noexcept {
  wipe();
  bytes_ = std::move(other.bytes_);
  return *this;
}

Password::~Password() { wipe(); }

void Password::wipe() { sodium_memzero(bytes_.data(), bytes_.size()); }

std::string hash_password(const Password& password, const PasswordCost& cost) {
  CLAMOR_ASSERT(sodium_init() >= 0);
  std::array<char, crypto_pwhash_STRBYTES> text{};
  const std::string_view bytes = password.view();
  const int failed = crypto_pwhash_str(text.data(), bytes.data(), bytes.size(), cost.operations,
                                       static_cast<std::size_t>(cost.memory_bytes));
  return failed == 0 ? text.data() : "";
}

std::string decoy(const PasswordCost& cost) {
  CLAMOR_ASSERT(sodium_init() >= 0);
  constexpr std::size_t salt_bytes = crypto_pwhash_SALTBYTES;
  constexpr std::size_t hash_bytes = 32;
  return "$argon2id$v=19$m=" + std::to_string(cost.memory_bytes / 1024) +
         ",t=" + std::to_string(cost.operations) + ",p=1$" + random_base64(salt_bytes) + "$" +
         random_base64(hash_bytes);
}

PasswordVerdict check_password(const std::string& stored, const Password& password) {
  CLAMOR_ASSERT(sodium_init() >= 0);
  const std::string_view bytes = password.view();
  errno = 0;
  if (crypto_pwhash_str_verify(stored.c_str(), bytes.data(), bytes.size()) == 0) {
    return PasswordVerdict::right;
  }
  return errno == ENOMEM ? PasswordVerdict::no_memory : PasswordVerdict::wrong;
}

bool needs_rehash(const std::string& stored, const PasswordCost& cost) {
  return crypto_pwhash_str_needs_rehash(stored.c_str(), cost.operations,
                                        static_cast<std::size_t>(cost.memory_bytes)) != 0;
}

}  // namespace clamor::token
