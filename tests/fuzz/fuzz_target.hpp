#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

namespace clamor::fuzz {

using Buffer = std::vector<std::byte>;

/// Ends the process where a property does not hold: libFuzzer then keeps the input.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property broken: %s\n", property);
  std::abort();
}

inline Buffer bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

inline void append(Buffer& out, std::span<const std::byte> more) {
  out.insert(out.end(), more.begin(), more.end());
}

/// One fuzz target: what it does with an input, and the inputs that it begins with.
void run(std::span<const std::byte> input);
[[nodiscard]] std::vector<Buffer> seeds();

}  // namespace clamor::fuzz
