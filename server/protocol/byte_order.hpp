#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace clamor::protocol {

/// Writes `value` at `to`, least significant byte first; compilers make it one store.
template <std::unsigned_integral T>
constexpr void store_little(std::byte* to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<std::byte>(static_cast<unsigned char>(value >> (8U * i)));
  }
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_little(const std::byte* from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(from[i]) << (8U * i)));
  }
  return value;
}

/// Fills exactly `size` bytes appended to a vector: one growth, then plain stores.
class Writer {
 public:
  Writer(std::vector<std::byte>& out, std::size_t size) {
    const std::size_t start = out.size();
    out.resize(start + size);
    to_ = out.data() + start;
  }

  template <std::unsigned_integral T>
  Writer& put(T value) {
    store_little(to_, value);
    to_ += sizeof(T);
    return *this;
  }
  Writer& put(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(to_, bytes.data(), bytes.size());
    to_ += bytes.size();
    return *this;
  }
  Writer& put(std::string_view text) { return put(std::as_bytes(std::span{text})); }

 private:
  std::byte* to_ = nullptr;
};

}  // namespace clamor::protocol
