#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clamor::token {

/// Bytes that a password has; longer ones are refused, not cut.
inline constexpr std::size_t password_bytes_min = 8;
inline constexpr std::size_t password_bytes_max = 1024;

/// A password on its way: moved, never copied, and its memory is wiped when it goes.
class Password {
 public:
  Password() = default;
  explicit Password(std::string_view text) : bytes_{text.begin(), text.end()} {}
  Password(Password&& other) noexcept = default;
  Password& operator=(Password&& other) noexcept;
  ~Password();

  /// Never of a null pointer, which libsodium takes for no text at all.
  [[nodiscard]] std::string_view view() const {
    return bytes_.empty() ? std::string_view{""} : std::string_view{bytes_.data(), bytes_.size()};
  }

 private:
  void wipe();
  std::vector<char> bytes_;  ///< Not a string, which may keep short texts in itself.
};

/// What one hash costs. The defaults are libsodium's for interactive logins.
struct PasswordCost {
  std::uint64_t operations = 2;                           ///< Passes over the memory.
  std::uint64_t memory_bytes = std::uint64_t{64} << 20U;  ///< For as long as it takes.
  bool operator==(const PasswordCost&) const = default;
};
/// What libsodium takes.
inline constexpr PasswordCost password_cost_min{.operations = 1, .memory_bytes = 8192};
inline constexpr PasswordCost password_cost_max{.operations = 1000,
                                                .memory_bytes = std::uint64_t{4} << 30U};

/// The password as it is stored: argon2id with a salt of its own (libsodium's crypto_pwhash_str),
/// as text that names the cost. Empty where there is no memory for it. Takes tens of milliseconds
/// of CPU on purpose: never on an I/O thread.
[[nodiscard]] std::string hash_password(const Password& password, const PasswordCost& cost);

/// A text that looks like a stored password and is none: to check against it costs what a check of
/// a stored one does, and never holds. For users who have no account, so that nobody can tell.
/// Costs next to nothing.
[[nodiscard]] std::string decoy(const PasswordCost& cost);

enum class PasswordVerdict : std::uint8_t {
  wrong,
  right,
  no_memory,  ///< Nothing can be said: there is no room for the work.
};
/// Judges a password by what is stored. Costs what the stored text says.
[[nodiscard]] PasswordVerdict check_password(const std::string& stored, const Password& password);
/// Whether it was stored at another cost than this.
[[nodiscard]] bool needs_rehash(const std::string& stored, const PasswordCost& cost);

}  // namespace clamor::token
